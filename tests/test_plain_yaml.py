"""Options files that are hostile, broken or misunderstood: one short message, little memory, names as they are written."""

import json
import resource
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from project import Project

from optiflow.errors import UserError
from optiflow.options import merge_options, parse_options_file
from optiflow_dagster.cli.landing import parse_assignments
from resources.landing import read_landing

ALIASES = "a: &a [" + "x," * 9 + "x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip


def told(data: str | bytes, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        merge_options(parse_options_file(data, "f.options.yaml"), more, where="f.options.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ALIASES, ["line 1", "references", "quotes"]),
        ("target: &x y", ["references"]),
        ("split: " + "[" * 5000, ["nested more than 8 deep"]),
        ("split: " + "{a: " * 5000, ["nested more than 8 deep"]),
        ("split:\n  seed: " + "9" * 5000, ["line 2", "is no number"]),
        ("split: {seed: 9223372036854775808}", ["'split.seed'", "less than"]),
        ("horizon: " + "9" * 4000, ["'horizon'", "less than"]),
        ("target: [" + "x, " * 9000 + "x]", ["'target'", "…"]),
        ("max_rejected_fraction: 2014-99-99", ["'max_rejected_fraction'", "'2014-99-99'"]),
        ("#" * 70_000, ["longer than 64 KB"]),
        ("k" * 900 + ": 1", ["unknown key"]),
        ("target: a\ntarget: b", ["line 2", "'target' is there twice"]),
        ("target: \x07", ["not valid YAML"]),
        ("target: !!python/name:os.system x", ["line 1", "not valid YAML"]),
        ("? {a: b}\n: c", ["not valid YAML"]),
        ("encoding: klingon", ["'encoding'", "not a code page", "cp1250"]),
        ("encoding: rot13", ["not a code page"]),
        ("header_row: 0", ["'header_row' is 0"]),
        ("target: Größe".encode("cp1252"), ["not UTF-8"]),
        ("target: Größe".encode("utf-16"), ["not UTF-8"]),
    ],
)  # fmt: skip
def test_a_hostile_options_file_is_refused_in_one_short_message(data: str | bytes, words: list[str]) -> None:
    message = told(data)
    assert [word for word in words if word not in message] == []
    assert message.startswith("f.options.yaml")
    assert len(message) < 2500


def test_aliases_that_stand_for_a_billion_values_cost_no_memory() -> None:
    code = f"""
        import resource, sys
        from optiflow.errors import UserError
        from optiflow.options import merge_options, parse_options_file
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            merge_options(parse_options_file({ALIASES!r}, "f"), where="f")
        except UserError:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    limited = 2 << 30

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limited, limited))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, preexec_fn=limit, timeout=60
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) < 20_000  # KiB


def test_names_are_taken_as_they_are_written() -> None:
    text = "target: No\ndate_column: 2024\ndrop_columns: [On, Off, 007, 1e3, 'Voucher #']\ncolumns: {item: y, sales: 1_0}\n"
    assert parse_options_file(text, "f") == {
        "target": "No",
        "date_column": "2024",
        "drop_columns": ["On", "Off", "007", "1e3", "Voucher #"],
        "columns": {"item": "y", "sales": "1_0"},
    }
    assert parse_options_file("target: null\nsheet: 2023\nhorizon: 4", "f") == {
        "target": None,
        "sheet": "2023",
        "horizon": 4,
    }
    assert merge_options({"sheet": "2023"}).sheet == ("2023",)


def test_the_command_line_takes_names_as_they_are_written() -> None:
    given = (
        "columns.transaction_id=Voucher #",
        "columns.item_id=No",
        "columns.created_at=On",
        "encoding=cp1250",
        "header_row=4",
    )
    assert parse_assignments(given) == {
        "columns": {"transaction_id": "Voucher #", "item_id": "No", "created_at": "On"},
        "encoding": "cp1250",
        "header_row": 4,
    }
    assert parse_assignments(("sheet=2022,2023",)) == {"sheet": ["2022", "2023"]}


@pytest.mark.parametrize(
    "given", [("split=time", "split.seed=3"), ("split.seed=3", "split=time"), ("target=a", "target.b=c")]
)
def test_a_whole_and_a_part_of_one_option_contradict_each_other(given: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="Give one of the two"):
        parse_assignments(given)


def test_an_options_file_of_another_ending_is_refused_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path)
    table = tmp_path / "shop.csv"
    table.write_text("day,units\n" + "".join(f"2024-01-{day:02d},{day % 7}\n" for day in range(1, 31)))
    (tmp_path / "shop.csv.options.yml").write_text("target: units\n")
    said = project.optiflow("upload", table, "--pipeline", "orders")
    assert said.code == 2
    assert "shop.csv.options.yml lies beside shop.csv" in said.shown
    assert "rename it to shop.csv.options.yaml" in said.shown

    for name in ("shop.csv", "shop.csv.options.yml"):
        (project.uploads / name).write_bytes((tmp_path / name).read_bytes())
    landing = read_landing(project.adapters.storage, "orders")
    assert [file.name for file in landing.files] == ["shop.csv.options.yml"]
    assert "rename it to shop.csv.options.yaml" in json.dumps(dict(landing.faults))

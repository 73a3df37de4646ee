"""Small files that stand for gigabytes: refused by what they hold before it is in memory, in a process that is measured."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import upload_bombs as bombs

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.read_limits import ReadLimits
from optiflow.upload.reading import read_upload

OPTIONS = DatasetOptions(target="y", date_column="d")


def read_apart(path: Path) -> dict[str, object]:
    """What reading says, and by how many MB the process's peak of memory grew; the process may have 4 GB of addresses."""
    code = f"""
        import json, resource
        from pathlib import Path
        import fastexcel, pandera.polars, pyarrow.parquet
        from optiflow.errors import UserError
        from optiflow.options import DatasetOptions
        from optiflow.upload.reading import read_upload
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before, path, said = peak(), Path({str(path)!r}), ""
        try:
            rows = read_upload(path, path.name, DatasetOptions(target="y", date_column="d")).rows_in
        except UserError as error:
            rows, said = None, str(error)
        print(json.dumps({{"rows": rows, "said": said, "mb": peak() - before}}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=250
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("stray.xlsx", bombs.stray_cell(), ["sheet 'Sales'", "cell XFD1048576", "OPTIFLOW_UPLOAD_MAX_SHEET_CELLS", "10,000,000"]),
        ("stray.xls", bombs.stray_cell(), ["cell XFD1048576"]),
        ("shared.xlsx", bombs.shared_text(), ["4,801 MB", "cell B2 of sheet 'Sales'", "OPTIFLOW_UPLOAD_MAX_MB"]),
        ("rows.csv.zst", bombs.zst_of_rows(), ["more than 200 times"]),
        ("rows.csv.gz", bombs.gzip_of_rows(400_000_000), ["more than 200 times"]),
    ],
)  # fmt: skip
def test_a_small_file_that_stands_for_gigabytes_is_refused_in_little_memory(
    tmp_path: Path, name: str, data: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(data)
    found = read_apart(tmp_path / name)
    assert [word for word in words if word not in str(found["said"])] == []
    assert float(str(found["mb"])) < 200


def test_a_stray_cell_far_below_costs_no_more_than_the_rows_above_it_are_worth(tmp_path: Path) -> None:
    (tmp_path / "f.xlsx").write_bytes(bombs.stray_cell("C60000"))
    upload = read_upload(tmp_path / "f.xlsx", "f.xlsx", OPTIONS)
    assert (upload.rows_in, upload.accepted.height) == (41, 40)
    assert upload.rejected["row"].unique().to_list() == [60_000]


def test_text_takes_a_few_times_its_size_in_memory(tmp_path: Path) -> None:
    rows = "".join(f"2018-05-{n % 28 + 1:02d},{n % 97},{n % 11},note {n % 1000}\n" for n in range(400_000))
    (tmp_path / "f.csv").write_text("d,y,z,t\n" + rows)
    found = read_apart(tmp_path / "f.csv")
    assert found["rows"] == 400_000
    assert float(str(found["mb"])) < 15 * len(rows) / 1e6


@pytest.mark.parametrize(
    ("limits", "name", "words"),
    [
        (
            ReadLimits(cells=100),
            "f.csv",
            ["40 rows by 3 columns are 120 cells", "OPTIFLOW_UPLOAD_MAX_CELLS allows 100"],
        ),
        (ReadLimits(sheet_cells=100), "f.xlsx", ["sheet 'Sales'", "OPTIFLOW_UPLOAD_MAX_SHEET_CELLS allows 100 cells"]),
        (ReadLimits(megabytes=0), "f.csv", ["more than 0 MB", "OPTIFLOW_UPLOAD_MAX_MB"]),
    ],
)
def test_a_file_beyond_a_setting_names_it(tmp_path: Path, limits: ReadLimits, name: str, words: list[str]) -> None:
    text = "d,y,t\n" + "".join(f"2018-05-{n % 28 + 1:02d},{n},a{n}\n" for n in range(40))
    data = text.encode() if name == "f.csv" else bombs.workbook({"Sales": bombs.table_rows()})
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_upload(tmp_path / name, name, OPTIONS, limits=limits)
    assert [word for word in words if word not in str(caught.value)] == []

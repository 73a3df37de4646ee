"""The upload asset of a folder: versions as it grows, bad files told, in real storage and catalog."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner

from optiflow_dagster.cli.commands import main
from optiflow_dagster.definitions import build_definitions
from resources.adapters import Adapters
from resources.settings import load_settings

DAYS = [date(2024, 1, 1) + timedelta(day) for day in range(60)]


def daily(day: date) -> str:
    return "date,store,item,sales\n" + "".join(f"{day},S1,A{n},{day.day + n}\n" for n in range(3))


def test_a_folder_becomes_a_version_of_all_files_so_far_and_a_bad_one_is_told(tmp_path: Path) -> None:
    config = load_settings(home=tmp_path)
    adapters = Adapters.of(config)
    place = tmp_path / ".optiflow" / "uploads" / "item_demand" / "Daily Sales"
    place.mkdir(parents=True)
    (place.parent / "Daily Sales.options.yaml").write_text("horizon: 7\nretrain_every: 12h\n")
    for day in DAYS[:50]:
        (place / f"{day}.csv").write_text(daily(day))
    job = build_definitions(config).resolve_job_def("item_demand_training_job")

    def upload(instance: dg.DagsterInstance) -> dict[str, Any]:
        ran = job.execute_in_process(
            instance=instance, partition_key="daily-sales", asset_selection=[dg.AssetKey(["item_demand", "upload"])]
        )
        (made,) = ran.asset_materializations_for_node("item_demand__upload")
        return {name: entry.value for name, entry in made.metadata.items()}

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("optiflow_item_demand", ["daily-sales"])
        first = upload(instance)
        assert (first["file"], first["files"], first["rows_in"]) == ("Daily Sales", 50, 150)
        for day in DAYS[50:]:
            (place / f"{day}.csv").write_text(daily(day))
        (place / "2024-01-05 again.csv").write_text(daily(DAYS[4]))
        (place / "bad.csv").write_text("\n\n")
        second = upload(instance)
        assert (second["files"], second["bad_files"], second["repeated_rows"], second["rows_in"]) == (61, 1, 3, 180)
        assert "bad.csv was left out: the file is empty" in str(second["warning"])
        (place / "bad.csv").unlink()
        third = upload(instance)
        assert "warning" not in third
        assert third["revision"] == second["revision"] != first["revision"]
    for found, days in ((first, 50), (second, 60)):
        lake = adapters.storage.scan_parquet(f"lake/item_demand/upload/daily-sales/{found['revision']}.parquet")
        assert lake.select(pl.col("date").n_unique(), pl.len()).collect().row(0) == (days, 3 * days)
    record = adapters.catalog.open().dataset("item_demand", "daily-sales")
    assert record is not None
    assert (record.file_name, record.revision, record.standing) == ("Daily Sales", second["revision"], True)


def test_a_folder_and_then_a_file_of_it_are_uploaded_by_command_and_a_bad_one_is_not(
    tmp_path: Path, monkeypatch: Any
) -> None:
    root = Path(__file__).parents[1]
    home, source = tmp_path / "home", tmp_path / "Daily"
    home.mkdir()
    (home / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    monkeypatch.setenv("OPTIFLOW_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (source / "store=7").mkdir(parents=True)
    for day in DAYS:
        (source / "store=7" / f"{day}.csv").write_text(daily(day).replace(",store", "").replace(",S1", ""))
    (source / "bad.csv").write_text("x,y\n1,2\n")
    (source / "~$book.xlsx").write_text("lock")
    (tmp_path / "Daily.options.yaml").write_text("horizon: 7\n")
    run = CliRunner().invoke

    done = run(main, ["upload", "Daily", "--pipeline", "item_demand"])
    assert done.exit_code == 0, done.output
    assert "Daily: 180 rows, 0 rejected" in done.output
    assert "Left out: bad.csv: no column for" in done.output
    landed = home / ".optiflow" / "uploads" / "item_demand"
    assert sorted(path.name for path in landed.rglob("*.csv")) == [f"{day}.csv" for day in DAYS]
    assert (landed / "Daily.options.yaml").read_text() == "horizon: 7\n"

    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text(daily(date(2024, 3, 1)))
    done = run(main, ["upload", "new.csv", "--pipeline", "item_demand", "--into", "daily"])
    assert done.exit_code == 0, done.output
    assert "new.csv: 183 rows" in done.output
    assert (landed / "Daily" / "new.csv").is_file()

    monkeypatch.chdir(tmp_path)
    done = run(main, ["upload", "Daily/bad.csv", "--pipeline", "item_demand", "--into", "daily"])
    assert done.exit_code == 2
    assert "Nothing was uploaded. bad.csv: no column for" in done.output
    assert not (landed / "Daily" / "bad.csv").exists()


def test_a_source_is_pulled_by_command_and_an_unknown_one_names_those_there_are(
    tmp_path: Path, monkeypatch: Any
) -> None:
    from erp_server import TOKEN, erp_server

    (tmp_path / "dagster.yaml").write_text((Path(__file__).parents[1] / "dagster.yaml").read_text())
    monkeypatch.setenv("OPTIFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("ERP_TOKEN", TOKEN)
    run = CliRunner().invoke
    none = run(main, ["pull", "erp"])
    assert (none.exit_code, "it describes none, or is not there" in none.output) == (2, True)
    with erp_server() as erp:
        erp.rows = [{"id": n, "updated_at": f"2024-01-0{n + 1}", "sku": f"A{n}"} for n in range(3)]
        (tmp_path / "sources.yaml").write_text(
            f"erp: {{pipeline: orders, url: '{erp.url}/next', token: ERP_TOKEN, records: data.items, key: id,\n"
            "  incremental: {field: updated_at, parameter: since}}\n"
        )
        done = run(main, ["pull", "erp"])
        assert done.exit_code == 0, done.output
        assert "erp: 3 new rows (3 rows read in 1 page, up to 2024-01-03)." in done.output
        assert "optiflow run orders erp" in done.output
        assert "erp: nothing new" in run(main, ["pull", "erp"]).output
        assert "erp: 3 new rows" in run(main, ["pull", "erp", "--from-start"]).output
        erp.token = "another"
        refused = run(main, ["pull", "erp"])
        assert (refused.exit_code, "Put a new token into ERP_TOKEN" in refused.output) == (2, True)
        assert TOKEN not in refused.output
    unknown = run(main, ["pull", "wms"])
    assert (unknown.exit_code, "there are erp" in unknown.output) == (2, True)


@pytest.mark.parametrize(
    ("name", "into", "told"),
    [
        ("_jan.csv", "shop", "'_jan.csv' would be passed over: names that begin with '_'"),
        (".x.csv", "shop", "'.x.csv' would be passed over"),
        ("~$x.xlsx", "shop", "'~$x.xlsx' would be passed over"),
        (".x.csv", None, "'.x.csv' would be passed over"),
        ("~$x.xlsx", None, "'~$x.xlsx' would be passed over"),
        ("_folder", None, "'_folder' would be passed over"),
        (".folder", None, "'.folder' would be passed over"),
        ("a.csv", "a/b", "'a/b' is not a dataset id"),
        ("a.csv", "_x", "'_x' is not a dataset id"),
        (
            "a.csv",
            "New Shop",
            "'New Shop' is not a dataset id: use a-z, 0-9 and single hyphens, at most 40 characters. Did you",
        ),
    ],
)
def test_nothing_is_uploaded_to_where_it_would_not_be_read(
    tmp_path: Path, monkeypatch: Any, name: str, into: str | None, told: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[1] / "dagster.yaml").read_text())
    monkeypatch.setenv("OPTIFLOW_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if name.endswith("folder"):
        path.mkdir()
        path = path / "a.csv"
    path.write_text("".join(daily(day) if n == 0 else daily(day).split("\n", 1)[1] for n, day in enumerate(DAYS)))
    said = CliRunner().invoke(main, ["upload", name, "--pipeline", "item_demand", *(["--into", into] if into else [])])
    assert said.exit_code == 2, said.output
    assert told in said.output
    assert list((home / ".optiflow").rglob("*.csv")) == []

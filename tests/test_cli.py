"""The command line as a person or a script meets it: what is printed, what is written, and the exit code."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import dagster as dg
import polars as pl
import pytest
import yaml
from fred_server import FredServer
from project import FAST, OPTIONS, ROOT, Project, Said, assert_lake_is_whole, fresh_project
from queued_runs import stored_run

from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.asked_runs import FOLLOWS_TAG
from optiflow_dagster.cli import main
from optiflow_dagster.unstarted_runs import AGAIN_TAG, FIRST_PAUSE
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobKind, JobStatus

ORDERS = samples.orders(rows=400, seed=5)
FLAGS = ("--target", "quantity", "--date-column", "order_date", "--series", "UNRATE, DCOILWTICO")
ASSETS = (
    *("upload", "enriched", "train", "test", "actuals", "training_job", "model", "prediction_job", "predictions"),
    "mse_report",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("cli")) as project:
        yield project


@pytest.fixture
def other(tmp_path: Path) -> Project:
    """A project in which nothing has happened yet."""
    return Project(tmp_path)


@pytest.fixture(scope="module")
def uploaded(project: Project) -> Said:
    source = project.home / "Shop Orders.csv"
    ORDERS.write_csv(source)
    fast = [part for key, value in FAST.items() for part in ("-o", f"hyperparameters.{key}={value}")]
    return project.optiflow("upload", source, "--pipeline", "orders", *FLAGS, *fast)


@pytest.fixture(scope="module")
def ran(project: Project, uploaded: Said) -> Said:
    return project.optiflow("run", "orders", "shop-orders")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        yield from commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]


@pytest.mark.parametrize("path", list(commands(main)), ids=lambda path: " ".join(path) or "optiflow")
def test_every_command_explains_itself(other, path):
    said = other.optiflow(*path, "--help")
    assert said.code == 0
    assert said.out.startswith("Usage:")
    summary = said.out.split("\n\n")[1]
    assert len(summary.split()) > 3
    assert not (other.work / "catalog.db").exists()


def test_there_is_something_to_explain():
    assert set(commands(main)) >= {("upload",), ("run",), ("status",), ("report",), ("fred", "search"), ("demo",)}


def test_upload_puts_file_and_options_into_the_landing_folder(project, uploaded):
    assert uploaded.code == 0
    assert "400 rows, 2 rejected, target quantity, dates in order_date" in uploaded.out
    assert " run orders shop-orders" in uploaded.out
    assert (project.uploads / "Shop Orders.csv").read_bytes() == ORDERS.write_csv().encode()
    written = yaml.safe_load((project.uploads / "Shop Orders.csv.options.yaml").read_text())
    assert written == {
        "target": "quantity",
        "date_column": "order_date",
        "fred_series": ["UNRATE", "DCOILWTICO"],
        "hyperparameters": {key: str(value) for key, value in FAST.items()},
    }


def test_upload_checks_first_and_puts_nothing_in_place_if_something_is_wrong(other):
    source = other.home / "orders.csv"
    ORDERS.write_csv(source)
    said = other.optiflow("upload", source, "-p", "orders", "--target", "quantitty")
    assert said.code == 2
    assert "'quantitty' is not a column. Did you mean 'quantity'?" in said.err
    assert list(other.uploads.iterdir()) == []


def test_upload_takes_the_options_beside_the_file_and_lays_flags_over_them(other):
    source = other.home / "orders.csv"
    ORDERS.write_csv(source)
    source.with_name("orders.csv.options.yaml").write_text(yaml.safe_dump({**OPTIONS, "drop_columns": ["note"]}))
    said = other.optiflow("upload", source, "-p", "orders", "--series", "UNRATE", "-o", "split.strategy=random")
    assert said.code == 0
    written = yaml.safe_load((other.uploads / "orders.csv.options.yaml").read_text())
    assert written["fred_series"] == ["UNRATE"]
    assert written["drop_columns"] == ["note"]
    assert written["split"] == {"strategy": "random"}


def test_a_newer_version_keeps_the_options_of_the_one_before(other):
    source = other.home / "orders.csv"
    ORDERS.write_csv(source)
    assert other.optiflow("upload", source, "-p", "orders", *FLAGS).code == 0
    before = (other.uploads / "orders.csv.options.yaml").read_text()
    samples.orders(rows=300, seed=6).write_csv(source)
    said = other.optiflow("upload", source, "-p", "orders")
    assert said.code == 0
    assert "300 rows" in said.out
    assert (other.uploads / "orders.csv.options.yaml").read_text() == before


def test_two_names_of_one_dataset_id_are_told_apart_at_the_door(other):
    for name in ("my orders.csv", "my-orders.csv"):
        ORDERS.write_csv(other.home / name)
    assert other.optiflow("upload", other.home / "my orders.csv", "-p", "orders", *FLAGS).code == 0
    said = other.optiflow("upload", other.home / "my-orders.csv", "-p", "orders", *FLAGS)
    assert said.code == 2
    assert "'my orders.csv' in the landing folder has the dataset id 'my-orders' too" in said.err
    assert not (other.uploads / "my-orders.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "orders", "never-seen"), "No upload of dataset 'never-seen'"),
        (
            ("run", "ordrs", "shop"),
            "There is no pipeline 'ordrs': use orders, store_sales, item_demand, turnover, stock_movements.",
        ),
        (("run", "orders", "Shop Orders"), "Did you mean 'shop-orders'?"),
        (("run", "orders", "../../etc"), "is not a dataset id"),
        (("report", "orders", "never-seen"), "There is no report of orders never-seen: make it with `optiflow run"),
        (("upload", "nowhere.csv", "-p", "orders"), "nowhere.csv is not a file."),
        (("upload", "dagster.yaml", "-p", "orders"), "is not a table that OptiFlow reads"),
        (("upload", "x.csv", "-p", "orders", "-o", "seed"), "write it as key=value"),
        (("fred", "search", " "), "Nothing to search for"),
        (("upload", "x.csv"), "Missing option '--pipeline'"),
        (("sttatus",), "No such command 'sttatus'"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(other, arguments, words):
    said = other.optiflow(*arguments)
    assert said.code == 2
    assert words in said.err
    assert said.out == ""


def test_a_wrong_variable_is_named(other):
    said = other.optiflow("status", OPTIFLOW_MAX_PARALLEL_JOBS="many", OPTIFLOW_STORAGE="nowhere")
    assert said.code == 2
    assert "OPTIFLOW_MAX_PARALLEL_JOBS" in said.err
    assert "OPTIFLOW_STORAGE" in said.err


def test_outside_a_project_it_says_where_to_go(other, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    said = other.optiflow("status", OPTIFLOW_HOME=str(empty))
    assert said.code == 2
    assert "OPTIFLOW_HOME" in said.err
    assert "dagster.yaml" in said.err


def test_run_shows_every_asset_and_ends_in_a_table(project, ran):
    assert ran.code == 0
    done = [line.split()[1] for line in ran.out.splitlines() if line.strip().startswith("✓")]
    assert sorted(done) == sorted(ASSETS)
    report = project.report("shop-orders")
    rows = dict(line.split("  ", 1) for line in ran.out.splitlines() if "  " in line and not line.startswith(" "))
    assert rows["rows in"].strip() == "400"
    assert rows["rejected"].strip() == "2"
    assert rows["FRED series"].strip() == "UNRATE, DCOILWTICO"
    assert rows["train / test rows"].strip() == f"{report['rows']['train']} / {report['rows']['test']}"
    assert rows["MSE"].strip() == f"{report['metrics']['mse']:,.4g}"
    assert Path(rows["report"].strip().removeprefix("file://")).read_text().startswith("<!doctype html>")
    assert "make dev" in rows["see it all in the UI"]


def test_nothing_is_written_outside_the_projects_own_folder(project, ran):
    assert {path.name for path in project.home.iterdir()} == {"dagster.yaml", ".optiflow", "Shop Orders.csv"}
    assert_lake_is_whole(project.work)


def test_status_lists_datasets_jobs_and_models(project, ran):
    said = project.optiflow("status")
    shown = json.loads(project.optiflow("status", "--json").out)
    assert said.code == 0
    assert [(d["dataset"], d["file_name"]) for d in shown["datasets"]] == [("shop-orders", "Shop Orders.csv")]
    assert shown["datasets"][0]["options"]["target"] == "quantity"
    assert {(job["kind"], job["status"]) for job in shown["jobs"]} == {
        ("training", "Completed"),
        ("transform", "Completed"),
    }
    (model,) = shown["models"]
    assert model["metrics"]["mse"] == project.report("shop-orders")["metrics"]["mse"]
    for job in shown["jobs"]:
        assert job["name"] in said.out
    assert "Shop Orders.csv" in said.out


def test_status_of_a_new_project_says_that_there_is_nothing_yet(other):
    shown = json.loads(other.optiflow("status", "--json").out)
    assert shown == {"datasets": [], "runs": [], "jobs": [], "models": [], "unstarted_runs": []}
    assert "failed to start" not in other.optiflow("status").out
    assert "Datasets: none yet." in other.optiflow("status").out


def test_status_shows_runs_that_failed_to_start_and_whether_they_are_asked_for_again(other, monkeypatch):
    monkeypatch.setattr("optiflow_dagster.unstarted_runs.MOST_TRIES", 2)  # each run has a database of its own
    job = JobRecord(
        "orders-a-training-1", JobKind.TRAINING, "orders", "a", "r", "run", JobStatus.COMPLETED, datetime.now(UTC)
    )
    other.adapters.catalog.open().put_job(job)
    tags = {FOLLOWS_TAG: f"{job.name}/1", "dagster/sensor_name": "external_jobs_sensor"}
    with contextlib.chdir(other.home), dg.DagsterInstance.from_config(str(other.home)) as instance:
        first = stored_run(instance, "orders_prediction_job", "a", tags)
        instance.report_run_failed(instance.get_run_by_id(first))
        (row,) = json.loads(other.optiflow("status", "--json").out)["unstarted_runs"]
        again = datetime.fromisoformat(row.pop("again_at"))
        assert timedelta(0) < again - datetime.now(UTC) <= FIRST_PAUSE
        same = {"run": "orders_prediction_job", "dataset": "a", "follows": job.name}
        assert row == {**same, "run_id": first, "tries": 1}
        said = other.optiflow("status").out
        assert "Runs that failed to start (1)" in said
        assert f"again at {again:%Y-%m-%d %H:%M:%S}" in said
        second = stored_run(instance, "orders_prediction_job", "a", {**tags, AGAIN_TAG: first})
        instance.report_run_failed(instance.get_run_by_id(second))
    (row,) = json.loads(other.optiflow("status", "--json").out)["unstarted_runs"]
    assert row == {**same, "run_id": second, "tries": 2, "again_at": None}
    assert "given up: start it in the UI" in other.optiflow("status").out


def test_report_is_the_one_in_the_lake(project, ran):
    shown = project.optiflow("report", "orders", "shop-orders", "--json")
    assert shown.code == 0
    assert json.loads(shown.out) == project.report("shop-orders")
    said = project.optiflow("report", "orders", "shop-orders")
    assert said.code == 0
    assert f"{project.report('shop-orders')['metrics']['mse']:,.4g}"[:4] in said.out
    assert "report.html" in said.out


@pytest.mark.parametrize("damaged", [b"", b'{"metr', b"[]", b"\xff"])
def test_a_report_that_cannot_be_read_is_named(project, ran, damaged):
    storage, (report,) = project.adapters.storage, project.work.rglob("lake/**/report.json")
    key = f"lake/{report.relative_to(storage.root / 'lake')}"
    whole = storage.read_bytes(key)
    try:
        storage.write_bytes(key, damaged)
        said = project.optiflow("report", "orders", "shop-orders")
    finally:
        storage.write_bytes(key, whole)
    assert said.code == 2
    assert f"{report.as_uri()} cannot be read: it is no report." in said.err


def test_a_report_of_an_unknown_dataset_names_those_that_there_are(project, ran):
    said = project.optiflow("report", "orders", "shop")
    assert said.code == 2
    assert "Datasets: shop-orders." in said.err


def test_a_failed_job_is_exit_code_1_with_the_jobs_own_reason(project, ran):
    source = project.home / ".." / "negative.csv"
    ORDERS.with_columns(-pl.col("quantity")).write_csv(source)
    options = ("-o", "hyperparameters.objective=count:poisson", "-o", "hyperparameters.num_round=3")
    assert project.optiflow("upload", source, "-p", "orders", *FLAGS, *options).code == 0
    said = project.optiflow("run", "orders", "negative")
    assert said.code == 1
    assert "non-negative" in said.err
    assert "log.txt" in said.err
    jobs = {job["dataset"]: job["status"] for job in json.loads(project.optiflow("status", "--json").out)["jobs"]}
    assert jobs["negative"] == "Failed"


def test_search_without_a_key_looks_into_the_snapshot(other):
    said = other.optiflow("fred", "search", "unemployment")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["UNEMPLOY", "UNRATE", "UNRATENSA"]
    assert "Unemployment Rate (Percent)" in said.out
    found = json.loads(other.optiflow("fred", "search", "unemployment", "--json", "--limit", "1").out)
    assert [series["id"] for series in found] == ["UNEMPLOY"]
    assert "No series found" in other.optiflow("fred", "search", "zebra").out


def test_search_with_a_key_asks_the_server(other, tmp_path):
    (tmp_path / "EGGS.csv").write_text("observation_date,EGGS\n2015-01-01,2.1\n2015-02-01,2.2\n")
    with FredServer(tmp_path) as server:
        said = other.optiflow("fred", "search", "eggs", FRED_API_KEY="0" * 32, OPTIFLOW_FRED_URL=server.url)
    assert said.code == 0
    assert said.out.split()[:2] == ["EGGS", "M"]
    assert server.asked("/fred/series/search")[0]["search_text"] == "eggs"


def in_a_shell(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_"))}
    command = [sys.executable, "-c", "from optiflow_dagster.cli import main; main()", *arguments]
    environment = bare | {"OPTIFLOW_HOME": str(project.home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=project.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def endless(other: Project) -> Iterator[Project]:
    """A project with a dataset that trains until it is stopped."""
    rounds = {"num_round": 1_000_000, "early_stopping_rounds": 1_000_000, "max_depth": 2}
    other.drop("slow.csv", ORDERS, {**OPTIONS, "hyperparameters": rounds})
    yield other
    other.stop_jobs()


def test_an_interrupted_run_says_so_and_the_job_that_began_goes_on(endless):
    process = in_a_shell(endless, "run", "orders", "slow")
    assert process.stdout is not None
    seen = ""
    while "InProgress [" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    (running,) = endless.adapters.jobs.list_active()
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "run the same command again to take it up" in err
    assert running.name.startswith("orders-slow-training-")

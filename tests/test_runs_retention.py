"""`runs_retention_sensor`: which runs it deletes, what is still known afterwards, and what is left on the disk."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import SkipReason
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema
from damaged_events import damage_an_event

from optiflow_dagster.needed_runs import UPLOADS_SENSOR
from optiflow_dagster.sensors import runs_retention
from optiflow_dagster.sensors.runs_retention import Position, delete_old_runs, give_back_space, read_cursor
from resources.adapters import Adapters
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobKind, JobStatus

ROOT = Path(__file__).resolve().parents[1]
KEEP_DAYS = 30
PARTITIONS = dg.DynamicPartitionsDefinition(name="datasets")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Table(dg.Config):
    """What a run is to do: how many rows it says that it wrote, or that it fails."""

    rows: int = 0
    fails: bool = False


@dg.asset(partitions_def=PARTITIONS)
def table(config: Table) -> dg.MaterializeResult:
    if config.fails:
        raise ValueError("as asked")
    return dg.MaterializeResult(metadata={"rows": config.rows})


@dg.asset_check(asset=table)
def has_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.op
def nothing() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def plain_job() -> None:
    nothing()


DEFINITIONS = dg.Definitions(
    assets=[table],
    asset_checks=[has_rows],
    jobs=[
        plain_job,
        dg.define_asset_job("training_job", dg.AssetSelection.assets(table).without_checks()),
        dg.define_asset_job("check_job", dg.AssetSelection.checks(has_rows)),
    ],
    executor=dg.in_process_executor,
)


class Runs:
    """Runs of small assets in an instance, and what retention makes of them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        instance.add_dynamic_partitions("datasets", ["shop", "store"])

    def train(
        self, dataset: str = "shop", rows: int = 0, fails: bool = False, tags: Mapping[str, str] | None = None
    ) -> str:
        """Materialize a dataset's table; returns the run's id."""
        config = {"ops": {"table": {"config": {"rows": rows, "fails": fails}}}}
        return self.run("training_job", dataset, config, tags)

    def run(
        self,
        job: str,
        dataset: str | None = None,
        config: dict[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Run a job to its end; returns the run's id."""
        done = DEFINITIONS.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=dataset,
            run_config={**QUIET, **(config or {})},
            tags=tags,
            raise_on_error=False,
        )
        return done.run_id

    def keep(self, days: float = 31, open_jobs: Sequence[JobRecord] = ()) -> set[str]:
        """Which runs are left after a whole round, so many days from now."""
        now = datetime.now(UTC) + timedelta(days=days)
        part = delete_old_runs(self.instance, open_jobs, None, now, KEEP_DAYS)
        while not part.is_over:
            part = delete_old_runs(self.instance, open_jobs, part.last_kept, now, KEEP_DAYS)
        return set(self.instance.get_run_ids())

    def rows_of(self, dataset: str) -> tuple[str, Any]:
        """The run and the metadata of a dataset's newest materialization."""
        wanted = dg.AssetRecordsFilter(asset_key=table.key, asset_partitions=[dataset])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return record.run_id, record.asset_materialization.metadata["rows"].value


def asked_for(sensor: str, run_key: str) -> dict[str, str]:
    """The tags of a run that a sensor has asked for."""
    return {"dagster/sensor_name": sensor, "dagster/run_key": run_key}


def tried_again(first: str, before: str) -> dict[str, str]:
    """The tags of another try of a run."""
    return {"dagster/root_run_id": first, "dagster/parent_run_id": before}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where SQLite keeps runs and events of an instance that the project's `dagster.yaml` describes."""
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".optiflow" / "dagster" / "history"


@pytest.fixture
def runs(folder: Path) -> Iterator[Runs]:
    with dg.DagsterInstance.get() as instance:
        yield Runs(instance)


def size(folder: Path) -> int:
    return (folder / "event_log.db").stat().st_size


def runs_with_events(folder: Path) -> set[str]:
    with sqlite3.connect(folder / "event_log.db") as events:
        return {run_id for (run_id,) in events.execute("SELECT DISTINCT run_id FROM event_logs")}


def open_job(name: str, run_id: str) -> JobRecord:
    now = datetime.now(UTC)
    return JobRecord(name, JobKind.TRAINING, "orders", "shop", "1", run_id, JobStatus.IN_PROGRESS, now)


def test_of_old_runs_those_with_the_newest_materializations_stay_and_the_disk_is_free_again(
    runs: Runs, folder: Path
) -> None:
    made = [runs.train(dataset, rows) for rows in range(7) for dataset in ("shop", "store")]
    newest = set(made[-2:])
    before = {dataset: runs.rows_of(dataset) for dataset in ("shop", "store")}
    assert before == {"shop": (made[-2], 6), "store": (made[-1], 6)}
    latest = runs.instance.get_latest_materialization_event(table.key)
    full = size(folder)
    assert runs_with_events(folder) == set(made)

    assert runs.keep(days=29) == set(made)
    assert runs.keep() == newest
    assert {dataset: runs.rows_of(dataset) for dataset in ("shop", "store")} == before
    assert runs.instance.get_materialized_partitions(table.key) == {"shop", "store"}
    assert runs.instance.get_latest_materialization_event(table.key) == latest
    assert len(runs.instance.fetch_materializations(table.key, limit=99).records) == 2

    assert runs_with_events(folder) == newest
    freed = give_back_space(runs.instance)
    assert freed > full / 3
    assert size(folder) < full / 1.5
    assert give_back_space(runs.instance) == 0
    assert runs.keep(days=99) == newest
    assert {len(runs.instance.all_logs(run_id)) > 5 for run_id in newest} == {True}


def test_the_last_attempt_stays_beside_the_last_success(runs: Runs) -> None:
    made = [runs.train(), runs.train(rows=7), runs.train(fails=True), runs.train(fails=True)]
    store = [runs.train("store", fails=True), runs.train("store"), runs.train("store", fails=True)]
    assert runs.keep() == {made[1], made[3], *store[1:]}
    assert runs.rows_of("shop") == (made[1], 7)


def test_the_last_result_of_a_check_stays(runs: Runs) -> None:
    made = [runs.train(), runs.run("check_job"), runs.run("check_job"), runs.run("plain_job")]
    assert runs.keep() == {made[0], made[2], made[3]}


def test_what_an_open_job_refers_to_stays_until_the_job_is_followed_up(runs: Runs) -> None:
    first = runs.train()
    again = runs.train(tags=tried_again(first, first))
    follow_up = runs.train(tags=asked_for("external_jobs_sensor", "orders-shop-train-1/2"))
    once_more = {"optiflow/follows": "orders-shop-train-1/2", **asked_for("unstarted_runs_sensor", f"{follow_up}/1")}
    not_begun = runs.train(tags=once_more)
    other = runs.train(tags=asked_for("external_jobs_sensor", "orders-shop-train-11/1"))
    newest = runs.train()
    jobs = [open_job("orders-shop-train-1", first), open_job("orders-shop-train-2", "gone")]
    assert runs.keep(open_jobs=jobs) == {first, again, follow_up, not_begun, newest}
    assert runs.keep(open_jobs=[]) == {first, newest}
    assert runs.keep(open_jobs=[]) == {newest}
    assert other not in runs.instance.get_run_ids()


def test_the_first_of_several_tries_stays_as_long_as_a_later_one(runs: Runs) -> None:
    def fail(first: str | None = None, before: str | None = None) -> str:
        """A run that failed, named as Dagster names the tries of one run."""
        run = runs.instance.create_run_for_job(
            DEFINITIONS.resolve_job_def("plain_job"),
            tags=tried_again(first, before) if first and before else {},
            root_run_id=first,
            parent_run_id=before,
        )
        runs.instance.report_run_failed(run)
        return run.run_id

    first = fail()
    second = fail(first, first)
    third = fail(first, second)
    assert runs.keep() == {first, second, third}
    root, group = runs.instance.get_run_group(third) or ("", [])
    assert (root, {run.run_id for run in group}) == (first, {first, second, third})
    last = fail()
    rounds = [runs.keep() for _ in range(3)]
    assert rounds == [{first, second, last}, {first, last}, {last}]


def test_the_run_key_of_a_file_as_it_lies_there_is_never_forgotten(runs: Runs) -> None:
    early = runs.train(tags=asked_for(UPLOADS_SENSOR, "orders/shop.csv@a@1"))
    upload = runs.train(tags=asked_for(UPLOADS_SENSOR, "orders/shop.csv@b@2"))
    store = runs.train("store", tags=asked_for(UPLOADS_SENSOR, "orders/store.csv@c@1"))
    weekly = [
        runs.train(dataset, tags={"dagster/schedule_name": "weekly"}) for dataset in ("shop", "store", "shop", "store")
    ]
    assert runs.keep() == {upload, store, *weekly[2:]}
    assert early not in runs.instance.get_run_ids()
    for key in ("orders/shop.csv@b@2", "orders/store.csv@c@1"):
        assert len(runs.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": key}))) == 1


def test_the_sensor_whose_run_keys_are_kept_is_there(definitions: dg.Definitions) -> None:
    assert UPLOADS_SENSOR in {sensor.name for sensor in definitions.get_repository_def().sensor_defs}


def test_a_run_that_has_not_ended_stays(runs: Runs) -> None:
    waiting = runs.instance.create_run_for_job(DEFINITIONS.resolve_job_def("plain_job"))
    runs.instance.report_engine_event("It waits for a slot.", waiting)
    made = [runs.run("plain_job"), runs.run("plain_job")]
    assert runs.keep(days=999) == {waiting.run_id, made[1]}


def test_no_event_gets_the_number_of_a_deleted_one(runs: Runs) -> None:
    """A sensor for failed runs remembers the number of the last event that it has seen."""
    slow = runs.instance.create_run_for_job(DEFINITIONS.resolve_job_def("plain_job"))
    made = [runs.run("plain_job") for _ in range(3)]
    runs.instance.report_run_failed(slow)
    (seen,) = runs.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    assert seen.storage_id == runs.instance.event_log_storage.get_maximum_record_id()
    assert runs.keep() == {slow.run_id, made[-1]}
    assert runs.instance.event_log_storage.get_maximum_record_id() == seen.storage_id
    runs.train(fails=True)
    (new,) = runs.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    assert new.storage_id > seen.storage_id


def test_a_run_whose_events_were_lost_is_kept(runs: Runs, folder: Path) -> None:
    lost, last = runs.run("plain_job"), runs.run("plain_job")
    with sqlite3.connect(folder / "event_log.db") as events:
        events.execute("DELETE FROM event_logs WHERE run_id = ?", (lost,))
    assert runs.keep() == {lost, last}


def test_a_run_whose_events_are_damaged_is_kept_and_named_and_stops_no_other(runs: Runs, folder: Path) -> None:
    made = [runs.train(rows=rows) for rows in range(4)]
    run = runs.instance.get_run_by_id(made[1])
    assert run is not None
    damage_an_event(runs.instance, folder / "event_log.db", run)
    with dg.DagsterInstance.get() as restarted:
        later = datetime.now(UTC) + timedelta(days=31)
        part = delete_old_runs(restarted, [], None, later, KEEP_DAYS)
        assert (part.deleted, part.kept, part.is_over) == (2, 2, True)
        assert set(restarted.get_run_ids()) == {made[1], made[3]}
    (named,) = part.damaged
    assert named.startswith(f"Run {made[1]} is kept. Its events cannot be read: event_log.db in Dagster's history is ")


def test_a_tick_does_a_part_of_the_work_and_the_next_ones_the_rest(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [runs.train("store"), runs.train("shop"), *(runs.run("plain_job") for _ in range(6))]
    monkeypatch.setattr(runs_retention, "RUNS_A_TICK", 3)
    later = datetime.now(UTC) + timedelta(days=31)
    parts = [delete_old_runs(runs.instance, [], None, later, KEEP_DAYS)]
    while not parts[-1].is_over:
        parts.append(delete_old_runs(runs.instance, [], parts[-1].last_kept, later, KEEP_DAYS))
    assert [(part.deleted, part.kept) for part in parts] == [(1, 2), (3, 0), (1, 1)]
    assert set(runs.instance.get_run_ids()) == {*made[:2], made[-1]}
    monkeypatch.setattr(runs_retention, "SECONDS_A_TICK", -1.0)
    assert delete_old_runs(runs.instance, [], None, later, KEEP_DAYS) == runs_retention.Round(None)


def test_new_runs_take_the_room_of_those_that_were_deleted_whoever_deleted_them(runs: Runs, folder: Path) -> None:
    made = [runs.train(rows=rows) for rows in range(6)]
    with dg.DagsterInstance.get() as other:
        for run_id in made[:-1]:
            other.delete_run(run_id)
        full = size(folder)
        for rows in range(4):
            runs.train(rows=rows)
        assert size(folder) == full
        assert give_back_space(other) > 0


RUN_PAGE = """query Page($id: ID!) {
  runOrError(runId: $id) { __typename ... on Run { id status } ... on PythonError { message } }
  logsForRun(runId: $id) { __typename ... on EventConnection { events { __typename } } ... on PythonError { message } }
  runGroupOrError(runId: $id) { __typename ... on PythonError { message } }
}"""


def test_the_ui_reads_a_run_while_it_is_deleted_and_afterwards(runs: Runs, folder: Path) -> None:
    made = [runs.train(rows=rows) for rows in range(6)]
    schema = create_schema()
    failures: list[Any] = []
    kinds: list[str] = []
    with WorkspaceProcessContext(runs.instance, EmptyWorkspaceTarget()) as process:

        def read(run_id: str) -> str:
            """What the web server answers to the page of a run."""
            answer = asyncio.run(
                schema.execute_async(
                    RUN_PAGE, variable_values={"id": run_id}, context_value=process.create_request_context()
                )
            )
            failures.extend(answer.errors or [])
            failures.extend(part for part in (answer.data or {}).values() if part["__typename"] == "PythonError")
            kinds.append((answer.data or {})["runOrError"]["__typename"])
            return kinds[-1]

        def read_all_the_time() -> None:
            while not done.is_set():
                for run_id in made:
                    read(run_id)
                passed.release()

        assert {read(run_id) for run_id in made} == {"Run"}
        done, passed = threading.Event(), threading.Semaphore(0)
        reader = threading.Thread(target=read_all_the_time)
        reader.start()
        try:
            with dg.DagsterInstance.get() as daemons:
                left = Runs(daemons).keep()
                assert give_back_space(daemons) > 0
                while passed.acquire(blocking=False):
                    pass
                assert all(passed.acquire(timeout=60) for _ in range(2))
        finally:
            done.set()
            reader.join()
        assert left == {made[-1]}
        assert [read(run_id) for run_id in made] == ["RunNotFoundError"] * 5 + ["Run"]
    # Dagster answers one request that meets the deletion half-way so, and the next as it should.
    assert all(failure["message"] in {f"KeyError: '{run_id}'\n" for run_id in made[:-1]} for failure in failures)
    assert len(kinds) > 12
    assert runs_with_events(folder) == left


def test_postgresql_keeps_and_deletes_the_same_runs(postgres_url: str) -> None:
    url = sa.make_url(postgres_url)
    database = {
        "scheme": "postgresql+psycopg2",
        "hostname": url.host,
        "port": url.port,
        "db_name": url.database,
        "username": url.username,
        "password": url.password,
    }
    with dg.instance_for_test(overrides={"storage": {"postgres": {"postgres_db": database}}}) as instance:
        runs = Runs(instance)
        made = [runs.train(rows=rows) for rows in range(3)]
        upload = runs.train(tags=asked_for(UPLOADS_SENSOR, "orders/shop.csv@b@2"))
        last = [runs.train(rows=8), runs.train(fails=True), runs.run("plain_job"), runs.run("plain_job")]
        assert runs.keep(days=29) == {*made, upload, *last}
        assert runs.keep() == {upload, *last[:2], last[3]}
        assert runs.rows_of("shop") == (last[0], 8)
        assert len(instance.fetch_materializations(table.key, limit=99).records) == 2
        assert give_back_space(instance) == 0


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, adapters: Adapters, cursor: str | None = None
) -> tuple[str | None, str]:
    """The cursor and the words of a tick of the real sensor."""
    repository = definitions.get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, resources={"catalog": adapters.catalog}
    )
    result: Any = repository.get_sensor_def("runs_retention_sensor")(context)
    if isinstance(result, SkipReason):
        return cursor, str(result.skip_message)
    assert not result.run_requests
    return result.cursor, str(result.skip_reason.skip_message)


def make_older(folder: Path, days: int) -> None:
    """Let runs have ended so many days ago."""
    with sqlite3.connect(folder / "runs.db") as runs:
        runs.execute("UPDATE runs SET update_timestamp = datetime(update_timestamp, ?)", (f"-{days} days",))


def test_the_sensor_deletes_what_is_older_than_the_setting_and_then_rests_for_a_day(
    definitions: dg.Definitions, runs: Runs, folder: Path, adapters: Adapters
) -> None:
    made = [runs.train(rows=rows) for rows in range(5)]
    cursor, said = tick(definitions, runs.instance, adapters)
    assert said == "Deleted 0 run(s) older than 30 days, kept 0."
    make_older(folder, 31)
    assert tick(definitions, runs.instance, adapters, cursor)[1].startswith("The next round through all runs begins at")
    assert set(runs.instance.get_run_ids()) == set(made)

    adapters.catalog.open().put_job(open_job("orders-shop-train-1", made[0]))
    cursor, said = tick(definitions, runs.instance, adapters)
    assert said.startswith("Deleted 3 run(s) older than 30 days, kept 2. Gave 0.")
    assert set(runs.instance.get_run_ids()) == {made[0], made[4]}
    position = read_cursor(cursor)
    assert 86_000 < position.rests_until - time.time() <= 86_400
    assert runs_with_events(folder) == {made[0], made[4]}
    assert tick(definitions, runs.instance, adapters, cursor)[1].startswith("The next round through all runs begins at")


def test_with_zero_days_every_run_stays(runs: Runs, folder: Path, adapters: Adapters) -> None:
    made = [runs.train(), runs.train()]
    make_older(folder, 9_999)
    sensor: Any = runs_retention.runs_retention_sensor(0)
    context = dg.build_sensor_context(instance=runs.instance, resources={"catalog": adapters.catalog})
    assert sensor(context).skip_message == "OPTIFLOW_KEEP_RUNS_DAYS is 0: every run is kept."
    assert set(runs.instance.get_run_ids()) == set(made)


def test_while_the_catalog_cannot_be_asked_nothing_is_deleted(
    definitions: dg.Definitions, runs: Runs, folder: Path, adapters: Adapters, tmp_path: Path
) -> None:
    made = [runs.train(), runs.train()]
    make_older(folder, 31)
    (tmp_path / ".optiflow" / "catalog.db").write_bytes(b"no database" * 100)
    cursor, said = tick(definitions, runs.instance, adapters)
    assert said.startswith("Cannot delete old runs: ")
    assert (cursor, set(runs.instance.get_run_ids())) == (None, set(made))


@pytest.mark.parametrize("text", [None, "", "{}", "no JSON", "[]", "17", '{"of": "others"}'])
def test_a_cursor_that_is_not_ours_begins_anew(text: str | None) -> None:
    assert read_cursor(text) == Position()

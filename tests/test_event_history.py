"""Dagster's events in one database: what earlier versions have kept in a file a run is moved there, and many write there."""

import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.storage.event_log import SqliteEventLogStorage

from optiflow.errors import UserError
from optiflow_dagster import event_history
from optiflow_dagster.event_database import EventDatabase
from optiflow_dagster.event_history import prepare

ROOT = Path(__file__).resolve().parents[1]
EARLIER = "storage:\n  sqlite:\n    base_dir: .optiflow/dagster\n"
PARTITIONS = dg.DynamicPartitionsDefinition(name="datasets")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Table(dg.Config):
    """How many rows it says that it wrote, or that it fails."""

    rows: int = 0
    fails: bool = False


@dg.asset(partitions_def=PARTITIONS)
def table(context: dg.AssetExecutionContext, config: Table) -> dg.MaterializeResult:
    context.log.info("It begins.")
    if config.fails:
        raise ValueError("as asked")
    return dg.MaterializeResult(metadata={"rows": config.rows})


@dg.asset(partitions_def=PARTITIONS, deps=[table])
def copy() -> None: ...


@dg.asset_check(asset=table)
def has_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


DEFINITIONS = dg.Definitions(
    assets=[table, copy],
    asset_checks=[has_rows],
    jobs=[dg.define_asset_job("table_job")],
    executor=dg.in_process_executor,
)


def run(instance: dg.DagsterInstance, dataset: str, rows: int = 0, fails: bool = False) -> str:
    """Materialize a dataset; returns the run's id."""
    done = DEFINITIONS.resolve_job_def("table_job").execute_in_process(
        instance=instance,
        partition_key=dataset,
        run_config={**QUIET, "ops": {"table": {"config": {"rows": rows, "fails": fails}}}},
        raise_on_error=False,
    )
    return done.run_id


def configure(home: Path, yaml: str) -> None:
    (home / "dagster.yaml").write_text(yaml)
    os.environ["DAGSTER_HOME"] = str(home)
    os.chdir(home)


def history(home: Path) -> Path:
    return home / ".optiflow" / "dagster" / "history"


def known(instance: dg.DagsterInstance) -> dict[str, Any]:
    """All that the event log tells, the numbers that others refer to included."""
    wanted = [table.key, copy.key]
    ends = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_START)
    checked = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(table.key, "has_rows"))
    assert checked is not None
    return {
        "events": {run_id: instance.all_logs(run_id) for run_id in [*instance.get_run_ids(), ""]},
        "steps": {run_id: instance.get_run_step_stats(run_id) for run_id in instance.get_run_ids()},
        "materializations": [instance.fetch_materializations(key, limit=99).records for key in wanted],
        "partitions": [instance.get_materialized_partitions(key) for key in wanted],
        "records": [record.asset_entry for record in instance.get_asset_records(wanted)],
        "ends": [instance.fetch_run_status_changes(end, limit=99).records for end in ends],
        "check": (checked.run_id, checked.status, checked.event),
        "dynamic": instance.get_dynamic_partitions("datasets"),
    }


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A project as an earlier version has left it, and what it knew."""
    before, folder = os.environ.get("DAGSTER_HOME"), Path.cwd()
    home = tmp_path_factory.mktemp("earlier")
    configure(home, EARLIER)
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, SqliteEventLogStorage)
        instance.add_dynamic_partitions("datasets", ["shop", "store"])
        for rows in range(2):
            run(instance, "shop", rows)
        run(instance, "store", fails=True)
        run(instance, "store", 7)
        instance.report_runless_asset_event(dg.AssetMaterialization(table.key, partition="shop"))
        yield home, known(instance)
    os.chdir(folder)
    if before is None:
        del os.environ["DAGSTER_HOME"]
    else:
        os.environ["DAGSTER_HOME"] = before


@pytest.fixture
def home(earlier: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that project under the project's `dagster.yaml` as it is now."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(earlier[0], tmp_path, dirs_exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    return tmp_path


def in_child(do: Callable[[], None]) -> int:
    """Start a process of its own that does this; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        do()
        code = 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """The exit code of a process; that of a killed one is below 0."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_after_an_update_all_is_known_that_was_known_before(
    earlier: tuple[Path, dict[str, Any]], home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = earlier[1]
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, EventDatabase)
        assert known(instance) == before
        highest = instance.event_log_storage.get_maximum_record_id()
        assert highest is not None
        new = run(instance, "shop", fails=True)
        (failure, *others) = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=9).records
        assert (failure.run_id, others) == (new, before["ends"][1])
        assert failure.storage_id > highest
    assert not (history(home) / "runs").exists()
    assert f"Moving the events of 5 run(s) to {history(home) / 'event_log.db'}, once." in caplog.text


def test_the_events_of_a_moved_run_are_in_their_order_page_by_page(
    earlier: tuple[Path, dict[str, Any]], home: Path
) -> None:
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        for run_id, events in earlier[1]["events"].items():
            for ascending in (True, False):
                read, cursor, more = [], None, True
                while more:
                    page = storage.get_records_for_run(run_id, cursor, limit=3, ascending=ascending)
                    read += [record.event_log_entry for record in page.records]
                    cursor, more = page.cursor, page.has_more
                assert read == (events if ascending else events[::-1])
            kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.ASSET_MATERIALIZATION}
            page = storage.get_records_for_run(run_id, of_type=kinds)
            wanted = [event for event in events if event.dagster_event and event.dagster_event.event_type in kinds]
            assert [record.event_log_entry for record in page.records] == wanted
            assert storage.get_records_for_run(run_id, page.cursor, of_type=kinds).records == []


LINES_OF = {"prepare", "_make", "_move"}


def test_a_move_that_is_killed_at_any_moment_loses_and_doubles_nothing(
    earlier: tuple[Path, dict[str, Any]], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def move_until(moment: int) -> None:
        """Move, and be killed before the so-manieth line."""
        done = 0

        def watch(frame: Any, event: str, _: Any) -> Any:
            nonlocal done
            if event == "line":
                done += 1
                if done == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
            return watch

        def choose(frame: Any, event: str, _: Any) -> Any:
            code = frame.f_code
            return watch if code.co_filename == event_history.__file__ and code.co_name in LINES_OF else None

        sys.settrace(choose)
        prepare(history(home))

    whole = tmp_path_factory.mktemp("copy")
    shutil.copytree(history(home), whole, dirs_exist_ok=True)
    moments = 0
    while True:
        moments += 1
        code = ended(in_child(partial(move_until, moments)))
        storage = EventDatabase(str(history(home)))
        events = {run_id: storage.get_logs_for_run(run_id) for run_id in earlier[1]["events"]}
        storage.dispose()
        assert events == earlier[1]["events"], f"killed before line {moments}"
        assert {path.name for path in history(home).iterdir()} <= {
            "event_log.db",
            "event_log.db-wal",
            "event_log.db-shm",
            "event_log.lock",
            "runs",
            "runs.db",
            "runs.db-wal",
            "runs.db-shm",
        }
        assert not [*(history(home) / "runs").glob("*")]
        if code == 0:
            break
        assert code == -signal.SIGKILL
        shutil.rmtree(history(home))
        shutil.copytree(whole, history(home))
    assert moments > 20


def test_of_several_that_start_at_once_one_makes_or_moves_and_all_go_on(home: Path, tmp_path: Path) -> None:
    for folder in (history(home), tmp_path / "new"):

        def start(folder: Path = folder) -> None:
            with dg.DagsterInstance.local_temp() as instance:
                instance.report_engine_event("It is there.", run_id="some", job_name="some")
            storage = EventDatabase(str(folder))
            storage.register_instance(instance)
            assert storage.get_maximum_record_id() is not None or not storage.all_asset_keys()

        children = [in_child(start) for _ in range(4)]
        assert [ended(child) for child in children] == [0] * 4
        assert not (folder / "runs").exists()


def test_runs_of_several_processes_write_at_once_and_every_event_is_there(home: Path) -> None:
    def work(dataset: str) -> None:
        with dg.DagsterInstance.get() as instance:
            for rows in range(4):
                run(instance, dataset, rows)

    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("datasets", ["a", "b", "c", "d"])
    children = [in_child(lambda dataset=dataset: work(dataset)) for dataset in "abcd"]
    assert [ended(child) for child in children] == [0] * 4
    with dg.DagsterInstance.get() as instance:
        runs = [one for one in instance.get_runs() if one.tags.get("dagster/partition") in list("abcd")]
        assert [one.status for one in runs] == [dg.DagsterRunStatus.SUCCESS] * 16
        alone = [event.dagster_event_type for event in instance.all_logs(run(instance, "a"))]
        for one in runs:
            assert [event.dagster_event_type for event in instance.all_logs(one.run_id)] == alone
        for dataset in "bcd":
            wanted = dg.AssetRecordsFilter(asset_key=table.key, asset_partitions=[dataset])
            done = instance.fetch_materializations(wanted, limit=99).records
            assert [one.asset_materialization.metadata["rows"].value for one in done if one.asset_materialization] == [
                3,
                2,
                1,
                0,
            ]


def test_a_run_whose_file_was_cut_off_is_told_and_kept_and_moved_when_it_is_put_back(
    earlier: tuple[Path, dict[str, Any]], home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = history(home) / "runs"
    run_id = max(earlier[1]["events"])
    whole = (runs / f"{run_id}.db").read_bytes()
    (runs / f"{run_id}.db").write_bytes(whole[: len(whole) // 2])
    with dg.DagsterInstance.get() as instance:
        now = known(instance)
        for what in ("materializations", "partitions", "ends", "dynamic"):
            assert now[what] == earlier[1][what]
        others = {one: events for one, events in earlier[1]["events"].items() if one != run_id}
        assert {one: events for one, events in now["events"].items() if one != run_id} == others
    assert f"The events in {runs / run_id}.db cannot be read" in caplog.text
    assert [path.name for path in (history(home) / "damaged").iterdir()] == [f"{run_id}.db"]
    runs.mkdir()
    (runs / f"{run_id}.db").write_bytes(whole)
    with dg.DagsterInstance.get() as instance:
        assert known(instance) == earlier[1]


def test_as_long_as_a_run_of_the_earlier_version_is_at_work_nothing_is_moved(
    earlier: tuple[Path, dict[str, Any]], home: Path
) -> None:
    configure(home, EARLIER)
    with dg.DagsterInstance.get() as instance:
        at_work = dg.DagsterRun(job_name="table_job", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(at_work)
        instance.report_engine_event("Started", at_work, EngineEventData.in_process(os.getpid()))
        shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
        with pytest.raises(UserError, match=rf"The run {at_work.run_id} .* at work \(process {os.getpid()}\)"):
            dg.DagsterInstance.get()
        assert not (history(home) / "event_log.db").exists()
        instance.report_run_failed(at_work)
    with dg.DagsterInstance.get() as instance:
        assert len(instance.all_logs(at_work.run_id)) == 2
        assert {**known(instance)["events"], at_work.run_id: []} == {**earlier[1]["events"], at_work.run_id: []}


def test_the_history_of_an_asset_that_was_wiped_does_not_come_back(home: Path) -> None:
    configure(home, EARLIER)
    with dg.DagsterInstance.get() as instance:
        instance.wipe_assets([copy.key])
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    with dg.DagsterInstance.get() as instance:
        assert instance.fetch_materializations(copy.key, limit=9).records == []
        assert len(instance.fetch_materializations(table.key, limit=9).records) == 4


def test_who_watches_a_run_is_told_what_another_process_writes(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        watched = dg.DagsterRun(job_name="table_job")
        instance.add_run(watched)
        told: list[str] = []
        enough = threading.Event()

        def note(event: dg.EventLogEntry, cursor: str) -> None:
            told.append(event.user_message or event.message)
            if len(told) == 2:
                enough.set()

        instance.watch_event_logs(watched.run_id, None, note)

        def write() -> None:
            with dg.DagsterInstance.get() as other:
                for text in ("one", "two"):
                    other.report_engine_event(text, watched)

        writer = in_child(write)
        assert ended(writer) == 0
        assert enough.wait(60)
        assert told == ["one", "two"]
        instance.end_watch_event_logs(watched.run_id, note)


def test_room_is_given_back_by_whoever_asks_while_others_write(home: Path) -> None:
    database = history(home) / "event_log.db"
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, EventDatabase)
        for run_id in instance.get_run_ids():
            instance.delete_run(run_id)
        full, freed = database.stat().st_size, storage.give_back_space()
        assert freed > 0
        assert database.stat().st_size == full - freed
        with sqlite3.connect(database) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

"""A slot of a pool is free again wherever its process was killed, and what waits for one begins; in SQLite and PostgreSQL."""

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from aws_project import instance_config
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceRequestContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._utils.log import get_dagster_logger
from postgres import Postgres
from queued_runs import stored_run
from sqlalchemy.event import listens_for

from assets.fred import POOL
from optiflow_dagster import event_database
from optiflow_dagster.pools import free_abandoned_slots
from optiflow_dagster.run_launcher import PROCESS_TAG, own_process

ROOT = Path(__file__).resolve().parents[1]
WRITES = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (concurrency_limits|concurrency_slots|pending_steps)\b")
STEP = "orders__enriched"
SQLITE, POSTGRES = "dagster.yaml", "deploy/dagster-aws.yaml"
SECONDS = 60
"""For what takes one or two, on a busy machine."""

RETRY = RunOpConcurrency(root_key_counts={POOL: 1}, has_unconstrained_root_nodes=False, all_pools={POOL})
"""A run that is tried again from the step that was killed: it has no other step to begin with."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, the current one."""
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[SQLITE, POSTGRES])
def configure(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write our configuration into the folder; monitoring gives slots back after a second instead of half a minute."""
    made = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    if request.param == POSTGRES:
        server: Postgres = request.getfixturevalue("postgres_server")
        url = sa.make_url(request.getfixturevalue("postgres_url"))
        assert server.execute("SHOW timezone") == [("Asia/Kolkata",)]
        parts = {"HOST": url.host, "PORT": url.port, "DB": url.database}
        for name, value in {**parts, "USERNAME": url.username, "PASSWORD": url.password}.items():
            monkeypatch.setenv(f"DAGSTER_PG_{name}", str(value))
        made = instance_config()
    made["run_monitoring"]["free_slots_after_run_end_seconds"] = 1

    def write(slots: int) -> None:
        made["concurrency"]["pools"]["default_limit"] = slots
        (home / "dagster.yaml").write_text(yaml.safe_dump(made))

    write(2)
    return write


@pytest.fixture
def instance(configure: Callable[..., None]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as made:
        yield made


def in_child(do: Callable[[dg.DagsterInstance], None]) -> int:
    """A process of its own with its own connections; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with dg.DagsterInstance.get() as instance:
            do(instance)
        code = 0
    finally:
        os._exit(code)


def use_a_slot(instance: dg.DagsterInstance, meanwhile: Callable[[], None] = lambda: None) -> None:
    """A run of this process takes a slot and gives it back, as Dagster's executor does."""
    run = dg.DagsterRun("orders_job", status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: own_process()})
    instance.add_run(run)
    with InstanceConcurrencyContext(instance, run) as slots:
        assert slots.claim(POOL, STEP)
        meanwhile()
        slots.free_step(STEP)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_before(write: int, of: re.Pattern[str] = WRITES, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Whether a process was killed before it wrote about slots for the so-manieth time; if not, it wrote no more often."""

    def use_until_killed(instance: dg.DagsterInstance) -> None:
        done = 0

        @listens_for(sa.engine.Engine, "before_cursor_execute")
        def count(_: Any, __: Any, sql: str, *___: Any) -> None:
            nonlocal done
            done += bool(of.match(sql))
            if done == write:
                die()

        use_a_slot(instance, meanwhile)

    _, status = os.waitpid(in_child(use_until_killed), 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def killed_while_it_has_a_slot() -> None:
    _, status = os.waitpid(in_child(lambda instance: use_a_slot(instance, die)), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def monitor_until_nothing_is_held(instance: dg.DagsterInstance) -> None:
    """The daemon's rounds: dead runs are failed, and what they held is given back."""
    deadline = time.monotonic() + SECONDS
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as workspace:
        while instance.event_log_storage.get_concurrency_run_ids():
            assert time.monotonic() < deadline, instance.event_log_storage.get_concurrency_info(POOL)
            assert not any(execute_run_monitoring_iteration(workspace, get_dagster_logger()))
            assert not any(execute_concurrency_slots_iteration(workspace, get_dagster_logger()))


def begins(instance: dg.DagsterInstance) -> list[str]:
    """The runs that the queue would begin now."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
    return [run.run_id for run in daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)]


def test_whenever_a_process_is_killed_its_slot_is_free_again(configure: Callable[..., None]) -> None:
    configure(slots=100)
    writes = [write for write in range(1, 12) if killed_before(write)]
    assert writes in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7])
    with dg.DagsterInstance.get() as instance:
        held = instance.event_log_storage.get_concurrency_info(POOL)
        assert held.claimed_slots, held.pending_steps
        monitor_until_nothing_is_held(instance)
        left = instance.event_log_storage.get_concurrency_info(POOL)
        assert (left.slot_count, left.claimed_slots, left.pending_steps) == (100, [], [])


def test_what_is_queued_for_the_slots_of_killed_processes_begins(instance: dg.DagsterInstance) -> None:
    for _ in range(2):
        killed_while_it_has_a_slot()
    queued = stored_run(instance, "orders_job", "shop", run_op_concurrency=RETRY)
    assert begins(instance) == []
    monitor_until_nothing_is_held(instance)
    assert begins(instance) == [queued]
    use_a_slot(instance)


def test_a_command_takes_the_slots_of_killed_commands_and_leaves_those_of_living_ones(
    instance: dg.DagsterInstance,
) -> None:
    killed_while_it_has_a_slot()

    def meanwhile() -> None:
        free_abandoned_slots(instance)
        held = instance.event_log_storage.get_concurrency_info(POOL)
        holders = [instance.get_run_by_id(one.run_id) for one in held.claimed_slots]
        assert [run and run.tags[PROCESS_TAG] for run in holders] == [own_process()]
        assert len(held.pending_steps) == 1

    use_a_slot(instance, meanwhile)


def test_a_slot_of_a_run_that_was_deleted_is_free_again(instance: dg.DagsterInstance) -> None:
    killed_while_it_has_a_slot()
    (run,) = instance.get_runs()
    instance.run_storage.delete_run(
        run.run_id
    )  # the first half of deleting a run: who does it may be killed in between
    free_abandoned_slots(instance)
    assert not instance.event_log_storage.get_concurrency_run_ids()


def test_a_queued_run_finds_the_limit_that_is_configured_now(configure: Callable[..., None]) -> None:
    for slots in (2, 3):
        configure(slots=slots)
        with dg.DagsterInstance.get() as instance:
            run_id = stored_run(
                instance, "orders_job", "shop", status=dg.DagsterRunStatus.NOT_STARTED, run_op_concurrency=RETRY
            )
            workspace: Any = object.__new__(WorkspaceRequestContext)  # the queue asks it for nothing
            run: Any = instance.get_run_by_id(run_id)
            instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace))
            use_a_slot(instance)
            assert instance.event_log_storage.get_concurrency_info(POOL).slot_count == slots


def test_a_limit_that_a_person_has_set_stays(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots(POOL, 7)
    run_id = stored_run(
        instance, "orders_job", "shop", status=dg.DagsterRunStatus.NOT_STARTED, run_op_concurrency=RETRY
    )
    workspace: Any = object.__new__(WorkspaceRequestContext)
    run: Any = instance.get_run_by_id(run_id)
    instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace))
    assert instance.event_log_storage.get_concurrency_info(POOL).slot_count == 7


@pytest.mark.parametrize("configure", [SQLITE], indirect=True)
def test_a_step_that_waits_for_a_slot_gets_it_without_being_asked_again(instance: dg.DagsterInstance) -> None:
    """It pauses: Dagster's executor in one process would not."""
    log = instance.event_log_storage
    log.initialize_concurrency_limit_to_default(POOL)
    for holder in ("first", "second"):
        assert log.claim_concurrency_slot(POOL, holder, STEP).is_claimed

    def free_when_someone_waits() -> None:
        with dg.DagsterInstance.get() as other:
            while len(other.event_log_storage.get_concurrency_info(POOL).pending_steps) < 3:
                pass
            other.event_log_storage.free_concurrency_slots_for_run("first")

    other = threading.Thread(target=free_when_someone_waits)
    other.start()
    assert log.claim_concurrency_slot(POOL, "third", STEP).is_claimed
    other.join()


@pytest.mark.parametrize("configure", [SQLITE], indirect=True)
def test_a_step_that_waits_gets_the_slot_of_one_that_was_killed_before_it_could_say_so(
    configure: Callable[..., None],
) -> None:
    configure(slots=1)

    def someone_waits() -> None:
        with dg.DagsterInstance.get() as other:
            assert isinstance(other.event_log_storage, event_database.EventDatabase)
            other.event_log_storage.add_pending_step(POOL, "second", STEP)

    assert killed_before(1, re.compile("UPDATE pending_steps"), someone_waits)
    with dg.DagsterInstance.get() as instance:
        held = instance.event_log_storage.get_concurrency_info(POOL)
        assert (held.claimed_slots, [step.assigned_timestamp for step in held.pending_steps]) == ([], [None])
        assert instance.event_log_storage.claim_concurrency_slot(POOL, "second", STEP).is_claimed


@dg.asset(pool=POOL)
def waits() -> None: ...


WAITS = dg.Definitions([waits], executor=dg.in_process_executor, jobs=[dg.define_asset_job("waits_job", [waits])])


@pytest.mark.parametrize("configure", [SQLITE], indirect=True)
def test_a_run_that_waits_for_a_slot_can_be_canceled(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_database, "SLOT_WAIT_SECONDS", 0.1)
    log = instance.event_log_storage
    log.initialize_concurrency_limit_to_default(POOL)
    for holder in ("first", "second"):
        assert log.claim_concurrency_slot(POOL, holder, STEP).is_claimed

    def run(own: dg.DagsterInstance) -> None:
        WAITS.resolve_job_def("waits_job").execute_in_process(instance=own, raise_on_error=False)

    def is_waiting() -> bool:
        said = [event.user_message for run in instance.get_runs() for event in instance.all_logs(run.run_id)]
        return any("blocked by limit for pool" in message for message in said)

    deadline = time.monotonic() + SECONDS
    child = in_child(run)
    try:
        while not is_waiting():
            assert time.monotonic() < deadline
        os.kill(child, signal.SIGINT)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            assert time.monotonic() < deadline, "it still waits"
            time.sleep(0.05)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert log.get_concurrency_run_ids() == {"first", "second"}

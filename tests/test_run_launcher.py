"""The run launcher notices runs whose process is gone, and `dagster.yaml` puts it to use."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from code_server import CodeServer, code_server
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from damaged_events import damage_an_event

from optiflow_dagster.event_damage import DamagedEventsError
from optiflow_dagster.run_launcher import (
    LAUNCHED_TAG,
    MOST_SECONDS_TO_START,
    PROCESS_TAG,
    LocalRunLauncher,
    is_alive,
    own_process,
)

ROOT = Path(__file__).parents[1]
PROGRAM = """
from optiflow_dagster.run_launcher import own_process
print(own_process(), flush=True)
input()
"""


@contextmanager
def child() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that says what it is and lives until its input ends."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_is_alive_until_it_ends_also_before_its_exit_code_is_taken() -> None:
    with child() as (process, described):
        assert is_alive(described)
        assert described != own_process()
        process.kill()
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert not is_alive(described)
        process.wait()
        assert not is_alive(described)


def test_this_process_is_alive_and_keeps_its_description() -> None:
    assert own_process() == own_process()
    assert is_alive(own_process())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells start times")
def test_another_process_under_the_same_number_is_not_taken_for_it() -> None:
    boot, number, started = own_process().split(":")
    assert not is_alive(f"{boot}:{number}:{int(started) - 1}")
    assert not is_alive(f"before-the-reboot:{number}:{started}")


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRunLauncher]:
    """The launcher of an instance that is configured by a copy of our `dagster.yaml`."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_launcher, LocalRunLauncher)
        yield instance.run_launcher


def health(launcher: LocalRunLauncher, tags: dict[str, str]) -> tuple[WorkerStatus, str]:
    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
    launcher._instance.add_run(run)
    result = launcher.check_run_worker_health(run)
    return result.status, result.msg or ""


def test_a_command_lines_run_is_healthy_as_long_as_its_process_lives(launcher: LocalRunLauncher) -> None:
    assert launcher.supports_check_run_worker_health
    boot, number, _ = own_process().split(":")
    gone = f"{boot}:{number}:0"
    assert health(launcher, {PROCESS_TAG: own_process()}) == (WorkerStatus.RUNNING, "")
    assert health(launcher, {PROCESS_TAG: gone}) == (WorkerStatus.FAILED, f"The process {gone} that ran it has ended.")


GIVEN = {".dagster/grpc_info": '{"host": "localhost", "socket": "/tmp/no-such-optiflow-socket"}'}


def health_of_process(launcher: LocalRunLauncher, described: str, launched: str) -> WorkerStatus:
    """Of a run that a server, which is gone now, was given; its process has said its number, as Dagster's do."""
    run = dg.DagsterRun(
        job_name="orders_job", status=dg.DagsterRunStatus.STARTED, tags={**GIVEN, LAUNCHED_TAG: launched}
    )
    launcher._instance.add_run(run)
    launcher._instance.report_engine_event("Started", run, EngineEventData.in_process(int(described.split(":")[1])))
    return launcher.check_run_worker_health(run).status


def test_a_run_lives_as_long_as_its_process_also_without_its_server(launcher: LocalRunLauncher) -> None:
    with child() as (process, described):
        boot, _, started = described.split(":")
        assert health_of_process(launcher, described, f"{boot}:{started}") is WorkerStatus.RUNNING
        process.kill()
        process.wait()
        assert health_of_process(launcher, described, f"{boot}:{started}") is WorkerStatus.FAILED


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells start times")
def test_a_later_or_earlier_process_of_the_same_number_is_not_taken_for_the_runs(launcher: LocalRunLauncher) -> None:
    boot, number, started = own_process().split(":")
    second = os.sysconf("SC_CLK_TCK")
    for launched, status in (
        (f"{boot}:{int(started) - 30 * second}", WorkerStatus.RUNNING),
        # It began when the start timeout was over and monitoring had not looked yet.
        (f"{boot}:{int(started) - 305 * second}", WorkerStatus.RUNNING),
        (f"{boot}:{int(started) - 3600 * second}", WorkerStatus.FAILED),
        (f"{boot}:{int(started) + 10 * second}", WorkerStatus.FAILED),
        (f"before-the-reboot:{started}", WorkerStatus.FAILED),
        (f"before-the-reboot:1 {boot}:{started}", WorkerStatus.RUNNING),
    ):
        assert health_of_process(launcher, f"{boot}:{number}", launched) is status, launched


def stored(launcher: LocalRunLauncher, tags: dict[str, str], number: int) -> str:
    """A run at work that a process of this number has said it runs; its id."""
    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
    launcher._instance.add_run(run)
    launcher._instance.report_engine_event("Started", run, EngineEventData.in_process(number))
    return run.run_id


def status(launcher: LocalRunLauncher, run_id: str) -> dg.DagsterRunStatus:
    run = launcher._instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells start times")
def test_canceling_a_command_lines_run_leaves_a_stranger_alone_who_has_its_number_now(
    launcher: LocalRunLauncher,
) -> None:
    with child() as (process, described):
        boot, number, started = described.split(":")
        for gone in (f"before-the-reboot:{number}:{started}", f"{boot}:{number}:{int(started) - 1}"):
            run_id = stored(launcher, {PROCESS_TAG: gone}, process.pid)
            assert launcher.terminate(run_id)
            assert status(launcher, run_id) is dg.DagsterRunStatus.CANCELED
        process.communicate("go on\n")
        assert process.returncode == 0


def test_canceling_a_command_lines_run_interrupts_the_process_that_it_names_and_no_other(
    launcher: LocalRunLauncher,
) -> None:
    with child() as (process, described), child() as (stranger, _):
        run_id = stored(launcher, {PROCESS_TAG: described}, stranger.pid)
        assert launcher.terminate(run_id)
        assert process.wait(timeout=MOST_SECONDS) != 0
        assert status(launcher, run_id) is dg.DagsterRunStatus.CANCELING  # its process says when it has ended
        stranger.communicate("go on\n")
        assert stranger.returncode == 0


def test_a_run_that_the_ui_makes_of_a_command_lines_run_is_judged_by_its_own_process(
    launcher: LocalRunLauncher,
) -> None:
    """It has the tags of the run that it repeats."""
    boot, number, started = own_process().split(":")
    tags = {**GIVEN, PROCESS_TAG: f"{boot}:{number}:0", LAUNCHED_TAG: f"{boot}:{started}"}
    run = launcher._instance.get_run_by_id(stored(launcher, tags, os.getpid()))
    assert run is not None
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_run_whose_events_are_damaged_is_named_with_what_to_do(launcher: LocalRunLauncher, tmp_path: Path) -> None:
    other, run_id = (stored(launcher, GIVEN, os.getpid()) for _ in range(2))
    run = launcher._instance.get_run_by_id(run_id)
    assert run is not None
    damage_an_event(launcher._instance, tmp_path / ".optiflow" / "dagster" / "history" / "event_log.db", run)
    with pytest.raises(DamagedEventsError, match=rf"those of run {run_id} are .* from a backup, or mend it with"):
        launcher.terminate(run_id)
    run = launcher._instance.get_run_by_id(other)
    assert run is not None
    assert launcher._process_numbers(run) == [os.getpid()]


def test_a_run_that_no_process_ever_took_up_has_failed(launcher: LocalRunLauncher) -> None:
    assert health(launcher, GIVEN) == (WorkerStatus.FAILED, "The process that ran it has ended (none was ever there).")


def test_a_run_that_no_server_was_given_yet_is_left_alone(launcher: LocalRunLauncher) -> None:
    assert health(launcher, {}) == (WorkerStatus.RUNNING, "")


def test_our_configuration_watches_retries_and_stays_in_its_folder(launcher: LocalRunLauncher, tmp_path: Path) -> None:
    instance = launcher._instance
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 3
    assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    each = {"applyLimitPerUniqueValue": True}
    assert queue.tag_concurrency_limits == [{"key": "optiflow/dataset", "limit": 1, "value": each}]
    assert (queue.max_concurrent_runs, queue.max_user_code_failure_retries) == (4, 10)
    looked_at = instance.run_monitoring_start_timeout_seconds + instance.run_monitoring_poll_interval_seconds
    assert looked_at + 120 < MOST_SECONDS_TO_START  # on a busy machine a look takes long, too
    assert instance.get_settings("sensors")["use_threads"] is True
    assert instance.get_settings("telemetry") == {"enabled": False}
    instance.add_run(dg.DagsterRun(job_name="orders_job"))
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"dagster.yaml", ".optiflow"}
    assert list((tmp_path / ".optiflow" / "dagster").rglob("*.db"))


ENDS = int(os.environ.get("OPTIFLOW_TEST_RUN_ENDS", "3"))
"""Runs whose ends are watched; `make test-crash` watches thirty."""
BUSY_PROCESSES = 3
MOST_SECONDS = 120


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CodeServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    with code_server(tmp_path) as started:
        yield started


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute; nice ones, or a run's process takes over a minute to begin."""
    command = ["nice", "-n", "10", sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"Not within {MOST_SECONDS} s."
        time.sleep(0.02)


def said_of(server: CodeServer, run_id: str) -> WorkerStatus | None:
    """What run monitoring makes of a run: it looks again at one that ended while it asked."""
    run = server.run(run_id)
    if run.status is not dg.DagsterRunStatus.STARTED:
        return None
    status = server.instance.run_launcher.check_run_worker_health(run).status
    return status if server.run(run_id).status is run.status else None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_polling_health_through_the_ends_of_runs_on_a_busy_machine_never_hangs_nor_fails_one(
    server: CodeServer,
) -> None:
    said: set[WorkerStatus] = set()
    with busy_machine(BUSY_PROCESSES):
        for _ in range(ENDS):
            run_id = server.launch("short_job")

            def has_ended(watched: str = run_id) -> bool:
                said.update(status for status in [said_of(server, watched)] if status is not None)
                return server.run(watched).is_finished

            wait_until(has_ended)
            assert server.run(run_id).status is dg.DagsterRunStatus.SUCCESS
    assert said <= {WorkerStatus.RUNNING}


def test_a_process_that_holds_and_takes_along_the_servers_lock_stops_nobody_else(server: CodeServer) -> None:
    """The event's semaphore stays taken, as it does when a process ends at the wrong moment."""
    holding = server.launch("holding_job")
    wait_until((server.folder / "holding").exists)
    wait_until(lambda: server.run(holding).status is dg.DagsterRunStatus.STARTED)
    assert said_of(server, holding) is WorkerStatus.RUNNING
    beside = server.launch("short_job")
    wait_until(lambda: server.run(beside).is_finished)
    assert server.run(beside).status is dg.DagsterRunStatus.SUCCESS
    (server.folder / "end").touch()
    # Its server takes the exit code and fails the run within a second; whoever asks before that learns it from us.
    wait_until(lambda: said_of(server, holding) is WorkerStatus.FAILED or server.run(holding).is_finished)
    after = server.launch("short_job")
    wait_until(lambda: server.run(after).is_finished)
    assert server.run(after).status is dg.DagsterRunStatus.SUCCESS
    wait_until(lambda: server.run(holding).status is dg.DagsterRunStatus.FAILURE)


def test_canceling_a_run_whose_process_holds_the_servers_lock_interrupts_it_and_stops_nobody_else(
    server: CodeServer,
) -> None:
    holding = server.launch("holding_job")
    wait_until((server.folder / "holding").exists)
    wait_until(lambda: server.run(holding).status is dg.DagsterRunStatus.STARTED)
    assert server.instance.run_launcher.terminate(holding)
    wait_until(lambda: server.run(holding).is_finished)
    assert server.run(holding).status is dg.DagsterRunStatus.CANCELED
    assert not server.instance.run_launcher.terminate(holding)
    beside = server.launch("short_job")
    wait_until(lambda: server.run(beside).is_finished)
    assert server.run(beside).status is dg.DagsterRunStatus.SUCCESS


SLOW_START = """
import time
from pathlib import Path
while (Path(__file__).parent / "slow").exists():
    time.sleep(0.05)
"""
"""As sitecustomize.py: a Python process that is started while the file is there does not come to its work."""


def test_a_run_that_its_server_starts_late_is_not_failed_and_comes_to_its_end(
    server: CodeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.folder / "sitecustomize.py").write_text(SLOW_START)
    slow = server.folder / "slow"
    slow.touch()
    monkeypatch.setattr(DagsterGrpcClient._query, "__defaults__", (1, None))  # instead of Dagster's 60 seconds
    run_id = server.launch("short_job")
    assert server.run(run_id).status is dg.DagsterRunStatus.STARTING
    slow.unlink()
    wait_until(lambda: server.run(run_id).is_finished)
    assert server.run(run_id).status is dg.DagsterRunStatus.SUCCESS


def test_a_run_whose_server_is_gone_has_failed_to_start(server: CodeServer) -> None:
    server.kill()
    with pytest.raises(DagsterUserCodeUnreachableError, match="UNAVAILABLE"):
        server.launch("short_job")
    (run,) = server.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE

"""The run launcher notices runs whose process is gone, and `dagster.yaml` puts it to use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from optiflow_dagster.run_launcher import PROCESS_TAG, LocalRunLauncher, is_alive, own_process

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


def test_a_run_whose_server_is_gone_has_failed(launcher: LocalRunLauncher) -> None:
    tags = {".dagster/grpc_info": '{"host": "localhost", "socket": "/tmp/no-such-optiflow-socket"}'}
    status, said = health(launcher, tags)
    assert (status, said[:30]) == (WorkerStatus.FAILED, "The server that ran it is gone")


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
    assert queue.tag_concurrency_limits == [{"key": "dagster/partition", "limit": 1, "value": each}]
    assert instance.get_settings("telemetry") == {"enabled": False}
    instance.add_run(dg.DagsterRun(job_name="orders_job"))
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"dagster.yaml", ".optiflow"}
    assert list((tmp_path / ".optiflow" / "dagster").rglob("*.db"))

"""Dagster's default run launcher, made to notice runs whose process is gone.

What belongs here: telling whether a run is still being worked on. What does not: launching, which stays Dagster's.
Dagster's own launcher cannot tell: when a machine or `dagster dev` dies, its runs stay "started" for ever and nobody
takes them up again. With this one, run monitoring fails them and run retries start them anew.
"""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

PROCESS_TAG = "optiflow/process"
"""On runs of the command line, which have no server: `<boot id>:<process id>:<start time of the process>`."""


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs in the code server's process group, and checks on them afterwards."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks `check_run_worker_health` only where this is true."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running if the server that was given the run still works on it, or the command line's process lives."""
        process = run.tags.get(PROCESS_TAG)
        if process is not None:
            return _health(is_alive(process), f"The process {process} that ran it has ended.")
        client: Any = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=5)
            alive = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        except DagsterUserCodeUnreachableError:
            alive = False
        return _health(alive, "The server that ran it is gone, or does not know the run.")


def own_process() -> str:
    """This process, told apart from every other one of this machine, also after a reboot."""
    return f"{_boot_id()}:{os.getpid()}:{_start_time(os.getpid())}"


def is_alive(process: str) -> bool:
    """Whether the process that `own_process` described is still there."""
    boot, number, started = process.split(":")
    return boot == _boot_id() and started == _start_time(int(number))


def _health(alive: bool, message: str) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.RUNNING) if alive else CheckRunHealthResult(WorkerStatus.FAILED, message)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unknown"


def _start_time(process: int) -> str:
    """Field 22 of /proc/<pid>/stat; where there is no /proc, whether the process exists is all that is known."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        # A zombie has ended, though nobody has taken its exit code yet.
        return "gone" if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return "gone"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return "gone"
    return "there"

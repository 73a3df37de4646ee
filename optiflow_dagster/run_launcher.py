"""Dagster's default run launcher, made to notice runs whose process is gone.

What belongs here: telling whether a run is still being worked on, and stopping it. What does not: launching, which
stays Dagster's, but for one thing: a server that has not answered in time may be starting the run yet, so such a run is
not failed. If no process has taken it up after a while, run monitoring fails it and it is tried again.

Dagster's own launcher cannot tell: when a machine or `dagster dev` dies, its runs stay "started" for ever and nobody
takes them up again. With this one, run monitoring fails them and run retries start them anew.

The code server is not asked. What it would answer with (`CanCancelExecution`) waits, under the lock that all its runs
need, for an event that it shares with the run's process; a process that ends at the wrong moment takes that event's
semaphore along, and the server never starts, ends or lists a run again. `CancelExecution` waits for the same event, and
`GetCurrentRuns` is not there under `dagster dev`, whose proxy would only ask the newest of several servers. A run's
process names itself in the run's first event, and the kernel knows whether it lives, however busy the machine is.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from optiflow_dagster.event_damage import reading_events_of
from optiflow_dagster.internals import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    LaunchRunContext,
    WorkerStatus,
)

PROCESS_TAG = "optiflow/process"
"""On runs of the command line, which have no server: `<boot id>:<process id>:<start time of the process>`."""
LAUNCHED_TAG = "optiflow/launched"
"""On runs that a server was given: `<boot id>:<time since the boot>`, one more for each time that it was given one."""
MOST_SECONDS_TO_START = 600
"""From the launch to the start of the process, on a busy machine: a later process of its number is not the run's.

Twice the `start_timeout_seconds` of `dagster.yaml`: monitoring looks every ten seconds at best, and a process that begins
between the end of the timeout and the next look is the run's own.
"""
OUT_OF_TIME = "DEADLINE_EXCEEDED"
"""gRPC's word. Under `dagster dev` a proxy stands between: it tells of its own time-out in the text of another error."""


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs by a code server of this machine, and checks on their processes afterwards."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks `check_run_worker_health` only where this is true."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch as Dagster does; the time is kept, by which the run's process is known from a later one of its number."""
        run = context.dagster_run
        launches = [*run.tags.get(LAUNCHED_TAG, "").split(), f"{_boot_id()}:{_ticks_since_boot()}"]
        self._instance.add_run_tags(run.run_id, {LAUNCHED_TAG: " ".join(launches)})
        try:
            super().launch_run(context)
        except DagsterUserCodeUnreachableError as error:
            if OUT_OF_TIME not in repr(error.__cause__):
                raise
            self._instance.report_engine_event(
                "The code server has not answered in time. It may be slow and start the run yet; if no process has taken "
                "it up within the start timeout, the run is failed and tried again.",
                run,
            )

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running as long as a process of the run lives."""
        process = _named_process(run)
        if process is not None:
            return _health(is_alive(process), f"The process {process} that ran it has ended.")
        if GRPC_INFO_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # nobody's but its own: it runs where it was started
        numbers = self._process_numbers(run)
        named = ", ".join(map(str, numbers)) or "none was ever there"
        return _health(bool(_living(run, numbers)), f"The process that ran it has ended ({named}).")

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process, which then stops what it has begun. False if there is nothing to interrupt."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        numbers = self._process_numbers(run)
        if not numbers:
            return super().terminate(run_id)
        living = _living(run, numbers)
        # Only now is it known that a run without a process did not come to its end in the meantime.
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        asked_before = run.status is dg.DagsterRunStatus.CANCELING
        self._instance.report_run_canceling(run)
        if not living:
            self._instance.report_run_canceled(run, "Its process had ended already.")
        for number in () if asked_before else living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGINT)
        return True

    def _process_numbers(self, run: dg.DagsterRun) -> list[int]:
        """The process that the run names, or those that have said that they run it, as its events tell."""
        process = _named_process(run)
        if process is not None:
            return [_number(process)]
        with reading_events_of(run.run_id):
            return _told(self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT))


def own_process() -> str:
    """This process, told apart from every other one of this machine, also after a reboot."""
    return f"{_boot_id()}:{os.getpid()}:{_start_time(os.getpid())}"


def is_alive(process: str) -> bool:
    """Whether the process that `own_process` described is still there."""
    boot, _, started = process.split(":")
    return boot == _boot_id() and started == _start_time(_number(process))


def living_processes(run: dg.DagsterRun, engine_events: Iterable[dg.EventLogEntry]) -> list[int]:
    """The numbers of the run's processes that live, of the one that it names or of those that its events tell."""
    process = _named_process(run)
    return _living(run, [_number(process)] if process is not None else _told(engine_events))


def _told(engine_events: Iterable[dg.EventLogEntry]) -> list[int]:
    told = [e.dagster_event.engine_event_data.metadata.get("pid") for e in engine_events if e.dagster_event is not None]
    return sorted({int(str(number.value)) for number in told if number is not None})


def _number(process: str) -> int:
    return int(process.split(":")[1])


def _named_process(run: dg.DagsterRun) -> str | None:
    """The command line's process. A run that the UI makes of such a run has its tags, but is launched by a server."""
    return None if LAUNCHED_TAG in run.tags else run.tags.get(PROCESS_TAG)


def _living(run: dg.DagsterRun, numbers: list[int]) -> list[int]:
    process = _named_process(run)
    if process is not None:
        return numbers if is_alive(process) else []
    launches = run.tags.get(LAUNCHED_TAG, "").split()
    return [number for number in numbers if _began_soon_after(launches, _start_time(number))]


def _began_soon_after(launches: list[str], started: str) -> bool:
    """Whether a process that lives and has this start time was started by one of these launches.

    A run that an earlier version launched has none, and where there is no /proc no start time is known: then any process
    of the right number is taken for the run's.
    """
    if not started.isdecimal() or not launches:
        return started != GONE
    for launch in launches:
        boot, ticks = launch.split(":")
        # The kernel cuts a start time to whole ticks.
        waited = (int(started) - int(ticks)) / _ticks_a_second()
        if boot == _boot_id() and -1 <= waited <= MOST_SECONDS_TO_START:
            return True
    return False


def _health(alive: bool, message: str) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.RUNNING) if alive else CheckRunHealthResult(WorkerStatus.FAILED, message)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unknown"


def _ticks_a_second() -> int:
    return os.sysconf("SC_CLK_TCK")


def _ticks_since_boot() -> int:
    """In the unit and from the beginning of a process's start time; no clock that is set moves it."""
    return int(time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) * _ticks_a_second())


GONE = "gone"


def _start_time(process: int) -> str:
    """Field 22 of /proc/<pid>/stat; where there is no /proc, whether the process exists is all that is known."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        # A zombie has ended, though nobody has taken its exit code yet.
        return GONE if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return GONE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return GONE
    return "there"

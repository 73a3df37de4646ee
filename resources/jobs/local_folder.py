"""A local job's folder: who is alive in it, and what state its files tell.

What belongs here: reading. What does not: starting and stopping jobs (`local`) and running them (`local_platform`).
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.jobs import local_platform as platform
from resources.jobs.contract import JobKind, JobState, JobStatus

LOCK_FILE = "job.lock"


@contextlib.contextmanager
def try_lock(folder: Path) -> Iterator[int | None]:
    """The job's lock as an open file, None while somebody has it. A process started meanwhile may inherit it."""
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        # Closed, not unlocked: unlocking would also free the lock that the started process inherited.
        os.close(lock)


def is_alive(folder: Path) -> bool:
    """Whether a process of the job, or a submitter that is about to start it, holds the lock."""
    try:
        lock = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
    finally:
        os.close(lock)


def was_launched(folder: Path) -> bool:
    """Whether the job's process was ever started."""
    return (folder / platform.LAUNCHED_FILE).exists()


def is_unfinished(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry of the root is a job without a result; one look at a file name."""
    return not entry.name.startswith(".") and entry.is_dir() and not Path(entry.path, platform.RESULT_FILE).exists()


def read_job(folder: Path) -> JobState | None:
    """The state, or None for a folder whose process was never started."""
    if (folder / platform.RESULT_FILE).exists():
        return read_state(folder, alive=False)
    # The lock is looked at before the result: a job that ends in between is then seen as ended, not as dead.
    alive = is_alive(folder)
    known = (folder / platform.REQUEST_FILE).exists() and (alive or was_launched(folder))
    return read_state(folder, alive) if known else None


def read_state(folder: Path, alive: bool) -> JobState:
    """The state of a job whose process was started.

    Args:
        folder: The job's folder.
        alive: What `is_alive` said *before* this call, so that a job that ends in between is not taken for dead.
    """
    request = json.loads((folder / platform.REQUEST_FILE).read_text())
    started = _read_json(folder / platform.STARTED_FILE)
    result = _read_json(folder / platform.RESULT_FILE)
    kind = JobKind(request["kind"])
    log = folder / platform.LOG_FILE
    reason = None
    if result:
        status, reason = JobStatus(result["status"]), result["failure_reason"]
        ended = datetime.fromisoformat(result["ended_at"])
    elif alive:
        ended = None
        if (folder / platform.STOP_FILE).exists():
            status = JobStatus.STOPPING
        else:
            status = JobStatus.IN_PROGRESS if started else JobStatus.PENDING
    else:
        status, ended = JobStatus.FAILED, datetime.fromtimestamp(log.stat().st_mtime, UTC)
        reason = (
            "the job's process ended without a result: it was killed, ran out of memory, or the machine was restarted. "
            f"Its log is {log}. Run it again."
        )
    done = status is JobStatus.COMPLETED
    output = folder / "output" / "model.tar.gz" if kind is JobKind.TRAINING else folder / "output"
    return JobState(
        name=folder.name,
        kind=kind,
        status=status,
        created_at=datetime.fromisoformat(request["created_at"]),
        started_at=datetime.fromisoformat(started["started_at"]) if started else None,
        ended_at=ended,
        failure_reason=reason,
        output_uri=output.as_uri() if done else None,
        log_uri=log.as_uri(),
        metrics=result["metrics"] if result else {},
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}

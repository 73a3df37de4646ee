"""A local job's folder: who is alive in it, and what state its files tell.

What belongs here: reading. What does not: starting and stopping jobs (`local`) and running them (`local_platform`), and
what counts as a damaged file (`local_files`).

A restored backup or a broken disk may leave files that are empty, cut off or something else. That is one job's trouble:
its state says which file, and every other job goes on. A damaged request or start is not missed by a job that runs or
has a result; a job whose result is damaged has failed.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from optiflow.artifact import MODEL_ARCHIVE
from resources.jobs import local_platform as platform
from resources.jobs.contract import DIGEST_LENGTH, JobKind, JobState, JobStatus
from resources.jobs.local_files import DamagedFileError, Result, read_kind, read_result, read_time

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
    """Whether a process of the job, or a submitter that is about to start it, holds the lock.

    Raises:
        OSError: what lies in the lock's place cannot be opened.
    """
    try:
        # Non-blocking: opening a pipe, should one lie there, would wait for a writer.
        lock = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
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
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir() and not _is_there(Path(entry.path, platform.RESULT_FILE))
    except OSError:  # a link that leads to itself is no job's folder
        return False


def read_job(folder: Path, kind: JobKind | None = None) -> JobState | None:
    """The state, or None for a folder whose process was never started.

    Args:
        folder: The job's folder.
        kind: What the job is taken for if neither its request nor its name says so.
    """
    if _is_there(folder / platform.RESULT_FILE):
        return read_state(folder, False, kind)
    try:
        # The lock is looked at before the result: a job that ends in between is then seen as ended, not as dead.
        alive = is_alive(folder)
    except OSError as error:
        return _failed(folder, kind, f"{folder / LOCK_FILE} cannot be opened ({error.strerror})")
    known = was_launched(folder) or (alive and _is_there(folder / platform.REQUEST_FILE))
    return read_state(folder, alive, kind) if known else None


def read_state(folder: Path, alive: bool, kind: JobKind | None = None) -> JobState:
    """The state of a job whose process was started.

    Args:
        folder: The job's folder.
        alive: What `is_alive` said *before* this call, so that a job that ends in between is not taken for dead.
        kind: What the job is taken for if neither its request nor its name says so.
    """
    try:
        result = read_result(folder / platform.RESULT_FILE)
    except DamagedFileError as error:
        return _failed(folder, kind, str(error))
    if result is not None:
        state = _state(folder, kind, result)
        output = _output(folder, state.kind)
        if state.status is JobStatus.COMPLETED and not output.exists():
            return _failed(folder, kind, f"{output} is gone")
        return state
    if not alive:
        return _failed(folder, kind, _request_damage(folder))
    if (folder / platform.STOP_FILE).exists():
        return _state(folder, kind, Result(JobStatus.STOPPING))
    is_started = _is_there(folder / platform.STARTED_FILE)
    return _state(folder, kind, Result(JobStatus.IN_PROGRESS if is_started else JobStatus.PENDING))


def _state(folder: Path, kind: JobKind | None, result: Result) -> JobState:
    kind = _kind(folder, kind)
    return JobState(
        name=folder.name,
        kind=kind,
        status=result.status,
        created_at=_created_at(folder),
        started_at=_started_at(folder),
        ended_at=result.ended_at,
        failure_reason=result.failure_reason,
        output_uri=_output(folder, kind).as_uri() if result.status is JobStatus.COMPLETED else None,
        log_uri=(folder / platform.LOG_FILE).as_uri(),
        metrics=result.metrics,
    )


def _output(folder: Path, kind: JobKind) -> Path:
    return folder / "output" / MODEL_ARCHIVE if kind is JobKind.TRAINING else folder / "output"


def _failed(folder: Path, kind: JobKind | None, damage: str) -> JobState:
    """The state of a job that has left no result, or none that can be read."""
    log = folder / platform.LOG_FILE
    why = (
        f"the state of the job cannot be read: {damage}. A restored backup or a broken disk leaves such files. "
        f"Its log is {log}. Put the file back, or run the job again."
        if damage
        else "the job's process ended without a result: it was killed, ran out of memory, or the machine was restarted. "
        f"Its log is {log}. Run it again."
    )
    ended = _changed_at(log) or _changed_at(folder)
    return _state(folder, kind, Result(JobStatus.FAILED, ended, why))


def _request_damage(folder: Path) -> str:
    try:
        read_kind(folder / platform.REQUEST_FILE)
        read_time(folder / platform.REQUEST_FILE, "created_at")
    except DamagedFileError as error:
        return str(error)
    return ""


def _kind(folder: Path, kind: JobKind | None) -> JobKind:
    try:
        return read_kind(folder / platform.REQUEST_FILE)
    except DamagedFileError:
        named = re.search(rf"-({'|'.join(JobKind)})-[0-9a-f]{{{DIGEST_LENGTH}}}$", folder.name)
        return JobKind(named[1]) if named else kind or JobKind.TRAINING


def _created_at(folder: Path) -> datetime:
    try:
        return read_time(folder / platform.REQUEST_FILE, "created_at")
    except DamagedFileError:
        launched = _changed_at(folder / platform.LAUNCHED_FILE) or _changed_at(folder)
        return launched or datetime.fromtimestamp(0, UTC)


def _started_at(folder: Path) -> datetime | None:
    try:
        return read_time(folder / platform.STARTED_FILE, "started_at")
    except DamagedFileError:  # or not there: unknown, or not yet
        return None


def _changed_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _is_there(path: Path) -> bool:
    # Also a link that leads nowhere, which `exists` denies.
    return os.path.lexists(path)

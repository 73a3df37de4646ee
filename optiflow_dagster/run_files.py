"""The file that SQLite keeps of each run's events: damaged, it is one run's trouble; unknown to Dagster, it is removed.

What belongs here: which files those are, and what is wrong with one. What does not: which runs are deleted. Other
storages have no such files.

Dagster empties the file of a run that it deletes, and leaves it there, 0.2 MB. It is not removed at once: the UI may just
be reading the run, and finds an empty table then, where without the file it would find none and fail.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from optiflow.errors import UserError
from optiflow_dagster.asked_runs import RUNS_A_QUERY
from optiflow_dagster.internals import sqlite_event_log_storage

QUIET_SECONDS = 3600.0
"""A file is left alone until nothing was written to it for so long."""

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""What SQLite says of a file that was cut off (a restored backup, a full or broken disk). A lock passes by itself."""

# `index.db` holds what all runs share, `.db` what no run has recorded.
_FILE = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.db(-wal|-shm|-journal)?")


class DamagedRunFileError(UserError):
    """The events of one run cannot be read; those of all others can."""


@contextmanager
def reading_events_of(run_id: str) -> Iterator[None]:
    """Around what reads the events of one run.

    Raises:
        DamagedRunFileError: its file is damaged.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in DAMAGE:
            raise
        raise DamagedRunFileError(
            f"Its events cannot be read: the file {run_id}.db in Dagster's history/runs is damaged ({error.orig}). Put it "
            "back from a backup, or remove it."
        ) from error


@dataclass
class RunFiles:
    """The files of one run: the database and what SQLite may have beside it. Times in seconds, sizes in bytes."""

    paths: list[Path] = field(default_factory=list)
    changed_at: float = 0.0
    size: int = 0


def remove_files_of_unknown_runs(instance: dg.DagsterInstance, now: float) -> tuple[int, int]:
    """Remove what is left of runs that were deleted, by whomever.

    Args:
        instance: Whose runs they are.
        now: The time, in seconds since the epoch.

    Returns:
        Of how many runs files were removed, and how many bytes those had.

    Raises:
        OSError: a file cannot be removed, or the folder cannot be read.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, sqlite_event_log_storage()):
        return 0, 0
    found = _files_of_runs(Path(storage.path_for_shard("any")).parent)
    quiet = [run_id for run_id, files in found.items() if now - files.changed_at >= QUIET_SECONDS]
    # A run is recorded before its first event is, so a file without a run is one of a run that is gone.
    unknown = [found[run_id] for run_id in _unknown(instance, quiet)]
    for files in unknown:
        for path in files.paths:
            path.unlink(missing_ok=True)
    return len(unknown), sum(files.size for files in unknown)


def _files_of_runs(folder: Path) -> dict[str, RunFiles]:
    found: dict[str, RunFiles] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if named := _FILE.fullmatch(entry.name):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # SQLite removes its log when the last reader goes
                files = found.setdefault(named[1], RunFiles())
                files.paths.append(Path(entry.path))
                files.changed_at = max(files.changed_at, status.st_mtime)
                files.size += status.st_size
    return found


def _unknown(instance: dg.DagsterInstance, run_ids: list[str]) -> Iterator[str]:
    for start in range(0, len(run_ids), RUNS_A_QUERY):
        asked = run_ids[start : start + RUNS_A_QUERY]
        known = set(instance.get_run_ids(dg.RunsFilter(run_ids=asked)))
        yield from (run_id for run_id in asked if run_id not in known)

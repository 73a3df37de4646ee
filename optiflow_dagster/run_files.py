"""The file that SQLite keeps of each run's events, removed once Dagster knows the run no more.

What belongs here: which files those are. What does not: which runs are deleted. Other storages have no such files.

Dagster empties the file of a run that it deletes, and leaves it there, 0.2 MB. It is not removed at once: the UI may just
be reading the run, and finds an empty table then, where without the file it would find none and fail.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from optiflow_dagster.asked_runs import RUNS_A_QUERY

QUIET_SECONDS = 3600.0
"""A file is left alone until nothing was written to it for so long."""

# `index.db` holds what all runs share, `.db` what no run has recorded.
_FILE = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.db(-wal|-shm|-journal)?")


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
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
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

"""Makes the database of all runs' events, once; what an earlier version has kept in a file a run is moved into it.

What belongs here: making the database whole before anybody sees it, and moving. What does not: using it
(`event_database`).

Every process that opens Dagster's instance comes by, and several do so at once. Whoever has the lock does the work; it may
be killed at any moment, and the next one goes on: a file is removed only when all that it holds is in the database, and
an event that is there already is not put there again.

The earlier version's `index.db` had copies of the events of assets and of the ends of runs, under numbers that cursors,
and the tags of materializations, refer to. They keep those numbers; all others get higher ones.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from optiflow.errors import UserError
from optiflow_dagster.event_damage import DamagedEventsError, is_damage, reading_events_of
from optiflow_dagster.internals import (
    ConsolidatedSqliteEventLogStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
)

EVENTS = "event_log.db"
FRESH = "event_log.new"
"""The folder where it is made."""
RUNS = "runs"
DAMAGED = "damaged"
INDEX = "index.db"
SIDES = ("", "-wal", "-shm", "-journal")
"""What SQLite may have beside a database."""
SECONDS_TO_WAIT = 30.0

# What no run has recorded is in `.db`.
_FILE = re.compile(r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?\.db")
_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

_log = logging.getLogger(__name__)


def prepare(folder: Path) -> None:
    """See to it that the database is in `folder`, with all that earlier versions have left there.

    Raises:
        UserError: a run of an earlier version is still at work.
    """
    if (folder / EVENTS).exists() and not (folder / FRESH).exists() and not _files(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "event_log.lock"):
        if files := _files(folder):
            _refuse_while_at_work(folder)
        if not (folder / EVENTS).exists():
            _make(folder)
        shutil.rmtree(folder / FRESH, ignore_errors=True)
        if files:
            _move(folder, files)


def renumbered_up_to(database: Path) -> int:
    """The highest number that an event of an earlier version has kept; 0 if none was moved."""
    with closing(sqlite3.connect(database, timeout=SECONDS_TO_WAIT)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(folder: Path) -> list[Path]:
    """The databases of an earlier version: those of runs, and the one that they share."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path for path in (folder / RUNS).iterdir() if path.name == INDEX or _FILE.fullmatch(path.name))
    return []


def _refuse_while_at_work(folder: Path) -> None:
    """What its process still writes would go to files that are gone."""
    from optiflow_dagster.run_launcher import living_processes

    if not _count_at_work(folder / "runs.db") or not (folder / RUNS / INDEX).exists():
        return
    runs = SqliteRunStorage.from_local(str(folder)).get_runs(dg.RunsFilter(statuses=_AT_WORK))
    earlier = SqliteEventLogStorage(str(folder / RUNS))
    for run in runs:
        if not (folder / RUNS / f"{run.run_id}.db").exists():
            continue
        try:
            with reading_events_of(run.run_id):
                events = earlier.get_logs_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        except DamagedEventsError:
            continue
        if living := living_processes(run, events):
            raise UserError(
                f"The run {run.run_id} of an earlier version of OptiFlow is still at work (process {living[0]}). Let it "
                "end, or stop it, and start OptiFlow again: the history of runs is moved to its new place then."
            )


def _count_at_work(runs: Path) -> int:
    """Asked of the file: Dagster's storage loads all its migrations first, and mostly there is no such run."""
    if not runs.exists():
        return 0
    with closing(sqlite3.connect(runs, timeout=SECONDS_TO_WAIT)) as database:
        places = ", ".join("?" * len(_AT_WORK))
        named = [status.value for status in _AT_WORK]
        return database.execute(f"SELECT count(*) FROM runs WHERE status IN ({places})", named).fetchone()[0]


def _make(folder: Path) -> None:
    """Make the database under another name, and put it in place when it is whole and on the disk."""
    fresh = folder / FRESH
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    index = folder / RUNS / INDEX
    if index.exists():
        with closing(sqlite3.connect(index)) as old, closing(sqlite3.connect(fresh / EVENTS)) as new:
            old.backup(new)
    else:
        ConsolidatedSqliteEventLogStorage(str(fresh)).dispose()
    with closing(sqlite3.connect(fresh / EVENTS)) as database:
        (highest,) = database.execute("SELECT max(id) FROM event_logs").fetchone()
        database.execute(f"PRAGMA user_version = {highest or 0}")
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("VACUUM")
        database.execute("PRAGMA journal_mode = WAL")
    _synced(fresh / EVENTS)
    (fresh / EVENTS).replace(folder / EVENTS)
    _synced(folder)


def _move(folder: Path, files: list[Path]) -> None:
    """Move the events of all runs, a run at a time."""
    of_runs = [file for file in files if file.name != INDEX]
    _log.warning("Moving the events of %d run(s) to %s, once.", len(of_runs), folder / EVENTS)
    with closing(sqlite3.connect(folder / EVENTS, timeout=SECONDS_TO_WAIT, isolation_level=None)) as database:
        for file in of_runs:
            try:
                events = _events_in(file)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                _put_aside(file, folder / DAMAGED / file.name, error)
            else:
                _store(events, file.name.removesuffix(".db"), database)
                _remove(file)
    for file in files:
        if file.name == INDEX:
            _remove(file)
    with contextlib.suppress(OSError):  # something else lies there, which is not ours
        (folder / RUNS).rmdir()
    _log.warning("All events are in %s.", folder / EVENTS)


def _events_in(file: Path) -> list[dict[str, Any]]:
    """The rows of a run's file in their order, without their numbers; none if the file was made and never written to."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=SECONDS_TO_WAIT)) as old:
        if not old.execute("PRAGMA table_info(event_logs)").fetchall():
            return []
        rows = old.execute("SELECT * FROM event_logs ORDER BY id")
        names = [name for name, *_ in rows.description]
        return [{name: value for name, value in zip(names, row, strict=True) if name != "id"} for row in rows]


def _store(events: list[dict[str, Any]], run_id: str, database: sqlite3.Connection) -> None:
    """Put those into the database that it does not have yet, all or none."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        there = Counter(
            text for (text,) in database.execute("SELECT event FROM event_logs WHERE run_id = ?", (run_id,))
        )
        for event in events:
            if there[event["event"]]:
                there[event["event"]] -= 1
                continue
            # `index.db` had all events of assets, but for those of an asset whose history was wiped.
            row = {**event, "asset_key": None}
            places = ", ".join(f":{name}" for name in row)
            database.execute(f"INSERT INTO event_logs ({', '.join(row)}) VALUES ({places})", row)


def _remove(file: Path) -> None:
    # The database goes last: as long as it is there, this is done again.
    for side in reversed(SIDES):
        Path(f"{file}{side}").unlink(missing_ok=True)


def _put_aside(file: Path, aside: Path, error: sqlite3.DatabaseError) -> None:
    _log.warning(
        "The events in %s cannot be read (%s): it is kept as %s. Put it back from a backup, and they are moved at the next "
        "start.",
        file,
        error,
        aside,
    )
    aside.parent.mkdir(exist_ok=True)
    # The database goes last: as long as it is there, this is done again.
    for side in reversed(SIDES):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{file}{side}").replace(f"{aside}{side}")


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

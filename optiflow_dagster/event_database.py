"""Dagster's events of all runs in one SQLite database, `event_log.db`.

What belongs here: how the database is connected to, and what is particular to events that were moved into it. What does
not: tables and queries, which stay Dagster's, and how the database comes to be there (`event_history`).

Dagster's default is a database a run beside one that all share: 0.2 MB for each run, and an event of an asset is written
twice. Its storage in one database opens a connection for each event, which on closing brings the whole log of what was
written into the database; here connections stay open.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from optiflow_dagster.event_history import EVENTS, prepare, renumbered_up_to
from optiflow_dagster.internals import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConsolidatedSqliteEventLogStorage,
    EventLogConnection,
    EventLogCursor,
    SqlPollingEventWatcher,
    raise_execution_interrupts,
)

PAGES_A_TIME = 2_000
"""Given back in one go, some 8 MB: others wait for so long to write."""

SLOT_PAUSE_SECONDS = 0.25
SLOT_WAIT_SECONDS = 5.0
"""How long a step that waits for a slot of its pool is not answered; the run says that it waits when it is, at first."""


class EventDatabase(ConsolidatedSqliteEventLogStorage):
    """Dagster's storage in one database, with connections that stay open; named by `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        """Open the database in `base_dir`; the first to do so makes it, of what an earlier version has left there."""
        folder = Path(base_dir).absolute()
        prepare(folder)
        self._path = folder / EVENTS
        self._engine = sa.create_engine(
            f"sqlite:///{self._path}", connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        )
        self._watcher: SqlPollingEventWatcher | None = None
        self._tables: set[str] = set()
        self._moved_up_to = renumbered_up_to(self._path)
        super().__init__(str(folder), inst_data)

    @contextmanager
    def _open(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def run_connection(self, run_id: str | None) -> Any:
        """A transaction, for the events of a run."""
        return self._open()

    def index_connection(self) -> Any:
        """A transaction, for what concerns all runs: it is the same database."""
        return self._open()

    def has_table(self, table_name: str) -> bool:
        """Whether there is a table of this name; Dagster asks before each question, and none ever goes."""
        if table_name not in self._tables and sa.inspect(self._engine).has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def get_records_for_run(
        self,
        run_id: str,
        cursor: str | None = None,
        of_type: Any = None,
        limit: int | None = None,
        ascending: bool = True,
    ) -> EventLogConnection:
        """The run's events in their order, which for a run that was moved here is not that of their numbers."""
        if not self._was_moved(run_id):
            return super().get_records_for_run(run_id, cursor, of_type, limit, ascending)
        records = list(super().get_records_for_run(run_id).records)
        records.sort(key=lambda record: record.timestamp, reverse=not ascending)
        records = _after(records, cursor)
        if of_type:
            types = {of_type} if isinstance(of_type, dg.DagsterEventType) else set(of_type)
            records = [
                one for one in records if (event := one.event_log_entry.dagster_event) and event.event_type in types
            ]
        page = records[:limit] if limit else records
        last = EventLogCursor.from_storage_id(page[-1].storage_id).to_string() if page else cursor
        return EventLogConnection(
            page, last or EventLogCursor.from_storage_id(-1).to_string(), len(page) < len(records)
        )

    def _was_moved(self, run_id: str) -> bool:
        if not self._moved_up_to:
            return False
        with self._open() as connection:
            first = connection.execute(
                sa.text("SELECT min(id) FROM event_logs WHERE run_id = :run_id"), {"run_id": run_id}
            ).scalar()
        return first is not None and first <= self._moved_up_to

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> Any:
        """Take a slot of the pool; if none is free, wait a while for one.

        Dagster's executor in one process neither pauses between its questions nor looks for signals: a waiting step took a
        whole core from those that it waited for, and could not be canceled.

        A free slot is given to whoever waits also here, not only when another step ends: one that was killed in between has
        emptied its slot and told nobody.

        Raises:
            DagsterExecutionInterruptedError: the run was asked to end; Dagster cancels it then.
        """
        until = time.monotonic() + SLOT_WAIT_SECONDS
        while True:
            status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
            if status.is_claimed:
                return status
            if time.monotonic() >= until:
                return status.with_sleep_interval(0.0)
            if not status.is_assigned and self.has_unassigned_slots(concurrency_key):
                self.assign_pending_steps([concurrency_key])
                continue
            with raise_execution_interrupts():
                time.sleep(SLOT_PAUSE_SECONDS)

    def watch(self, run_id: str, cursor: str | None, callback: Any) -> None:
        """Call back for each new event of the run; what is asked is the database."""
        # Dagster's storage waits for its file to change, and a database with open connections grows beside it.
        if self._watcher is None:
            self._watcher = SqlPollingEventWatcher(self)
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Any) -> None:
        """Call back no longer."""
        if self._watcher is not None:
            self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        """Close all connections."""
        if self._watcher is not None:
            self._watcher.close()
        self._engine.dispose()
        super().dispose()

    def give_back_space(self) -> int:
        """Give some of the room that deleted events have left back to the disk; how many bytes it was."""
        with closing(sqlite3.connect(self._path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as database:
            ((page_size,),) = database.execute("PRAGMA page_size").fetchall()
            ((free,),) = database.execute("PRAGMA freelist_count").fetchall()
            if free:
                # `execute` would stop after the first page: the statement has a row a page, and no column.
                database.executescript(f"PRAGMA incremental_vacuum({PAGES_A_TIME})")
                database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            ((left,),) = database.execute("PRAGMA freelist_count").fetchall()
        return (free - left) * page_size


def _after(records: list[dg.EventLogRecord], cursor: str | None) -> list[dg.EventLogRecord]:
    """Those behind the cursor: a number of events, or the last event that was taken."""
    if cursor is None:
        return records
    position = EventLogCursor.parse(cursor)
    if position.is_offset_cursor():
        return records[position.offset() :]
    places = [place for place, record in enumerate(records) if record.storage_id == position.storage_id()]
    return records[places[0] + 1 :] if places else records

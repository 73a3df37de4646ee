"""Events of a run that SQLite cannot read, because its file is damaged: one run's trouble, not that of all.

What belongs here: what counts as damage, and how it is told. What does not: what whoever reads makes of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from optiflow.errors import UserError


class DamagedEventsError(UserError):
    """The events of one run cannot be read; those of others can, unless the whole database is damaged."""


@contextmanager
def reading_events_of(run_id: str) -> Iterator[None]:
    """Around what reads the events of one run.

    Raises:
        DamagedEventsError: the part of the database where they are is damaged.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        if not is_damage(error.orig):
            raise
        raise DamagedEventsError(
            f"Its events cannot be read: event_log.db in Dagster's history is damaged where those of run {run_id} are "
            f"({error.orig}). Stop OptiFlow and put the file back from a backup, or mend it with sqlite3's .recover."
        ) from error


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says so: of a file that was cut off (a restored backup, a full or broken disk), but not of a lock."""
    import sqlite3

    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in damage

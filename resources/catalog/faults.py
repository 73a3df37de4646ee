"""What the errors of the catalog's database mean: one message that names the variable, and whether it may pass.

What belongs here: that reading, for SQLite and PostgreSQL. What does not: retrying. An error that is not known here is
a bug, and stays as it is.
"""

import re
import sqlite3

import sqlalchemy as sa
from sqlalchemy import event

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.catalog.address import VARIABLE, shown, without_secrets

_REASON_CHARACTERS = 300

# PostgreSQL's SQLSTATEs, by their first characters. The server that was the writer is read-only after a failover, until
# its name leads to the new one: 25006.
_PASSING_STATES = ("08", "25006", "40", "53", "55", "57", "58")
_MENDABLE_STATES = {
    "28": f"Mend the user and the password in {VARIABLE}.",
    "3D000": f"Create the database, or mend its name in {VARIABLE}.",
    "42501": f"Grant the user of {VARIABLE} that right.",
    "42P01": "Run `optiflow db upgrade`.",
    "42703": "Run `optiflow db upgrade`.",
    "3F000": "Run `optiflow db upgrade`.",
}

# While connecting, libpq tells what was wrong in words only. Words that are not known, such as those of a server that
# speaks another language, count as passing.
_MENDABLE_WORDS = (
    (r"no pg_hba\.conf entry.*no encryption", f"The server wants TLS: add ?sslmode=require to {VARIABLE}."),
    (
        r"authentication failed|no password supplied|role .* (does not exist|is not permitted)|no pg_hba\.conf entry",
        f"Mend the user and the password in {VARIABLE}; there, @ : / % are written %40 %3A %2F %25.",
    ),
    (r"database .* does not exist", f"Create the database, or mend its name in {VARIABLE}."),
    (r"permission denied", f"Grant the user of {VARIABLE} the right to connect."),
    # Errno -3 is a name server that does not answer, which passes.
    (r"failed to resolve host(?!.*Errno -3)|could not translate host", f"Mend the host name in {VARIABLE}."),
    (
        r"invalid ssl\w+ value|not support SSL|root certificate|certificate verify failed|server certificate for",
        f"Mend sslmode and sslrootcert in {VARIABLE}.",
    ),
    (r"invalid connection option|invalid port|invalid integer value", f"Mend the parameters in {VARIABLE}."),
)

_PASSING_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_DISK_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_MENDABLE_SQLITE = (
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
    *(sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT),
)


def tell_plainly(engine: sa.Engine) -> None:
    """Make `engine` raise `TransientError` and `UserError` where it would raise an error of the database known here."""

    def translated(context: sa.ExceptionContext) -> OptiflowError | None:
        # A dead connection that the pool finds before use is not an error yet: the pool opens another.
        return None if context.is_pre_ping else meaning(context.original_exception, engine.url)

    event.listen(engine, "handle_error", translated)


def meaning(error: BaseException, url: sa.URL) -> OptiflowError | None:
    """What a driver's error means to the user; None for one that is not known, which is a bug.

    Args:
        error: The error of the driver, psycopg or sqlite3.
        url: The database that it is about.
    """
    reason = without_secrets(" ".join(str(error).split()), url)[:_REASON_CHARACTERS].rstrip(". ")
    if isinstance(error, sqlite3.Error):
        return _meaning_of_sqlite(error, reason, shown(url))
    if type(error).__module__.partition(".")[0] != "psycopg":
        return None
    remedy = _remedy(error, reason)
    if remedy:
        return UserError(f"The catalog's database {shown(url)}: {reason}. {remedy}")
    if _passes(error):
        return TransientError(
            f"The catalog's database {shown(url)} does not answer: {reason}. "
            f"Try again when it is back; if it has moved, mend {VARIABLE}."
        )
    return None


def _remedy(error: BaseException, reason: str) -> str | None:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return next((remedy for start, remedy in _MENDABLE_STATES.items() if state.startswith(start)), None)
    return next((remedy for words, remedy in _MENDABLE_WORDS if re.search(words, reason)), None)


def _passes(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return state.startswith(_PASSING_STATES)
    return type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")


def _meaning_of_sqlite(error: sqlite3.Error, reason: str, place: str) -> OptiflowError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells apart kinds of the same fault
    if code in _PASSING_SQLITE:
        return TransientError(
            f"The catalog {place} is in use by another process: {reason}. Try again; many processes at once "
            f"are better served by PostgreSQL ({VARIABLE})."
        )
    if code in _DISK_SQLITE:
        return TransientError(
            f"The database cannot be used: {reason} ({place}, {VARIABLE}). If the disk is full, free some space; "
            "then run again. Your uploads are untouched."
        )
    if code in _MENDABLE_SQLITE:
        return UserError(f"The catalog {place} cannot be used: {reason}. Mend the file, or {VARIABLE}, then run again.")
    return None

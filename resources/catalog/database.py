"""Connecting to the catalog's database. What belongs here: engines. What does not: the schema (`schema`)."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from optiflow.errors import UserError
from resources.catalog.address import VARIABLE, parse_address
from resources.catalog.faults import tell_plainly

BUSY_SECONDS = 30
SCHEMA = "optiflow_catalog"
"""On PostgreSQL the tables lie in a schema of their own: Dagster's storage, which may be given the same database, has
tables named `jobs` and `alembic_version` too. It is not `optiflow`, because PostgreSQL looks into the schema that is
named like the user first, and would show Dagster ours."""

# Parameters that the URL may set otherwise. Without the time-outs a server that vanished without a word, as in a
# failover, would hold a process for a quarter of an hour. Statements are not prepared on the server, because poolers
# such as RDS Proxy hand the next transaction to another connection.
POSTGRES_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "optiflow",
}


def make_engine(address: str) -> sa.Engine:
    """An engine for SQLite (in WAL mode, waiting for locks) or PostgreSQL (connections tried before use).

    It raises `TransientError` and `UserError` for what the database itself reports (`faults`).

    Raises:
        UserError: the URL is none, or of another database, or the driver is not installed; names the variable, never
            the URL, which may hold a password.
    """
    url = parse_address(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)
    tell_plainly(engine)
    return engine


def schema_of(engine: sa.Engine) -> str | None:
    """The database schema that the tables lie in."""
    return SCHEMA if engine.dialect.name == "postgresql" else None


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _postgres(url: sa.URL) -> sa.Engine:
    defaults = {name: value for name, value in POSTGRES_DEFAULTS.items() if name not in url.query}
    try:
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            connect_args=defaults | {"prepare_threshold": None},
            execution_options={"schema_translate_map": {None: SCHEMA}},
        )
    except ImportError as error:
        raise UserError(
            f"{VARIABLE} names PostgreSQL, whose driver psycopg is not installed here: "
            "pip install 'optiflow-dagster[aws]'."
        ) from error


def _on_connect(connection: Any, _record: object) -> None:
    # The driver's own transaction control does not put DDL into transactions; SQLAlchemy's BEGIN below does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _on_begin(connection: sa.Connection) -> None:
    # A transaction that reads and then writes must hold the write lock from the start, or SQLite refuses it midway.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")

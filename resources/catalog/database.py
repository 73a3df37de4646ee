"""Connecting to the catalog's database and bringing its schema up to date."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError

from optiflow.errors import UserError

HEAD = "0001"
"""The newest migration. Compared first, because reading the migration folder costs more than all other start-up."""

BUSY_SECONDS = 30


def make_engine(url: str) -> sa.Engine:
    """An engine for SQLite (in WAL mode, waiting for locks) or PostgreSQL.

    Raises:
        UserError: the URL is none, or of another database; names the variable, never the URL, which may hold a password.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise UserError(
            "OPTIFLOW_CATALOG_URL is not a database URL: write sqlite:////path/catalog.db or postgresql+psycopg://…"
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        return engine
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(parsed, pool_pre_ping=True)
    raise UserError(f"OPTIFLOW_CATALOG_URL: {parsed.get_backend_name()!r} is not supported; use sqlite or postgresql.")


def _on_connect(connection: Any, _record: object) -> None:
    # The driver's own transaction control does not put DDL into transactions; SQLAlchemy's BEGIN below does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _on_begin(connection: sa.Connection) -> None:
    # A transaction that reads and then writes must hold the write lock from the start, or SQLite refuses it midway.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(engine: sa.Engine) -> None:
    """Run the migrations that are missing. Safe with two processes at once: the second waits and finds nothing to do."""
    if _version(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

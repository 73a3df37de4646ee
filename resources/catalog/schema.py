"""Which version the catalog's schema has, and bringing it up to date. The migrations lie in `migrations/`."""

from pathlib import Path

import sqlalchemy as sa

from optiflow.errors import UserError
from resources.catalog.address import shown
from resources.catalog.database import schema_of

HEAD = "0002"
"""The newest migration. Compared first, because reading the migration folder costs more than all other start-up.
Versions are numbers of four digits, so that a newer one is greater."""

UPGRADE_LOCK = 0x0F71_F10B
"""The number of PostgreSQL's advisory lock under which the schema is changed; means nothing, must not change."""

_versions = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32)))


def schema_version(engine: sa.Engine) -> str | None:
    """The version that the database's schema has; None if the catalog was never made there."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return _version(connection)


def check_schema(engine: sa.Engine) -> None:
    """Make sure that this program can use the schema.

    Raises:
        UserError: it is missing, older or newer; says which command mends it.
    """
    version = schema_version(engine)
    if version == HEAD:
        return
    _refuse_newer(engine, version)
    found = "holds no catalog yet" if version is None else f"holds a catalog of version {version}; this is {HEAD}"
    raise UserError(f"{shown(engine.url)} {found}. Run `optiflow db upgrade` once, then try again.")


def upgrade(engine: sa.Engine) -> str | None:
    """Run the migrations that are missing, all or none of them.

    Safe with several processes at once: the later ones wait and find nothing to do.

    Returns:
        The version before; `HEAD` if there was nothing to do.

    Raises:
        UserError: the schema is newer than this program.
    """
    if schema_version(engine) == HEAD:
        return HEAD
    with engine.begin() as connection:
        if schema := schema_of(engine):
            _enter_schema(connection, schema)
        before = _version(connection)
        _refuse_newer(engine, before)
        _run_migrations(connection)
    return before


def _enter_schema(connection: sa.Connection, schema: str) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
    if not sa.inspect(connection).has_schema(schema):  # asked first: IF NOT EXISTS wants the right to make one anyway
        connection.execute(sa.schema.CreateSchema(schema))
    # For what a migration writes as text, and for Alembic, which looks for its own table.
    connection.exec_driver_sql(f"SET LOCAL search_path TO {schema}")


def _run_migrations(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _refuse_newer(engine: sa.Engine, version: str | None) -> None:
    if version is not None and version > HEAD:
        raise UserError(
            f"{shown(engine.url)} holds a catalog of version {version}, made by a newer OptiFlow; this one knows "
            f"{HEAD}. Update OptiFlow, then run again."
        )


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_versions.name, schema=schema_of(connection.engine)):
        return None
    return connection.execute(sa.select(_versions.c.version_num)).scalar()

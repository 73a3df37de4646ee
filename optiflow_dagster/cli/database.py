"""`optiflow db`: the catalog's database, for whoever installs or updates OptiFlow. Dagster's own storage is not touched."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import sqlalchemy as sa


@click.group()
def db() -> None:
    """Look after the catalog's database."""


@db.command()
def upgrade() -> None:
    """Make the catalog's tables, or bring them up to date.

    Once before the first start with PostgreSQL, and after each update of OptiFlow. Safe to run twice or at once.
    """
    from resources.catalog import schema
    from resources.catalog.address import shown

    engine = _engine()
    before = schema.upgrade(engine)
    done = "nothing to do" if before == schema.HEAD else f"upgraded from {before or 'nothing'} to {schema.HEAD}"
    click.echo(f"{shown(engine.url)}: {done}. The catalog has version {schema.HEAD}.")


@db.command()
def status() -> None:
    """Show where the catalog is and which version it has."""
    from resources.catalog import schema
    from resources.catalog.address import shown

    engine = _engine()
    version = schema.schema_version(engine)
    click.echo(f"Catalog: {shown(engine.url)}")
    click.echo(f"Version: {version or 'none yet'}, of {schema.HEAD}")
    if version is None or version < schema.HEAD:
        click.echo("Bring it up to date with `optiflow db upgrade`.")
    elif version > schema.HEAD:
        click.echo("It was made by a newer OptiFlow: update this one.")


def _engine() -> "sa.Engine":
    from optiflow_dagster.cli.workplace import open_workplace
    from resources.catalog.database import make_engine

    return make_engine(open_workplace().settings.catalog_address.get_secret_value())

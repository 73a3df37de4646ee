"""Alembic's entry point: migrations run on the connection that `resources.catalog.schema.upgrade` holds."""

from alembic import context

from resources.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

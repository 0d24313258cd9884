"""Alembic runs this for every command; ``haizea.store.migrate`` gives it the connection."""

from __future__ import annotations

from alembic import context

from haizea.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()

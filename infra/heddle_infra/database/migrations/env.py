"""Alembic's entry: runs migrations on the connection that `migrate` hands over."""

from alembic import context

from heddle_infra.database import rollout_models  # noqa: F401  its tables join the metadata
from heddle_infra.database.models import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs migrations on the connection that `migrate` hands over."""

from alembic import context

from heddle_infra.database import edge_models
from heddle_infra.database.models import Table

_ = edge_models  # its tables join those of `models` when it is imported
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()

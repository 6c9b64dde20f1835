"""Alembic's entry: runs migrations on the connection that `migrate` hands over."""

from alembic import context

from heddle_infra.database import accounts, edge_models, rollout_models, webhook_models

# the metadata of all tables: importing these imports `models`
_ = edge_models, rollout_models, webhook_models
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=accounts.TenantQuotaRow.metadata, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()

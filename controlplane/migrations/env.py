"""Alembic's entry: run the steps on the connection that `controlplane.database` hands over, in its transaction."""

from alembic import context

from controlplane.tables import Tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Tables.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

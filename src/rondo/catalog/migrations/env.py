"""Alembic's way in: runs the migrations on the connection, and in the transaction, that `open_catalog` hands over."""

from alembic import context

from rondo.catalog.tables import ALL

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=ALL,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

"""Run the revisions in one transaction, on the connection that `causeway migrate` opened as
causeway_owner.
"""

from alembic import context


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise SystemExit("run `causeway migrate`: it connects as causeway_owner and runs these revisions")
    context.configure(connection=connection, version_table_schema="public", transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


run()

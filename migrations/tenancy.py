"""Tables that belong to tenants: made with tenant_id, forced row-level security, grants and comments, or not
at all.
"""

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

OWNER = "causeway_owner"
PIPELINE = "causeway_pipeline"
API = "causeway_api"
ANALYST = "causeway_analyst"

# The setting is unset (null) before the first set_config and empty after a local one ends: neither is a
# tenant.
_CURRENT_TENANT = "nullif(current_setting('app.tenant_id', true), '')"
_TENANT_FORM = "^[a-z][a-z0-9_]{0,62}$"


def tenant_id() -> sa.Column[Any]:
    """The column that every table with rows has."""
    return text("tenant_id", "the tenant that the row belongs to; row-level security compares it to app.tenant_id")


def text(name: str, comment: str, *, null: bool = False, **options: Any) -> sa.Column[Any]:
    """A text column."""
    return sa.Column(name, sa.Text, nullable=null, comment=comment, **options)


def number(name: str, comment: str, *, null: bool = True) -> sa.Column[Any]:
    """A float8 column; null means undefined, never zero."""
    return sa.Column(name, sa.Double, nullable=null, comment=comment)


def count(name: str, comment: str, *, null: bool = False) -> sa.Column[Any]:
    """A bigint column."""
    return sa.Column(name, sa.BigInteger, nullable=null, comment=comment)


def flag(name: str, comment: str, *, null: bool = False) -> sa.Column[Any]:
    """A boolean column."""
    return sa.Column(name, sa.Boolean, nullable=null, comment=comment)


def json(name: str, comment: str, *, null: bool = False, default: str | None = None) -> sa.Column[Any]:
    """A jsonb column; ``default`` is JSON text."""
    return sa.Column(
        name,
        postgresql.JSONB,
        nullable=null,
        comment=comment,
        server_default=None if default is None else sa.text(f"'{default}'::jsonb"),
    )


def instant(name: str, comment: str, *, null: bool = False, now: bool = False) -> sa.Column[Any]:
    """A timestamptz column; with ``now`` it is filled with the wall clock, not the start of the
    transaction.
    """
    return sa.Column(
        name,
        postgresql.TIMESTAMP(timezone=True),
        nullable=null,
        comment=comment,
        server_default=sa.text("clock_timestamp()") if now else None,
    )


def sequence_number(comment: str) -> sa.Column[Any]:
    """The bigint identity column ``seq``, primary key of a table that is only ever appended to."""
    return sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment=comment)


def provenance_id() -> sa.Column[Any]:
    """The column with which a row that Python made points to ops.provenance."""
    return text("provenance_id", "how the row was made: ops.provenance.provenance_id")


def create_table(
    name: str,
    *items: sa.schema.SchemaItem,
    comment: str,
    grain: str,
    pipeline: Sequence[str] = (),
    api: Sequence[str] = (),
    partition_by: str | None = None,
) -> None:
    """Create ``name`` ("schema.table") with tenancy, partitioned by ``partition_by`` if that is given.

    The table gets a comment that ends with its grain, a check on the form of tenant_id, forced row-level
    security (a session sees and writes the rows of app.tenant_id; causeway_pipeline those of every tenant),
    and the named privileges. Raises ValueError if tenant_id or a column's comment is missing: that table must
    not come to exist.
    """
    schema, table = name.split(".")
    columns = [item for item in items if isinstance(item, sa.Column)]
    if "tenant_id" not in {column.name for column in columns}:
        raise ValueError(f"{name} has no tenant_id")
    silent = [column.name for column in columns if not column.comment]
    if silent:
        raise ValueError(f"{name} has columns without a comment: {', '.join(silent)}")

    op.create_table(
        table,
        *items,
        sa.CheckConstraint(f"tenant_id ~ '{_TENANT_FORM}'", name=f"{table}_tenant_id_form"),
        schema=schema,
        comment=f"{comment.rstrip('.')}. Grain: {grain}.",
        postgresql_partition_by=partition_by,
    )
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant_isolation ON {name}"
        f" USING (tenant_id = {_CURRENT_TENANT}) WITH CHECK (tenant_id = {_CURRENT_TENANT})"
    )
    op.execute(f"CREATE POLICY pipeline_all_tenants ON {name} TO {PIPELINE} USING (true) WITH CHECK (true)")
    for role, privileges in ((PIPELINE, pipeline), (API, api)):
        if privileges:
            op.execute(f"GRANT {', '.join(privileges)} ON {name} TO {role}")


def drop_table(name: str) -> None:
    """Drop "schema.table" with its policies and indexes."""
    schema, table = name.split(".")
    op.drop_table(table, schema=schema)


def create_index(name: str, *columns: str) -> None:
    """Index the columns of "schema.table", under the name that Postgres itself would give."""
    schema, table = name.split(".")
    op.create_index(f"{table}_{'_'.join(columns)}_idx", table, list(columns), schema=schema)


def one_row_per(name: str, *columns: str) -> sa.UniqueConstraint:
    """The constraint that proves the grain of table ``name``; a null counts as a value like any other."""
    if not re.fullmatch(r"[a-z_]+", name):
        raise ValueError(f"not a table name: {name}")
    return sa.UniqueConstraint(*columns, name=f"{name}_grain", postgresql_nulls_not_distinct=True)

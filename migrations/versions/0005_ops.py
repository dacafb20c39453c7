"""Provenance: how every materialised partition was made."""

import sqlalchemy as sa

from migrations.tenancy import count, create_index, create_table, drop_table, instant, json, tenant_id, text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "ops.provenance",
        text("provenance_id", "id that the made rows carry"),
        tenant_id(),
        text("asset", "key of the asset, as stage/name"),
        text("partition_key", "the partition, as tenant|key; null: the asset has no partitions", null=True),
        text("code_version", "version of the asset's code", null=True),
        text("data_version", "version of the asset's data", null=True),
        json("input_versions", "data version of each input, by asset key", default="{}"),
        instant("known_at", "only records received up to then were used; null: all of them", null=True),
        count("seed", "seed of every random choice", null=True),
        text("run_id", "the Dagster run", null=True),
        count("row_count", "rows that were made", null=True),
        instant("materialized_at", "when the rows were made, by our clock", now=True),
        sa.PrimaryKeyConstraint("provenance_id"),
        comment="How every materialised partition was made: history is kept, nothing is changed",
        grain="one row per provenance_id, that is per materialisation of a partition",
        pipeline=("SELECT", "INSERT"),
    )
    create_index("ops.provenance", "tenant_id", "asset", "partition_key")


def downgrade() -> None:
    drop_table("ops.provenance")

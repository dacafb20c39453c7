"""The assignment of every known unit, made in one go."""

import sqlalchemy as sa

from migrations.tenancy import (
    count,
    create_table,
    drop_table,
    flag,
    instant,
    one_row_per,
    provenance_id,
    tenant_id,
    text,
)

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "experiments.assignments"


def upgrade() -> None:
    create_table(
        TABLE,
        tenant_id(),
        text("experiment", "key of the experiment"),
        text("unit_id", "the unit"),
        text("variant", "the variant that it has or would be given; null: it is not in the experiment", null=True),
        flag("in_experiment", "whether it is in the experiment"),
        text("status", "what decided, in a word: assigned, sticky, forced, or why it is not in the experiment"),
        text("reason", "what decided, as OpenFeature says it"),
        count("bucket", "where its hash put it; null: it was not hashed", null=True),
        flag("sticky", "whether the variant is one that is stored"),
        text("layer", "the layer whose buckets the experiment shares with others", null=True),
        text("holdout", "the holdout that holds it", null=True),
        text("randomization_unit", "what was hashed: the unit itself, its cluster, or its earlier id", null=True),
        text("unit_attribute", "the attribute in which that was found", null=True),
        instant("window_start", "start of the switchback window for which it holds", null=True),
        text("policy_version", "version of what decided it"),
        provenance_id(),
        one_row_per("assignments", "tenant_id", "experiment", "unit_id"),
        sa.CheckConstraint("NOT in_experiment OR variant IS NOT NULL", name="assignments_inside_with_a_variant"),
        comment="What each known unit is or would be assigned, as things stood when this was made",
        grain="one row per tenant, experiment and known unit",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )


def downgrade() -> None:
    drop_table(TABLE)

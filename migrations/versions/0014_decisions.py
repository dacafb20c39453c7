"""Decisions that people took, and more of what the rule saw; who may switch an experiment off."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import (
    PIPELINE,
    create_index,
    create_table,
    drop_table,
    flag,
    instant,
    json,
    sequence_number,
    tenant_id,
    text,
)

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Of the rule's record: what was not written down before.
GAINED = (
    text("variant", "the variant to ship; null unless the decision is ship", null=True),
    json("conditions", "what shipping asks for, met or not, by check and variant", default="[]"),
    json("input_provenance_ids", "how the inputs were made: ops.provenance.provenance_id", default="[]"),
)


def upgrade() -> None:
    for column in GAINED:
        op.add_column("experiment_decisions", column.copy(), schema="decisions")
    create_table(
        "registry.decisions",
        sequence_number("order in which they were taken"),
        tenant_id(),
        text("decision_id", "id of the decision"),
        text("experiment", "key of the experiment"),
        text("decision", "ship, stop or continue"),
        text("variant", "the variant that is shipped; null unless the decision is ship", null=True),
        text("actor", "who decided, by the caller's word"),
        text("recorded_by", "the public part of the key with which it was sent"),
        text("reason", "why, in their words", null=True),
        flag("is_override", "whether it was taken against failing checks"),
        json("failing_checks", "what spoke against it, by check and variant", default="[]"),
        text("recommendation", "what the declared rule said; null: nothing yet", null=True),
        json("inputs", "what the rule made that of: numbers, gates, conditions, dates", default="{}"),
        text("snapshot_id", "of the results as they were served; null: none were", null=True),
        instant("decided_at", "when it was taken, by our clock", now=True),
        sa.UniqueConstraint("tenant_id", "decision_id", name="decisions_decision_id"),
        sa.CheckConstraint("decision IN ('ship', 'stop', 'continue')", name="decisions_decision_known"),
        sa.CheckConstraint("(variant IS NOT NULL) = (decision = 'ship')", name="decisions_variant_if_shipped"),
        sa.CheckConstraint(
            "is_override = (jsonb_array_length(failing_checks) > 0) AND (reason IS NOT NULL OR NOT is_override)",
            name="decisions_override_has_reason",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["registry.tenants.tenant_id"]),
        comment="Decisions that people took about experiments, those against the declared rule too; nothing is changed",
        grain="one row per decision",
        pipeline=("SELECT",),
        api=("SELECT", "INSERT"),
    )
    create_index("registry.decisions", "tenant_id", "experiment", "seq")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registry.decisions"
        " FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change()"
    )
    # A guardrail that is harmed at night may have its experiment switched off, where that is declared.
    op.execute(f"GRANT INSERT ON registry.kill_switches TO {PIPELINE}")


def downgrade() -> None:
    op.execute(f"REVOKE INSERT ON registry.kill_switches FROM {PIPELINE}")
    drop_table("registry.decisions")
    for column in reversed(GAINED):
        op.drop_column("experiment_decisions", column.name, schema="decisions")

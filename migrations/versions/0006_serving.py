"""What serving shows straight from raw: the assignments of units. Everything else in serving is made by
dbt.
"""

from alembic import op

from migrations.tenancy import ANALYST, API, PIPELINE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = {
    "tenant_id": "the tenant of the session",
    "unit_id": "the unit",
    "experiment": "key of the experiment",
    "variant": "the variant that the unit was given",
    "assigned_at": "when it was given, by the sender",
    "source": "where the assignment came from",
}


def upgrade() -> None:
    # The view reads as its owner, whose own policy is that of the session's tenant: security is forced on
    # raw.assignments.
    op.execute(
        """
        CREATE VIEW serving.unit_assignments WITH (security_barrier) AS
        SELECT tenant_id, unit_id, experiment, variant, occurred_at AS assigned_at, source
        FROM raw.assignments
        """
    )
    op.execute(
        "COMMENT ON VIEW serving.unit_assignments IS 'Assignments of units to variants, of the tenant of the"
        " session, pipeline included. Grain: one row per received assignment.'"
    )
    for column, comment in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN serving.unit_assignments.{column} IS '{comment}'")
    op.execute(f"GRANT SELECT ON serving.unit_assignments TO {PIPELINE}, {API}, {ANALYST}")


def downgrade() -> None:
    op.execute("DROP VIEW serving.unit_assignments")

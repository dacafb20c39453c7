"""Reports as they were published, which an asset writes beside the tables that dbt makes."""

from alembic import op

from migrations.effects import experiment
from migrations.tenancy import ANALYST, create_table, drop_table, json, one_row_per, provenance_id, tenant_id, text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "serving.experiment_reports",
        tenant_id(),
        experiment(),
        text("title", "what to do: ship, stop, keep it running, or withheld"),
        json("lead", "a sentence for each variant on the primary metric, or why there is none"),
        text("page", "the report as one HTML page that needs no other file"),
        provenance_id(),
        one_row_per("experiment_reports", "tenant_id", "experiment"),
        comment="Reports of experiments as they were published",
        grain="one row per tenant and experiment",
        pipeline=("SELECT", "INSERT", "DELETE"),
        api=("SELECT",),
    )
    op.execute(f"GRANT SELECT ON serving.experiment_reports TO {ANALYST}")


def downgrade() -> None:
    drop_table("serving.experiment_reports")

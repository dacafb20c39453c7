"""Reports of studies as they were published."""

from alembic import op

from migrations.tenancy import ANALYST, create_table, drop_table, json, one_row_per, provenance_id, tenant_id, text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "serving.study_reports",
        tenant_id(),
        text("study", "key of the study"),
        text("title", "the verdict: credible, to be read with caution, withheld, or not answered yet"),
        json("lead", "what was found, in sentences, or why nothing is shown"),
        text("page", "the report as one HTML page that needs no other file"),
        provenance_id(),
        one_row_per("study_reports", "tenant_id", "study"),
        comment="Reports of studies as they were published",
        grain="one row per tenant and study",
        pipeline=("SELECT", "INSERT", "DELETE"),
        api=("SELECT",),
    )
    op.execute(f"GRANT SELECT ON serving.study_reports TO {ANALYST}")


def downgrade() -> None:
    drop_table("serving.study_reports")

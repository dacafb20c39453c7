"""The effect on each unit of a study. A stand-in with the columns that are agreed on."""

from migrations.tenancy import create_table, drop_table, flag, number, one_row_per, provenance_id, tenant_id, text

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "estimates.unit_effects",
        tenant_id(),
        text("study", "key of the study"),
        text("unit_id", "the unit"),
        number("effect", "conditional effect of the unit (CATE), in units of the outcome"),
        number("ci_low", "lower end of the confidence interval of effect"),
        number("ci_high", "upper end of the confidence interval of effect"),
        number("score", "doubly robust score of the effect, whose mean over units estimates theirs"),
        number("propensity", "probability of treatment"),
        flag("treated", "whether the unit was treated", null=True),
        number("outcome", "outcome of the unit"),
        flag("extrapolated", "whether the effect lies outside what was observed", null=True),
        flag("treat", "whether the policy would treat the unit; null: there is none", null=True),
        provenance_id(),
        one_row_per("unit_effects", "tenant_id", "study", "unit_id"),
        comment="Effects of studies on single units",
        grain="one row per tenant, study and unit",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )


def downgrade() -> None:
    drop_table("estimates.unit_effects")

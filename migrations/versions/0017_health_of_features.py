"""Gates that look at what was known of the units beforehand lie in the stage where that is known."""

from migrations.effects import experiment
from migrations.tenancy import create_table, drop_table, flag, json, number, one_row_per, provenance_id, tenant_id, text

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "features.health",
        tenant_id(),
        experiment(),
        text("check_name", "name of the check"),
        flag("passed", "whether the check passed; null: it could not be made", null=True),
        flag("blocking", "whether a failure withholds the experiment's results"),
        number("p_value", "p value of the check, where it is a test"),
        json("observed", "what was seen", null=True),
        json("expected", "what was expected", null=True),
        text("detail", "the finding in words", null=True),
        provenance_id(),
        one_row_per("features_health", "tenant_id", "experiment", "check_name"),
        comment="What the health checks of an experiment's segments and covariates found",
        grain="one row per tenant, experiment and check",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )


def downgrade() -> None:
    drop_table("features.health")

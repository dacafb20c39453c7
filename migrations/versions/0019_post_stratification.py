"""Effects within strata, weighted as the strata occur."""

from migrations.effects import create_effect_table
from migrations.tenancy import drop_table

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_effect_table("post_stratified_effects", "Effects within the strata that segments make together")


def downgrade() -> None:
    drop_table("estimates.post_stratified_effects")

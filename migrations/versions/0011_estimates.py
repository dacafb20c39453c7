"""Effects by more methods."""

from migrations.effects import create_effect_table
from migrations.tenancy import drop_table

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

EFFECT_TABLES = {"cuped_effects": "Effects adjusted for the metric's own past and for covariates"}


def upgrade() -> None:
    for name, comment in EFFECT_TABLES.items():
        create_effect_table(name, comment)


def downgrade() -> None:
    for name in reversed(EFFECT_TABLES):
        drop_table(f"estimates.{name}")

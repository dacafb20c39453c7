"""What is concluded from effects: looks before the end, the comparison on which a metric is judged, contrasts."""

from typing import Any

import sqlalchemy as sa

from migrations.effects import create_effect_table, experiment, honest_status, metric, number_columns
from migrations.tenancy import (
    count,
    create_table,
    drop_table,
    flag,
    json,
    number,
    one_row_per,
    provenance_id,
    tenant_id,
    text,
)

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("estimates.daily_looks", "estimates.headline_effects", "estimates.contrast_effects")
PIPELINE_REPLACES = ("SELECT", "INSERT", "DELETE")


def compared() -> list[sa.Column[Any]]:
    return [
        tenant_id(),
        experiment(),
        metric(),
        text("variant", "the variant whose effect this is"),
        text("control", "the variant that it is compared with"),
        text("method", "the estimate: difference_in_means, cuped or adjusted"),
        text("interval", "fixed_horizon, always_valid or group_sequential: how its interval allows for looks"),
        text("status", "ok, or why there is no number"),
        count("n", "units in the variant"),
        count("n_control", "units in the control"),
        *number_columns(),
    ]


def upgrade() -> None:
    create_table(
        "estimates.daily_looks",
        *compared(),
        sa.Column("day", sa.Date, nullable=False, comment="UTC day, up to whose end everything is in the effect"),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("daily_looks", "tenant_id", "experiment", "metric", "variant", "day"),
        *honest_status("daily_looks"),
        comment="Effects as they stood at the end of each day, with intervals that hold at every look",
        grain="one row per tenant, experiment, metric, variant and day",
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "estimates.headline_effects",
        *compared(),
        number("adjusted_p_value", "p value corrected for the family of metrics and variants; null for guardrails"),
        flag("is_significant", "whether it holds at the declared error rate of the family", null=True),
        number("chance_to_beat", "posterior probability that the variant is better than the control"),
        number("expected_loss", "posterior expected loss in units of the metric, were the variant shipped"),
        json("posterior", "the posterior of the relative effect with its prior, or why there is none", default="{}"),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("headline_effects", "tenant_id", "experiment", "metric", "variant"),
        *honest_status("headline_effects"),
        comment="The one comparison by which each metric and variant is judged",
        grain="one row per tenant, experiment, metric and variant",
        pipeline=PIPELINE_REPLACES,
    )
    create_effect_table("contrast_effects", "Declared linear contrasts over variants; variant has the contrast's name")


def downgrade() -> None:
    for table in reversed(TABLES):
        drop_table(table)

"""What is found without anybody asking: effects that differ between segments, and pairs of experiments that disturb
each other.
"""

import sqlalchemy as sa

from migrations.effects import STATUSES, experiment, metric
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

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

PIPELINE_REPLACES = ("SELECT", "INSERT", "DELETE")


def honest_test(table: str) -> list[sa.CheckConstraint]:
    """Either the row is ok and has a p-value, or it says why not and claims nothing."""
    return [
        sa.CheckConstraint(f"status IN {STATUSES}", name=f"{table}_status"),
        sa.CheckConstraint(
            "CASE WHEN status = 'ok' THEN num_nonnulls(p_value, q_value) = 2"
            " ELSE num_nonnulls(p_value, q_value, statistic) = 0 AND NOT found END",
            name=f"{table}_no_number_without_ok",
        ),
    ]


def upgrade() -> None:
    create_table(
        "estimates.heterogeneity",
        tenant_id(),
        experiment(),
        metric(),
        text("segment", "the declared segment: a column"),
        text("variant", "the variant whose effect is looked at"),
        text("control", "the variant that it is compared with"),
        text("status", "ok, or why nothing was tested"),
        number("p_value", "p value of equal effects in all levels, by Welch's F"),
        number("q_value", "p value by Benjamini and Hochberg over all tests of the experiment"),
        flag("found", "whether the effect differs, with the declared false discovery rate"),
        number("statistic", "Cochran's Q"),
        count("df", "its degrees of freedom: levels with an effect, less one", null=True),
        number("i_squared", "share of the spread between levels that chance does not explain, 0 to 1"),
        number("pooled_effect", "mean of the levels' effects, weighted by their precision"),
        number("p_value_qualitative", "p value of 'no level has an effect of the other sign', by Gail and Simon"),
        json("levels", "each level against all others, and whether it was found to differ", default="[]"),
        json("levels_found", "names of the levels that were found to differ", default="[]"),
        json(
            "reversed_levels",
            "names of the levels whose effect has the sign opposite to that on everybody",
            default="[]",
        ),
        flag("simpson", "whether the effect on everybody has one sign and that of every level the other"),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("heterogeneity", "tenant_id", "experiment", "metric", "segment", "variant"),
        *honest_test("heterogeneity"),
        comment="Whether effects differ between the levels of declared segments",
        grain="one row per tenant, experiment, metric, segment and variant",
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "estimates.interactions",
        tenant_id(),
        text("experiment_a", "the one of the two experiments whose key comes first"),
        text("experiment_b", "the other one"),
        text("test", "assignment: are the variants dealt independently; interaction: do the effects add up"),
        text("measured_in", "interaction: the experiment whose primary metric it is", null=True),
        text("metric", "interaction: the key of that metric", null=True),
        text("status", "ok, or why nothing was tested"),
        count("n", "units in both experiments"),
        number("p_value", "p value of independence or of effects that add up"),
        number("q_value", "p value by Benjamini and Hochberg over all pairs of the tenant, each test apart"),
        flag("found", "whether it was found, with the false discovery rate of settings"),
        number("statistic", "assignment: chi-square; interaction: approximate F"),
        number("df", "its degrees of freedom"),
        number("df_denominator", "interaction: degrees of freedom of the denominator"),
        number("cramers_v", "assignment: size of the dependence, 0 none to 1 complete"),
        json(
            "effects",
            "interaction: by variants of both, by how much the effect of one differs with the other",
            default="[]",
        ),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("interactions", "tenant_id", "experiment_a", "experiment_b", "test", "measured_in"),
        *honest_test("interactions"),
        sa.CheckConstraint("experiment_a < experiment_b", name="interactions_each_pair_once"),
        sa.CheckConstraint("test IN ('assignment', 'interaction')", name="interactions_test"),
        comment="Pairs of experiments that run at the same time on the same units, and whether they disturb each other",
        grain="one row per tenant, pair of experiments, test and experiment that it is measured in",
        pipeline=PIPELINE_REPLACES,
    )


def downgrade() -> None:
    drop_table("estimates.interactions")
    drop_table("estimates.heterogeneity")

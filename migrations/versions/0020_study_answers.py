"""A study's answer in whole, for each of its outcomes and segments, and the effects on its units."""

import sqlalchemy as sa
from alembic import op

from migrations.effects import honest_status
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

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_REPLACES = ("SELECT", "INSERT", "DELETE")


def upgrade() -> None:
    # What lies in it has another shape and is made again from the units.
    drop_table("estimates.study_effects")
    create_table(
        "estimates.study_effects",
        tenant_id(),
        text("study", "key of the study"),
        text("outcome", "column of the outcome"),
        text("segment", "whom it is about, such as region=north; empty: everybody"),
        text("verdict", "credible, caution or withheld"),
        json("reasons", "why the verdict is what it is", default="[]"),
        json("estimand", "what is estimated, in words, and how it is identified"),
        json("estimates", "one entry a method", default="[]"),
        json("headline", "the estimate that the verdict is about; null: there is none", null=True),
        count("n", "units used"),
        count("n_left_out", "rows that could not be used"),
        json("left_out", "rows that could not be used, by reason", default="{}"),
        json("rules", "what each rule of the verdict saw", default="[]"),
        json("refutations", "what was tried against the estimate, and what came of it", default="[]"),
        json("diagnostics", "overlap, balance, negative controls, instruments, nuisances, graph", default="{}"),
        json("sensitivity", "how much would have to be unmeasured to change the answer", default="{}"),
        json("heterogeneity", "how the effect differs between units", default="{}"),
        provenance_id(),
        one_row_per("study_effects", "tenant_id", "study", "outcome", "segment"),
        sa.CheckConstraint("verdict IN ('credible', 'caution', 'withheld')", name="study_effects_verdict"),
        comment="Answers of studies",
        grain="one row per tenant, study, outcome and segment",
        pipeline=_REPLACES,
    )
    op.execute(
        "ALTER TABLE estimates.study_effects ADD CONSTRAINT study_effects_withheld_without_number CHECK"
        " (verdict <> 'withheld' OR coalesce(headline ->> 'effect', '') = '')"
    )
    create_table(
        "estimates.unit_effects",
        tenant_id(),
        text("study", "key of the study"),
        text("unit_id", "the unit"),
        number("effect", "effect on units with the same modifiers, out of fold, in units of the outcome"),
        number("ci_low", "lower end of the 95 % interval of the average effect among units of similar effect"),
        number("ci_high", "upper end of the same"),
        number("score", "doubly robust score, whose mean over units estimates their average effect"),
        number("propensity", "probability of treatment"),
        flag("treated", "whether the unit was treated"),
        number("outcome", "outcome of the unit"),
        flag("extrapolated", "whether the unit has no counterpart in the other arm; then it has no interval"),
        flag("treat", "whether the policy would treat the unit; null: there is none", null=True),
        provenance_id(),
        one_row_per("unit_effects", "tenant_id", "study", "unit_id"),
        comment="Effects on the units of studies",
        grain="one row per tenant, study and unit",
        pipeline=_REPLACES,
    )


def downgrade() -> None:
    drop_table("estimates.unit_effects")
    drop_table("estimates.study_effects")
    create_table(
        "estimates.study_effects",
        tenant_id(),
        text("study", "key of the study"),
        text("method", "dowhy_linear_regression, unadjusted, ..."),
        text("target", "whose effect: ATE, ATT, ATC or LATE"),
        text("estimand", "the identified estimand in words; null if none was identified", null=True),
        text("status", "ok, or why there is no number"),
        number("effect", "effect of the treatment, in units of the outcome; null unless status is ok"),
        number("std_error", "standard error of effect"),
        number("ci_low", "lower end of the confidence interval of effect"),
        number("ci_high", "upper end of the confidence interval of effect"),
        number("p_value", "two-sided p value of effect = 0"),
        count("n", "rows that the estimate used", null=True),
        count("n_left_out", "rows left out, such as those with a missing value", null=True),
        text("verdict", "credible, caution or withheld, for the study as a whole"),
        json("reasons", "why the verdict is what it is", default="[]"),
        json("refutations", "what was tried against this estimate, and what came of it", default="[]"),
        json("diagnostics", "identification, overlap and balance", default="{}"),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("study_effects", "tenant_id", "study", "method", "target"),
        *honest_status("study_effects", "effect", "std_error", "ci_low", "ci_high", "p_value"),
        comment="Effects estimated from observational data",
        grain="one row per tenant, study, method and target",
        pipeline=_REPLACES,
    )

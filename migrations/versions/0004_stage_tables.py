"""The tables that Python assets write, one stage after another. dbt makes the tables of its own stages
itself.

Every grain begins with tenant_id and the experiment or study, so its index is also the one that reads need.
"""

from typing import Any

import sqlalchemy as sa

from migrations.effects import create_effect_table, experiment, honest_status, metric
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

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PIPELINE_REPLACES = ("SELECT", "INSERT", "DELETE")
EFFECT_TABLES = {
    "difference_in_means": "Differences in means between variants, without adjustment",
    "adjusted_effects": "Effects adjusted for covariates and the twins' prognostic scores",
    "segment_effects": "Effects within segments of units",
}
EXPERIMENT_TABLES = (
    "experiments.health",
    "models.prognostic_models",
    "models.prognostic_predictions",
    "twins.prognostic_scores",
    *(f"estimates.{name}" for name in EFFECT_TABLES),
    "decisions.experiment_decisions",
)
STUDY_TABLES = ("estimates.study_effects",)


def study() -> sa.Column[Any]:
    return text("study", "key of the study")


def upgrade() -> None:
    create_table(
        "experiments.health",
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
        one_row_per("health", "tenant_id", "experiment", "check_name"),
        comment="What the health checks of an experiment found",
        grain="one row per tenant, experiment and check",
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "models.prognostic_models",
        tenant_id(),
        experiment(),
        metric(),
        text("learner", "the learner that was trained"),
        number("r_squared", "out-of-fold R squared; null if it could not be computed"),
        count("n_train", "units that the model was trained on"),
        json("features", "the features, in order"),
        text("mlflow_run_id", "the MLflow run that holds the model", null=True),
        text("model_uri", "where the model lies", null=True),
        count("seed", "seed of every random choice in the training", null=True),
        provenance_id(),
        one_row_per("prognostic_models", "tenant_id", "experiment", "metric"),
        comment="Models that predict a metric from what was known before the experiment",
        grain="one row per tenant, experiment and metric",
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "models.prognostic_predictions",
        tenant_id(),
        experiment(),
        metric(),
        text("unit_id", "the unit"),
        number("predicted", "predicted value under control, by a model that never saw this unit's outcome"),
        provenance_id(),
        one_row_per("prognostic_predictions", "tenant_id", "experiment", "metric", "unit_id"),
        comment="Out-of-fold predictions of the prognostic models",
        grain="one row per tenant, experiment, metric and unit",
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "twins.prognostic_scores",
        tenant_id(),
        experiment(),
        metric(),
        text("unit_id", "the unit"),
        number("score", "the metric's predicted value under control, in units of the metric"),
        number("score_low", "lower end of the 90 % prediction interval"),
        number("score_high", "upper end of the 90 % prediction interval"),
        provenance_id(),
        one_row_per("prognostic_scores", "tenant_id", "experiment", "metric", "unit_id"),
        comment="What each unit's twin would do under control",
        grain="one row per tenant, experiment, metric and unit",
        pipeline=PIPELINE_REPLACES,
    )
    for name, comment in EFFECT_TABLES.items():
        create_effect_table(name, comment)
    create_table(
        "estimates.study_effects",
        tenant_id(),
        study(),
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
        pipeline=PIPELINE_REPLACES,
    )
    create_table(
        "decisions.experiment_decisions",
        tenant_id(),
        experiment(),
        text("decision", "what the rule says to do"),
        json("rule", "the rule, with its thresholds"),
        json("reasons", "why, in order of weight"),
        json("inputs", "the numbers and gates that the rule saw"),
        provenance_id(),
        one_row_per("experiment_decisions", "tenant_id", "experiment"),
        comment="Decisions on experiments",
        grain="one row per tenant and experiment",
        pipeline=PIPELINE_REPLACES,
    )


def downgrade() -> None:
    for table in reversed((*EXPERIMENT_TABLES, *STUDY_TABLES)):
        drop_table(table)

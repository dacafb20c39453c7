"""Tables of effects: the columns that all of them have, and what may stand in them together."""

from typing import Any

import sqlalchemy as sa

from migrations.tenancy import count, create_table, json, number, one_row_per, provenance_id, tenant_id, text

STATUSES = (
    "ok",
    "no_units",
    "too_few_units",
    "zero_variance",
    "no_covariates",
    "no_overlap",
    "not_estimable",
    "withheld",
)
_NUMBERS = (
    "effect",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "relative_effect",
    "relative_ci_low",
    "relative_ci_high",
)


def experiment() -> sa.Column[Any]:
    return text("experiment", "key of the experiment")


def metric() -> sa.Column[Any]:
    return text("metric", "key of the metric in the experiment's declaration")


def result_columns() -> list[sa.Column[Any]]:
    """The columns that every table of experiment effects has, in the order in which all of them have them."""
    return [
        tenant_id(),
        experiment(),
        metric(),
        text("segment", "the segment as column=value; null: everybody", null=True),
        text("variant", "the variant whose effect this is"),
        text("control", "the variant that it is compared with"),
        text("method", "difference_in_means, adjusted or econml_linear_dml"),
        text("status", "ok, or why there is no number"),
        count("n", "units in the variant"),
        count("n_control", "units in the control"),
        *number_columns(),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
    ]


def number_columns() -> list[sa.Column[Any]]:
    """The numbers of an effect."""
    return [
        number("mean", "mean of the metric in the variant"),
        number("mean_control", "mean of the metric in the control"),
        number("effect", "mean difference, in units of the metric; null unless status is ok"),
        number("std_error", "standard error of effect"),
        number("ci_low", "lower end of the confidence interval of effect"),
        number("ci_high", "upper end of the confidence interval of effect"),
        number("p_value", "two-sided p value of effect = 0"),
        number("relative_effect", "effect divided by the control's mean; null if that is not defined"),
        number("relative_ci_low", "lower end of the confidence interval of relative_effect"),
        number("relative_ci_high", "upper end of the confidence interval of relative_effect"),
    ]


def honest_status(table: str, *numbers: str) -> list[sa.CheckConstraint]:
    """Either the row is ok and has an effect, or it says why not and has no number that could be mistaken for
    one. Without ``numbers`` these are the numbers of an effect.
    """
    none = f"num_nonnulls({', '.join(numbers or _NUMBERS)}) = 0"
    return [
        sa.CheckConstraint(f"status IN {STATUSES}", name=f"{table}_status"),
        sa.CheckConstraint(
            f"CASE WHEN status = 'ok' THEN effect IS NOT NULL ELSE {none} END",
            name=f"{table}_no_number_without_ok",
        ),
    ]


def create_effect_table(name: str, comment: str) -> None:
    """The table estimates.``name``: one effect a row, or why there is none."""
    create_table(
        f"estimates.{name}",
        *result_columns(),
        one_row_per(name, "tenant_id", "experiment", "metric", "segment", "variant", "control", "method"),
        *honest_status(name),
        comment=comment,
        grain="one row per tenant, experiment, metric, segment, variant, control and method",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )

"""How an experiment is planned: from which history, and what each way of analysing it needs and shows."""

import sqlalchemy as sa
from alembic import op

from migrations.effects import experiment, metric
from migrations.tenancy import (
    PIPELINE,
    count,
    create_table,
    instant,
    json,
    number,
    one_row_per,
    provenance_id,
    tenant_id,
    text,
)

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_REPLACES = ("SELECT", "INSERT", "DELETE")


def upgrade() -> None:
    op.execute("CREATE SCHEMA design")
    op.execute("COMMENT ON SCHEMA design IS 'What an experiment needs and shows, from the past, before it begins.'")
    op.execute(f"GRANT USAGE, CREATE ON SCHEMA design TO {PIPELINE}")
    create_table(
        "design.histories",
        tenant_id(),
        experiment(),
        instant("starts_at", "first moment of the history; null: a table, all of which counts", null=True),
        instant("ends_at", "the moment after its last; null: a table, all of which counts", null=True),
        text("event", "type of the event with which a unit would have entered; null: any but profile", null=True),
        text("filter", "SQL/JSON path that the event's properties must meet; null: all count", null=True),
        text("landed_source", "the landed table that is the history; null: the tenant's event stream", null=True),
        text("control", "the variant that all units of the history count for"),
        provenance_id(),
        one_row_per("histories", "tenant_id", "experiment"),
        comment="Which past stands for the days to come of a planned experiment",
        grain="one row per tenant and experiment",
        pipeline=_REPLACES,
    )
    create_table(
        "design.plans",
        tenant_id(),
        experiment(),
        metric(),
        sa.Column("position", sa.Integer, nullable=False, comment="the metric's place in the declaration, from 1"),
        text("interval", "fixed_horizon, always_valid or group_sequential: how it allows for looks"),
        text("covariate", "what the effect is adjusted for: none, own_past or twin"),
        text("status", "ok, or why there is no plan"),
        text("reason", "the same in words; null: there is a plan", null=True),
        text("method", "formula, or simulation where no formula holds"),
        text("role", "primary, secondary or guardrail"),
        text("direction", "which way is better: increase or decrease"),
        number("alpha", "two-sided error rate of the comparison, after multiplicity", null=False),
        number("power", "chance with which an effect is to be seen", null=False),
        count("n_history", "units of the history with a value"),
        number("mean", "mean, ratio, quantile or mean time of the history; null: it has no units"),
        number("variance", "of one unit's value; null: it is not defined, or not needed"),
        number("variance_factor", "share of the variance that the covariate leaves; null: no plan"),
        text("effect_unit", "relative, absolute or hazard_ratio: the measure of effects; null: none", null=True),
        number("wanted_effect", "smallest effect worth knowing of, or the margin; null: none is declared"),
        count("units", "units of all variants that the wanted effect takes; null: not reachable", null=True),
        count("n_treated", "of those in the smallest treated variant", null=True),
        count("n_control", "of those in the control", null=True),
        count("days", "days until they are in and were watched; null: unknown or beyond the horizon", null=True),
        count("days_low", "lower end of its 90 % interval", null=True),
        count("days_high", "upper end of its 90 % interval; null: beyond the horizon", null=True),
        sa.Column("last_day", sa.Date, nullable=True, comment="the day on which it would end"),
        count("planned_days", "planned length; null: a table has no days", null=True),
        number("smallest_effect", "smallest effect that is seen at the planned size"),
        number("power_as_planned", "chance to see the wanted effect at the planned size"),
        number("mc_error", "Monte-Carlo error of the power; null: a formula has none"),
        number("false_positive_rate", "share of replays without an effect that found one; null: not replayed"),
        number("false_positive_low", "lower end of its 99 % interval"),
        number("false_positive_high", "upper end of its 99 % interval"),
        count("replays", "replays with an answer", null=True),
        text("verdict", "valid, too_many_false_positives, conservative, too_few_runs or not_estimable", null=True),
        text("sentence", "the plan in words"),
        json("by_day", "smallest effect after each number of days", default="[]"),
        json("replay", "the replay in full, or why there is none", default="{}"),
        json("settings", "what was assumed and really done", default="{}"),
        provenance_id(),
        one_row_per("plans", "tenant_id", "experiment", "metric", "interval", "covariate"),
        sa.CheckConstraint(
            "status = 'ok' OR num_nonnulls(units, days, smallest_effect, power_as_planned) = 0",
            name="plans_honest_status",
        ),
        comment="What each way of analysing a metric of an experiment needs and shows",
        grain="one row per tenant, experiment, metric, interval and covariate",
        pipeline=_REPLACES,
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA design CASCADE")
    op.execute("DROP TABLE IF EXISTS serving.experiment_plans")

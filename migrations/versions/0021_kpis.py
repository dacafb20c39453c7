"""KPIs: what is to be gained per segment, and who is to be treated with a budget."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import (
    count,
    create_table,
    drop_table,
    flag,
    instant,
    json,
    number,
    one_row_per,
    provenance_id,
    tenant_id,
    text,
)

revision = "0021"
# 0021 takes its place once it is there.
down_revision = "0020"
branch_labels = None
depends_on = None

_KINDS = "COMMENT ON COLUMN registry.declaration_versions.kind IS"
_OTHERS = "experiment, metric, study, feature, source, flag, layer, saved_group"
_REPLACES = ("SELECT", "INSERT", "DELETE")


def _with_limits(name: str, comment: str) -> list[sa.Column]:
    return [
        number(name, comment),
        number(f"{name}_ci_low", "lower end of its 95 % interval"),
        number(f"{name}_ci_high", "upper end of its 95 % interval"),
    ]


def upgrade() -> None:
    create_table(
        "registry.kpis",
        tenant_id(),
        text("key", "the declaration's key, unique in its kind and tenant"),
        json("declaration", "the validated declaration"),
        text("declaration_hash", "hash of the validated declaration; part of the data version of its partition"),
        instant("declared_at", "when this version was declared", now=True),
        text("declared_in", "file that declares it, below declarations/; null: it was declared over HTTP", null=True),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["registry.tenants.tenant_id"]),
        comment="Declared KPIs, as they stand now",
        grain="one row per tenant and key",
        pipeline=("SELECT", "INSERT", "UPDATE", "DELETE"),
        api=("SELECT",),
    )
    op.execute(f"{_KINDS} '{_OTHERS}, kpi or event_type'")
    create_table(
        "estimates.kpi_gaps",
        tenant_id(),
        text("kpi", "key of the KPI"),
        text("study", "key of the study whose treatment would close the gap"),
        text("segment", "levels of the declared columns, joined by a comma"),
        json("levels", "level of each declared column"),
        text("verdict", "credible, caution or withheld, of the segment"),
        text("status", "ok, or why there is no number"),
        json("reasons", "why the verdict is what it is", default="[]"),
        count("n", "units of the segment"),
        count("n_treated", "of those treated today"),
        count("n_to_treat", "of those not treated today"),
        number("extrapolated_share", "share of units whose effect lies outside what was observed"),
        number("actual", "mean outcome today, as observed"),
        number("effect", "effect on one unit not treated today, in units of the outcome; null unless status is ok"),
        number("std_error", "standard error of effect"),
        number("ci_low", "lower end of the 95 % interval of effect"),
        number("ci_high", "upper end of it"),
        number("simultaneous_low", "lower end of the interval that holds for all segments at once"),
        number("simultaneous_high", "upper end of it"),
        *_with_limits(
            "shrunk_effect", "effect shrunk towards those of the other segments, which chance does not favour"
        ),
        *_with_limits("everyone", "mean outcome if all units were treated"),
        *_with_limits("nobody", "mean outcome if none were"),
        count("units_reachable", "most units that the terms and the budget of this segment alone allow", null=True),
        *_with_limits("reachable", "mean outcome with these treated"),
        *_with_limits("gap", "reachable less actual, in units of the outcome"),
        *_with_limits("gap_value", "worth of the gap over all units, in money"),
        number("expected_value", "the same by the shrunk effect"),
        number("cost_per_unit", "mean cost of treating a unit, in money"),
        number("cost", "cost of closing the gap, fixed cost included"),
        *_with_limits("net_value", "gap_value less cost"),
        *_with_limits("roi", "net_value divided by cost; null: see roi_status"),
        text("roi_status", "ok, no_cost or cost_not_separated_from_zero; null: no number", null=True),
        json("ranks", "place by effect, net_value and roi, with what the data leave open", default="{}"),
        json("settings", "what was really done", default="{}"),
        provenance_id(),
        one_row_per("kpi_gaps", "tenant_id", "kpi", "study", "segment"),
        sa.CheckConstraint(
            "CASE WHEN status = 'ok' THEN num_nulls(actual, effect, shrunk_effect, net_value) = 0"
            " ELSE num_nonnulls(actual, effect, std_error, shrunk_effect, everyone, nobody, reachable, gap, gap_value,"
            " expected_value, cost, net_value, roi) = 0 END",
            name="kpi_gaps_no_number_without_ok",
        ),
        comment="What segments have against what they could have",
        grain="one row per tenant, KPI, study and segment",
        pipeline=_REPLACES,
    )
    create_table(
        "decisions.allocations",
        tenant_id(),
        text("kpi", "key of the KPI"),
        text("study", "study whose treatment is given; null: the row is the whole plan", null=True),
        text("segment", "the segment; null: the row is the whole plan", null=True),
        text("status", "ok, or why there is no plan: infeasible, time_limit, no_units, withheld, unbounded"),
        flag("opened", "whether anybody is treated"),
        count("units", "units to treat; null: there is no plan", null=True),
        number("share", "of those not treated today"),
        number("cost", "in money; of the whole plan with fixed costs"),
        number("expected_value", "worth of treating them by the shrunk effect, in money"),
        number("lower_value", "low end of the 95 % interval of that worth; of the whole plan for all together"),
        number("net_value", "of the whole plan: expected_value less cost"),
        number("shadow_price", "of the whole plan: what one more unit of budget would add to the objective"),
        json("binding", "constraints that are worth money to loosen", default="[]"),
        json("conflict", "constraints that cannot be met together, none of which can be left out", default="[]"),
        json("curve", "cost and net value of the best plan, by budget", default="[]"),
        json("settings", "what was asked for and really done", default="{}"),
        provenance_id(),
        one_row_per("allocations", "tenant_id", "kpi", "study", "segment"),
        sa.CheckConstraint(
            "status IN ('ok', 'time_limit') OR num_nonnulls(units, share, cost, expected_value, lower_value, net_value,"
            " shadow_price) = 0",
            name="allocations_no_number_without_ok",
        ),
        comment="Who is to be treated with a budget",
        grain="one row per tenant, KPI, study and segment, and one of the whole plan",
        pipeline=_REPLACES,
    )


def downgrade() -> None:
    drop_table("decisions.allocations")
    drop_table("estimates.kpi_gaps")
    op.execute(f"{_KINDS} '{_OTHERS} or event_type'")
    drop_table("registry.kpis")
    for name in ("kpi_gaps", "kpi_allocations"):
        op.execute(f"DROP TABLE IF EXISTS serving.{name}")

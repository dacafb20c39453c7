"""Metrics that are declared once and used by any experiment, and how those of an experiment are measured."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import (
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

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KINDS = "COMMENT ON COLUMN registry.declaration_versions.kind IS"


def upgrade() -> None:
    create_table(
        "registry.metrics",
        tenant_id(),
        text("key", "the declaration's key, unique in its kind and tenant"),
        json("declaration", "the validated declaration"),
        text("declaration_hash", "hash of the validated declaration; part of the data version of what uses it"),
        instant("declared_at", "when this version was declared", now=True),
        text("declared_in", "file that declares it, below declarations/; null: it was declared over HTTP", null=True),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["registry.tenants.tenant_id"]),
        comment="Declared metrics, as they stand now",
        grain="one row per tenant and key",
        pipeline=("SELECT", "INSERT", "UPDATE", "DELETE"),
        api=("SELECT",),
    )
    op.execute(f"{_KINDS} 'experiment, metric, study, feature, source, flag, layer, saved_group or event_type'")

    create_table(
        "experiments.metric_definitions",
        tenant_id(),
        text("experiment", "key of the experiment"),
        text("metric", "key of the metric in the experiment's declaration"),
        sa.Column("position", sa.Integer, nullable=False, comment="its place in the declaration, from 1"),
        text("declared_metric", "key of the declared metric that it uses; null: the experiment defines it", null=True),
        text("type", "how a unit's value is made, such as conversion or ratio"),
        text("role", "primary, secondary or guardrail"),
        text("direction", "which way is better: increase or decrease"),
        text("landed_source", "the landed table whose rows alone count; null: the tenant's event stream", null=True),
        text("event", "type of the events that are read"),
        text("property", "property whose values are taken; null: events are counted", null=True),
        text("filter", "SQL/JSON path that the events' properties must meet; null: all count", null=True),
        text("denominator_event", "type of the events that a ratio is divided by; null: it is no ratio", null=True),
        text("denominator_property", "property that is summed there; null: events are counted", null=True),
        text("denominator_filter", "SQL/JSON path that those must meet; null: all count", null=True),
        json("steps", "steps of a funnel, each with its event and filter"),
        number("from_days", "days after first exposure from which on events count", null=False),
        number("to_days", "days after first exposure up to which events count; null: no end"),
        number("lookback_days", "days before first exposure whose value adjusts the effect; null: none"),
        flag("absent_is_zero", "whether a unit without such an event counts as zero"),
        number("quantile", "which quantile is compared; null: a mean is"),
        flag("quantile_of_events", "whether the quantile is of all events and not of the units' sums"),
        number("lowest", "smaller values of a unit count as this one; null: no bound"),
        number("highest", "larger values of a unit count as this one; null: no bound"),
        number("lowest_quantile", "the same, as a quantile of the experiment's units; null: no such bound"),
        number("highest_quantile", "the same, as a quantile of the experiment's units; null: no such bound"),
        flag("quantiles_without_zeros", "whether these are quantiles of the units whose value is not zero"),
        number("excluded_below", "units with smaller values are left out; null: none are"),
        number("excluded_above", "units with larger values are left out; null: none are"),
        number("non_inferiority_margin", "relative loss that is tolerable; null: none is declared"),
        number("min_effect", "smallest relative effect of interest; null: none is declared"),
        provenance_id(),
        one_row_per("metric_definitions", "tenant_id", "experiment", "metric"),
        comment="How each metric of an experiment is measured",
        grain="one row per tenant, experiment and metric",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )


def downgrade() -> None:
    drop_table("experiments.metric_definitions")
    op.execute(f"{_KINDS} 'experiment, study, feature, source, flag, layer, saved_group or event_type'")
    drop_table("registry.metrics")

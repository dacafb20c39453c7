import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.publication import publish
from causeway.decisions.rule import DecisionRule, decide
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate
from resources.postgres import PostgresResource

ByVariant = dict[str, Effect]


@dg.asset(
    key=["decisions", "experiment_decisions"],
    deps=[
        ["estimates", "difference_in_means"],
        ["estimates", "adjusted_effects"],
        ["estimates", "segment_effects"],
        ["experiments", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="decisions",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "What the declared rule makes of the effects: ship, stop, continue or withheld, with every input."
        " One row per tenant and experiment."
    ),
)
def experiment_decisions(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    effects = _effects(postgres, context.partition_key)
    rule = _rule(experiment)
    decision = decide(
        effects[experiment.primary_metric.key],
        {metric: effects[metric] for metric in rule.guardrails},
        _gates(postgres, context.partition_key),
        rule,
    )
    frame = pl.DataFrame(
        {
            "decision": [decision.decision],
            "rule": [json_text(decision.inputs["rule"])],
            "reasons": [json_text(list(decision.reasons))],
            "inputs": [json_text({**decision.inputs, "variant": decision.variant})],
        }
    )
    return publish(
        context,
        postgres,
        frame,
        unit="experiment",
        metadata={
            "decision": decision.decision,
            "reasons": dg.MetadataValue.md("\n".join(f"- {r}" for r in decision.reasons)),
        },
    )


def _rule(experiment: ExperimentDeclaration) -> DecisionRule:
    primary = experiment.primary_metric
    return DecisionRule(
        metric=primary.key,
        direction=primary.direction,
        alpha=experiment.decision.alpha,
        min_relative_effect=experiment.decision.min_relative_effect,
        guardrails={metric.key: metric.direction for metric in experiment.metrics if metric.role == "guardrail"},
    )


def _effects(postgres: PostgresResource, partition_key: str) -> dict[str, ByVariant]:
    """The adjusted effect of every metric and variant, or the plain one where there is no twin to adjust with."""
    client = postgres.client()
    columns = "metric, variant, status, n, n_control, mean, mean_control, effect, std_error, ci_low, ci_high, p_value"
    columns += ", relative_effect, relative_ci_low, relative_ci_high"
    rows = client.fetch_all(
        f"SELECT {columns}, false AS preferred FROM {client.table('estimates.difference_in_means')}"
        " WHERE tenant_id = %s AND experiment = %s AND segment IS NULL"
        f" UNION ALL SELECT {columns}, status = 'ok' FROM {client.table('estimates.adjusted_effects')}"
        " WHERE tenant_id = %s AND experiment = %s AND status = 'ok' ORDER BY preferred, metric, variant",
        partitions.split(partition_key) * 2,
    )
    effects: dict[str, ByVariant] = {}
    for metric, variant, *values, _ in rows:
        effects.setdefault(metric, {})[variant] = Effect(*values)
    return effects


def _gates(postgres: PostgresResource, partition_key: str) -> list[Gate]:
    client = postgres.client()
    return [
        Gate(*row)
        for row in client.fetch_all(
            "SELECT check_name, passed, blocking, p_value, observed, expected, detail"
            f" FROM {client.table('experiments.health')} WHERE tenant_id = %s AND experiment = %s ORDER BY check_name",
            partitions.split(partition_key),
        )
    ]

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.decisions.judged import headlines, run_time
from assets.gates import TABLES
from assets.publication import publish
from causeway.decisions.guardrails import Guardrail
from causeway.decisions.headline import Headline
from causeway.decisions.ramp import Step, may_ramp, must_roll_back, next_step
from causeway.decisions.rule import Decision, DecisionRule, decide
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["decisions", "experiment_decisions"])
RAMP_STEP, ROLLBACK = "ramp_step", "rollback"


@dg.asset(
    key=KEY,
    deps=[
        ["estimates", "headline_effects"],
        ["experiments", "first_exposures"],
        ["experiments", "health"],
        ["features", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    check_specs=[
        dg.AssetCheckSpec(
            RAMP_STEP,
            asset=KEY,
            partitions_def=partitions.experiments,
            description="Whether the next step of the ramp may come. A warning says: hold.",
        ),
        dg.AssetCheckSpec(
            ROLLBACK,
            asset=KEY,
            blocking=True,
            partitions_def=partitions.experiments,
            description="Fails when a guardrail is harmed, beyond its margin where it has one.",
        ),
    ],
    group_name="decisions",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="2",
    description=(
        "What the declared rule makes of the effects: ship, stop, continue or withheld, with every input."
        " One row per tenant and experiment."
    ),
)
def experiment_decisions(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    effects, made_by = headlines(postgres, context.partition_key)
    gates, checked_by = _gates(postgres, context.partition_key)
    time = run_time(postgres, context.partition_key, experiment)
    rule = rule_of(experiment)
    decision = decide(
        _of_every_variant(effects.get(rule.metric, {}), experiment),
        {metric: effects.get(metric, {}) for metric in rule.guardrails},
        gates,
        rule,
        time,
    )
    steps = [Step(step.at, step.coverage) for step in experiment.ramp]
    ramp, rollback = may_ramp(decision, next_step(steps, time.known_at)), must_roll_back(decision)
    return publish(
        context,
        postgres,
        _frame(decision, sorted(made_by | checked_by)),
        unit="experiment",
        metadata={
            "decision": decision.decision,
            "reasons": dg.MetadataValue.md("\n".join(f"- {r}" for r in decision.reasons)),
            "conditions": dg.MetadataValue.md(_table(decision)),
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name=RAMP_STEP,
                passed=ramp.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=ramp.detail,
            ),
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name=ROLLBACK,
                passed=rollback.passed,
                severity=dg.AssetCheckSeverity.ERROR,
                description=rollback.detail,
            ),
        ],
    )


def rule_of(experiment: ExperimentDeclaration) -> DecisionRule:
    """The rule as it was declared, of the experiment and of its metrics."""
    primary, declared_rule = experiment.primary_metric, experiment.decision
    return DecisionRule(
        metric=primary.key,
        direction=primary.direction,
        alpha=declared_rule.alpha,
        min_relative_effect=max(declared_rule.min_relative_effect, primary.min_effect or 0.0),
        min_days=declared_rule.min_days,
        guardrails={
            metric.key: Guardrail(metric.direction, metric.non_inferiority_margin)
            for metric in experiment.metrics
            if metric.role == "guardrail"
        },
    )


def _of_every_variant(found: dict[str, Headline], experiment: ExperimentDeclaration) -> dict[str, Headline]:
    """A variant of which nothing is known keeps the others from being judged as if it were not there."""
    treated = [name for name, _ in experiment.ordered_variants if name != experiment.control]
    return {name: found.get(name, Headline(Effect("not_estimable", 0, 0))) for name in treated}


def _gates(postgres: PostgresResource, partition_key: str) -> tuple[list[Gate], set[str]]:
    client = postgres.client()
    rows = client.fetch_all(
        " UNION ALL ".join(
            "SELECT check_name, passed, blocking, p_value, observed, expected, detail, provenance_id"
            f" FROM {client.table(table)} WHERE tenant_id = %s AND experiment = %s"
            for table in TABLES
        )
        + " ORDER BY check_name",
        partitions.split(partition_key) * len(TABLES),
    )
    return [Gate(*row[:-1]) for row in rows], {row[-1] for row in rows}


def _frame(decision: Decision, made_by: list[str]) -> pl.DataFrame:
    conditions = [
        {"check": each.check, "variant": each.variant, "passed": each.passed, "detail": each.detail}
        for each in decision.conditions
    ]
    return pl.DataFrame(
        {
            "decision": [decision.decision],
            "variant": pl.Series([decision.variant], dtype=pl.String),
            "rule": [json_text(decision.inputs["rule"])],
            "reasons": [json_text(list(decision.reasons))],
            "conditions": [json_text(conditions)],
            "inputs": [json_text(decision.inputs)],
            "input_provenance_ids": [json_text(made_by)],
        }
    )


def _table(decision: Decision) -> str:
    lines = [
        f"| {each.check} | {'met' if each.passed else 'NOT MET'} | {each.detail} |" for each in decision.conditions
    ]
    return "\n".join(["| condition | | |", "|---|---|---|", *lines])

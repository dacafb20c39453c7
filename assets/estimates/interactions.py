from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl

from assets import partitions
from assets.columns import json_text
from assets.estimates.joint_cells import FEWEST_UNITS, Experiment, JointCells, joint_cells
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME
from assets.publication import publish
from causeway.declarations.life_cycle import DORMANT
from causeway.declarations.metric import NOT_MEANS
from causeway.statistics.interactions import (
    AssignmentDependence,
    Interaction,
    Screened,
    assignment_dependence,
    interaction,
    screen,
)
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import WEAK, denominator_cv, linearised
from resources.postgres import PostgresResource

SEED = 20_260_114
FALSE_DISCOVERY_RATE = 0.05
CLUSTERED = "units are dealt variants together, and are not independent"
NOT_A_MEAN = "the primary metric is a {}, which is no mean over units"
WEAK_DENOMINATOR = "the denominator of the ratio is too close to zero in a cell"

SCHEMA = {
    **dict.fromkeys(("experiment_a", "experiment_b", "test", "measured_in", "metric", "status"), pl.String),
    "n": pl.Int64,
    **dict.fromkeys(("p_value", "q_value"), pl.Float64),
    "found": pl.Boolean,
    **dict.fromkeys(("statistic", "df", "df_denominator", "cramers_v"), pl.Float64),
    **dict.fromkeys(("effects", "settings"), pl.String),
}


@dataclass(frozen=True)
class Pair:
    """Two experiments that share units."""

    a: Experiment
    b: Experiment
    cells: JointCells

    @property
    def withheld(self) -> list[str]:
        """Those of the two whose gate is closed."""
        return [each.key for each in (self.a, self.b) if each.is_withheld]

    @property
    def why_not(self) -> str | None:
        """Why nothing can be tested in this pair."""
        return CLUSTERED if self.a.is_clustered or self.b.is_clustered else None


@dg.asset(
    key=["estimates", "interactions"],
    deps=[
        ["experiments", "first_exposures"],
        ["experiments", "unit_metric_values"],
        ["experiments", "metric_definitions"],
        ["experiments", "health"],
        ["features", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.tenants,
    group_name="estimates",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "tenants"},
    code_version="1",
    description=(
        "Of all pairs of experiments of a tenant that run at the same time on the same units: whether their variants"
        " are dealt independently, and whether their effects on the primary metric of either add up, with the false"
        " discovery rate over all pairs at 5 %. Experiments behind a closed gate are named and not tested."
        " One row per tenant, pair of experiments, test and experiment that it is measured in."
    ),
)
def interactions(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiments, cells = joint_cells(postgres, context.partition_key, DORMANT)
    pairs = [Pair(experiments[a], experiments[b], found) for (a, b), found in cells.items()]
    context.log.info(f"{len(experiments)} experiments, {len(pairs)} pairs that share {FEWEST_UNITS} units")
    rows = list(_rows(pairs))
    withheld = sorted({key for pair in pairs for key in pair.withheld})
    return publish(
        context,
        postgres,
        pl.DataFrame(rows, schema=SCHEMA),
        unit=partitions.TENANT,
        seed=SEED,
        metadata={
            "experiments": len(experiments),
            "pairs": len(pairs),
            "withheld": dg.MetadataValue.json(withheld),
            "found": dg.MetadataValue.md(_table(rows)),
        },
    )


def _rows(pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """The two kinds of tests are two families; what is withheld is in neither."""
    tested = [pair for pair in pairs if not pair.withheld]
    dependence = {_name(pair): _dependence(pair) for pair in tested}
    effects = {_name(pair, side): _interaction(pair, side) for pair in tested for side in (0, 1)}
    screened = {
        **screen(dependence, q=FALSE_DISCOVERY_RATE),
        **screen(effects, q=FALSE_DISCOVERY_RATE),
    }
    for pair in pairs:
        if pair.withheld:
            yield _withheld(pair)
            continue
        name = _name(pair)
        yield _of_assignment(pair, dependence[name], screened[name])
        for side in (0, 1):
            name = _name(pair, side)
            yield _of_interaction(pair, side, effects[name], screened[name])


def _name(pair: Pair, side: int | None = None) -> str:
    return json_text([pair.a.key, pair.b.key, side])


def _dependence(pair: Pair) -> AssignmentDependence:
    if pair.why_not:
        return AssignmentDependence("not_estimable", sum(pair.cells.units.values()), settings={"reason": pair.why_not})
    return assignment_dependence(pair.cells.units, seed=SEED)


def _interaction(pair: Pair, side: int) -> Interaction:
    measured, control = (pair.a, pair.b)[side], (pair.a.control, pair.b.control)
    outcomes = pair.cells.outcomes[side]
    n = sum(each.n for each in outcomes.values())
    if pair.why_not:
        return Interaction("not_estimable", n, settings={"reason": pair.why_not})
    if not any(a == control[0] for a, _ in outcomes) or not any(b == control[1] for _, b in outcomes):
        return Interaction("no_units", n, settings={"reason": "no shared unit is in a control"})
    if measured.type == "ratio":
        weak = any(each.n > 1 and denominator_cv(each, DENOMINATOR) > WEAK for each in outcomes.values())
        if weak:
            return Interaction("not_estimable", n, settings={"reason": WEAK_DENOMINATOR})
    elif measured.type in NOT_MEANS:
        return Interaction("not_estimable", n, settings={"reason": NOT_A_MEAN.format(measured.type)})
    cells = {pair: _moments(each, measured.type) for pair, each in outcomes.items()}
    return interaction(cells, control=control, alpha=FALSE_DISCOVERY_RATE)


def _moments(cell: JointMoments, metric_type: str) -> Moments:
    if metric_type == "ratio" and cell.n > 1:
        cell = linearised(cell, OUTCOME, DENOMINATOR)
    return cell.moments(OUTCOME)


def _of_assignment(pair: Pair, found: AssignmentDependence, screened: Screened) -> dict[str, Any]:
    counts = [{"variant_a": a, "variant_b": b, "units": n} for (a, b), n in pair.cells.units.items()]
    return {
        **_row(pair, "assignment", None),
        "status": found.status,
        "n": found.n,
        "p_value": found.p_value,
        "q_value": screened.p_value_adjusted,
        "found": screened.found,
        "statistic": found.statistic,
        "df": found.df,
        "cramers_v": found.cramers_v if found.status == "ok" else None,
        "settings": _settings({**found.settings, "units": counts}),
    }


def _of_interaction(pair: Pair, side: int, found: Interaction, screened: Screened) -> dict[str, Any]:
    return {
        **_row(pair, "interaction", (pair.a, pair.b)[side]),
        "status": found.status,
        "n": found.n,
        "p_value": found.p_value,
        "q_value": screened.p_value_adjusted,
        "found": screened.found,
        "statistic": found.statistic,
        "df": found.df,
        "df_denominator": found.df_denominator,
        "effects": json_text(_effects(found) if found.status == "ok" else []),
        "settings": _settings(found.settings),
    }


def _effects(found: Interaction) -> list[dict[str, Any]]:
    numbers = ("status", "effect", "std_error", "ci_low", "ci_high", "p_value")
    return [
        {"variant_a": a, "variant_b": b, **{name: getattr(effect, name) for name in numbers}}
        for (a, b), effect in found.effects.items()
    ]


def _withheld(pair: Pair) -> dict[str, Any]:
    closed = " and ".join(pair.withheld)
    return {
        **_row(pair, "assignment", None),
        "status": "withheld",
        "n": sum(pair.cells.units.values()),
        "found": False,
        "settings": _settings({"reason": f"a gate of {closed} is closed"}),
    }


def _row(pair: Pair, test: str, measured_in: Experiment | None) -> dict[str, Any]:
    return {
        "experiment_a": pair.a.key,
        "experiment_b": pair.b.key,
        "test": test,
        "measured_in": measured_in and measured_in.key,
        "metric": measured_in and measured_in.metric,
        "effects": "[]",
    }


def _settings(settings: Mapping[str, Any]) -> str:
    return json_text({**settings, "false_discovery_rate": FALSE_DISCOVERY_RATE})


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was found, for people."""
    lines = [
        f"| {row['experiment_a']} | {row['experiment_b']} | {row['test']} | {row['metric'] or ''} | {row['n']:,} |"
        f" {row['q_value']:.2g} |"
        for row in sorted((row for row in rows if row["found"]), key=lambda row: row["q_value"])
    ]
    head = ["| experiment | experiment | test | metric | units | q |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *lines]) if lines else f"Nothing in {len(rows)} tests."

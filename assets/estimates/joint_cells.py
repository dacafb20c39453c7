"""Who is in which variants of two experiments at once, and with what outcomes: counted and summed in SQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets import gates
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME
from causeway.statistics.joint_moments import JointMoments
from resources.postgres import PostgresResource

FEWEST_UNITS = 50
"""Units that two experiments must share to be looked at."""

Variants = tuple[str, str]


@dataclass(frozen=True)
class Experiment:
    """What is known of one side of a pair; metric: its primary one."""

    key: str
    control: str
    metric: str
    type: str
    is_clustered: bool
    is_withheld: bool


@dataclass
class JointCells:
    """One pair of experiments by variants of a and of b: units in both, and the moments of each one's metric."""

    units: dict[Variants, int] = field(default_factory=dict)
    outcomes: tuple[dict[Variants, JointMoments], dict[Variants, JointMoments]] = field(
        default_factory=lambda: ({}, {})
    )


# Numbers for keys: millions of units are grouped by what is small. A unit whose id is its row in a table is in no
# other experiment, and units of another kind are others although their ids be the same.
_EXPERIMENTS = """
    WITH exposed AS (
        SELECT experiment, min(first_exposed_at) AS first_at, max(first_exposed_at) AS last_at
        FROM {first_exposures} WHERE tenant_id = %(tenant)s AND is_eligible GROUP BY experiment
    ),
    closed AS (
        SELECT DISTINCT experiment FROM ({gates}) AS checks WHERE tenant_id = %(tenant)s AND blocking AND NOT passed
    )
    SELECT
        row_number() OVER (ORDER BY e.key)::integer AS number,
        e.key,
        e.declaration ->> 'control' AS control,
        m.metric,
        m.type,
        e.declaration ->> 'cluster' IS NOT NULL
            OR coalesce(e.declaration #>> '{{randomization,by}}', 'unit') <> 'unit' AS is_clustered,
        c.experiment IS NOT NULL AS is_withheld,
        e.declaration ->> 'unit' AS unit,
        e.declaration ->> 'layer' AS layer,
        coalesce(e.declaration -> 'holdouts', '[]') AS holdouts,
        coalesce((e.declaration ->> 'start')::date::timestamptz, x.first_at) AS begins_at,
        coalesce(
            ((e.declaration ->> 'end')::date + 1)::timestamptz,
            CASE WHEN e.declaration ->> 'status' = 'stopped' THEN x.last_at ELSE 'infinity' END
        ) AS ends_at
    FROM {experiments} AS e
    INNER JOIN exposed AS x ON x.experiment = e.key
    INNER JOIN {metrics} AS m ON m.tenant_id = e.tenant_id AND m.experiment = e.key AND m.role = 'primary'
    LEFT JOIN closed AS c ON c.experiment = e.key
    WHERE
        e.tenant_id = %(tenant)s
        AND coalesce(e.declaration ->> 'status', 'running') <> ALL(%(dormant)s)
        AND (e.declaration ->> 'source' IS NULL OR e.declaration #>> '{{source,unit_id}}' IS NOT NULL)
"""
_PAIRS = """
    SELECT a.number AS a, b.number AS b
    FROM experiments_now AS a
    INNER JOIN experiments_now AS b
        ON
            a.number < b.number
            AND a.unit = b.unit
            AND a.begins_at < b.ends_at
            AND b.begins_at < a.ends_at
            AND (a.layer = b.layer) IS NOT TRUE
            AND NOT a.holdouts ? b.key
            AND NOT b.holdouts ? a.key
"""
# Every unit once per experiment, then the same twice: the cost is the number of units that two experiments share.
# Exact decimals: the sums do not depend on the order of the rows. The outcomes of a withheld experiment are not read.
_CELLS = """
    WITH units AS MATERIALIZED (
        SELECT e.number, f.unit_id, f.variant, v.value AS y, v.denominator AS d
        FROM experiments_now AS e
        INNER JOIN {first_exposures} AS f ON f.tenant_id = %(tenant)s AND f.experiment = e.key AND f.is_eligible
        LEFT JOIN {values} AS v
            ON
                v.tenant_id = f.tenant_id AND v.experiment = f.experiment AND v.unit_id = f.unit_id
                AND v.metric = e.metric AND NOT e.is_withheld
    ),
    cells AS (
        SELECT a.number AS a, b.number AS b, a.variant AS variant_a, b.variant AS variant_b, count(*) AS units
            {sums}
        FROM units AS a
        INNER JOIN units AS b ON a.unit_id = b.unit_id AND a.number < b.number
        INNER JOIN pairs_now AS p ON p.a = a.number AND p.b = b.number
        GROUP BY 1, 2, 3, 4
    ),
    enough AS (SELECT a, b FROM cells GROUP BY a, b HAVING sum(units) >= %(fewest)s)
    SELECT a, b, variant_a, variant_b, units{moments}
    FROM cells INNER JOIN enough USING (a, b) ORDER BY a, b, variant_a, variant_b
"""


def joint_cells(
    postgres: PostgresResource, tenant: str, dormant: Sequence[str]
) -> tuple[Mapping[int, Experiment], Mapping[tuple[int, int], JointCells]]:
    """The experiments of a tenant by number, and the cells of every pair that shares enough units.

    A pair runs at the same time, on units of the same kind, and may share them: not in one layer, and neither of the
    two is a holdout of the other.
    """
    client = postgres.client()
    tables = {
        "experiments": client.table("registry.experiments"),
        "first_exposures": client.table("experiments.first_exposures"),
        "metrics": client.table("experiments.metric_definitions"),
        "gates": " UNION ALL ".join(
            f"SELECT tenant_id, experiment, blocking, passed FROM {client.table(table)}" for table in gates.TABLES
        ),
        "values": client.table("experiments.unit_metric_values"),
    }
    named = {"tenant": tenant, "dormant": list(dormant), "fewest": FEWEST_UNITS}
    with client.transaction() as transaction:
        for name, query in (("experiments_now", _EXPERIMENTS), ("pairs_now", _PAIRS)):
            transaction.execute(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query.format(**tables)}", named)
            transaction.execute(f"ANALYZE {name}")
        found = transaction.fetch_all(
            "SELECT number, key, control, metric, type, is_clustered, is_withheld FROM experiments_now ORDER BY number"
        )
        transaction.join_in_bulk()
        rows = transaction.fetch_all(_CELLS.format(sums=_sums(), moments=_moments(), **tables), named)
    return {number: Experiment(*rest) for number, *rest in found}, _cells_of(rows)


def _sums() -> str:
    """Of the units that have the outcome of a, and likewise of b: how many, and sums of outcome and denominator."""
    counted = ", count({0}.y)::numeric AS n_{0}"
    products = {"y": "{0}.y", "d": "{0}.d", "yy": "{0}.y * {0}.y", "dy": "{0}.d * {0}.y", "dd": "{0}.d * {0}.d"}
    summed = (
        f", coalesce(sum({product}) FILTER (WHERE {{0}}.y IS NOT NULL), 0) AS {name}_{{0}}"
        for name, product in products.items()
    )
    return "".join(part.format(side) for part in (counted, *summed) for side in ("a", "b"))


def _moments() -> str:
    """In the order of JointMoments: n, means, and the lower triangle of the centred comoments."""
    return "".join(
        f", n_{side}::bigint, (y_{side} / nullif(n_{side}, 0))::float8, (d_{side} / nullif(n_{side}, 0))::float8"
        + "".join(
            f", ((n_{side} * {product}_{side} - {one}_{side} * {other}_{side}) / nullif(n_{side}, 0))::float8"
            for product, one, other in (("yy", "y", "y"), ("dy", "d", "y"), ("dd", "d", "d"))
        )
        for side in ("a", "b")
    )


def _cells_of(rows: Sequence[tuple[Any, ...]]) -> Mapping[tuple[int, int], JointCells]:
    cells: dict[tuple[int, int], JointCells] = defaultdict(JointCells)
    for a, b, variant_a, variant_b, units, *moments in rows:
        cell = cells[a, b]
        cell.units[variant_a, variant_b] = units
        for outcomes, (n, *numbers) in zip(cell.outcomes, (moments[:6], moments[6:]), strict=True):
            outcomes[variant_a, variant_b] = (
                JointMoments((OUTCOME, DENOMINATOR), n, tuple(numbers[:2]), tuple(numbers[2:]))
                if n
                else JointMoments.empty((OUTCOME, DENOMINATOR))
            )
    return cells

"""Sufficient statistics of several variables at once, summed in SQL.

Sums of exact decimals do not depend on the order of the rows, and nothing is lost when they are centred: that is exact
as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from assets.partitions import split
from causeway.statistics.joint_moments import JointMoments
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

JointByArm = dict[tuple[str, str | None, str], JointMoments]
"""Joint moments by metric, segment (null for everybody) and variant."""

OUTCOME, DENOMINATOR = "outcome", "denominator"
BEFORE, DENOMINATOR_BEFORE = "before", "denominator_before"
_MISSING = "{} (missing)"
# A column may have the name of one of the above.
_DECLARED = "{} (declared)"
_OWN = (OUTCOME, DENOMINATOR, BEFORE, DENOMINATOR_BEFORE)

_RATIOS = """
    SELECT v.metric, NULL::text AS segment, v.variant, v.value AS v0, v.denominator AS v1
    FROM {values} AS v
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.denominator IS NOT NULL
    UNION ALL
    SELECT v.metric, c.covariate || '=' || c.value_text, v.variant, v.value, v.denominator
    FROM {values} AS v
    INNER JOIN {covariates} AS c USING (tenant_id, experiment, unit_id)
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.denominator IS NOT NULL
        AND c.covariate = ANY(%(segments)s) AND c.value_text IS NOT NULL
"""

# Which declared covariates are numbers, whether some unit lacks them, and their means as exact decimals.
_KNOWN = """
    SELECT covariate, count(value_number) < count(*), trim_scale(avg(value_number::numeric))::text
    FROM {covariates}
    WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND covariate = ANY(%(covariates)s)
    GROUP BY covariate HAVING count(value_text) > 0 AND count(value_text) = count(value_number)
"""
_OF_METRICS = """
    SELECT coalesce(bool_or(type = 'ratio'), false), coalesce(bool_or(lookback_days IS NOT NULL), false),
        coalesce(bool_or(type = 'ratio' AND lookback_days IS NOT NULL), false),
        coalesce(array_agg(metric ORDER BY metric) FILTER (WHERE type = 'mean' AND lookback_days IS NOT NULL), '{{}}')
    FROM {definitions} WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s
"""
# A mean over no event at all is not known; what else a unit did not do before is zero.
_UNKNOWN_BEFORE = """
    SELECT metric, trim_scale(avg(pre_value))::text FROM {values}
    WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND metric = ANY(%(metrics)s) AND value IS NOT NULL
    GROUP BY metric HAVING count(pre_value) > 0
"""

# What is not known of a unit is the mean of the others, and that it was not known is a covariate itself. One pass over
# the units, of as few variables as the experiment needs.
_WITH_COVARIATES = """
    SELECT v.metric, NULL::text AS segment, v.variant{columns}
    FROM {values} AS v
    {known}
    {clusters}
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL
"""
_KNOWN_OF_UNITS = """
    LEFT JOIN (
        SELECT unit_id{pivot} FROM {covariates}
        WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND covariate = ANY(%(kept)s)
        {one_row_a_unit}
    ) AS k USING (unit_id)
"""
_OF_SEVERAL = ", max(value_number::numeric) FILTER (WHERE covariate = %(covariate_{place})s) AS x{place}"
# With an offset the server reads a number once a unit, and not once a product.
_OF_ONE = ", value_number::numeric AS x0"

_OF_A_CLUSTER = """
    INNER JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s AND g.value_text IS NOT NULL
"""


def of_ratios(postgres: PostgresResource, partition_key: str, segments: Sequence[str]) -> JointByArm:
    """Outcome and denominator of the ratio metrics, for everybody and within every level of the segments."""
    client = postgres.client()
    rows = _RATIOS.format(
        values=client.table("experiments.unit_metric_values"), covariates=client.table("features.unit_covariates")
    )
    with client.transaction(read_only=True) as transaction:
        return joint_moments(transaction, rows, (OUTCOME, DENOMINATOR), _named(partition_key, segments=list(segments)))


@dataclass(frozen=True)
class UnitRows:
    """A query for the variables v0, v1, ... of units, by metric, segment, variant and, if there is one, cluster."""

    query: str
    names: tuple[str, ...]
    parameters: dict[str, object]

    def moments(self, transaction: PostgresTransaction) -> JointByArm:
        """Their joint moments."""
        return joint_moments(transaction, self.query, self.names, self.parameters)


def with_covariates(postgres: PostgresResource, partition_key: str, covariates: Sequence[str]) -> JointByArm:
    """Outcome and denominator with what they were before first exposure, and the declared covariates that are numbers.

    Of a metric that has no denominator or no past, these are zero for everybody. What no metric has is left out.
    """
    with postgres.client().transaction(read_only=True) as transaction:
        rows = rows_with_covariates(transaction, partition_key, covariates)
        transaction.join_in_bulk()
        return rows.moments(transaction)


def rows_with_covariates(
    transaction: PostgresTransaction, partition_key: str, covariates: Sequence[str], cluster: str | None = None
) -> UnitRows:
    """The units that `with_covariates` sums up; with the column of their cluster, those that have one."""
    tables = {
        "values": transaction.table("experiments.unit_metric_values"),
        "definitions": transaction.table("experiments.metric_definitions"),
        "covariates": transaction.table("features.unit_covariates"),
    }
    named = _named(partition_key, covariates=list(covariates)) | {"cluster": cluster}
    found = {name: rest for name, *rest in transaction.fetch_all(_KNOWN.format(**tables), named)}
    kept = [name for name in covariates if name in found]
    variables, more = _variables_of_metrics(transaction, tables, named)
    for place, name in enumerate(kept):
        is_lacking, mean = found[name]
        called = _DECLARED.format(name) if name in _OWN else name
        variables[called] = f"coalesce(k.x{place}, {mean}::numeric)"
        if is_lacking:
            variables[_MISSING.format(called)] = f"(k.x{place} IS NULL)::integer::numeric"
    is_one = len(kept) == 1
    pivot = _OF_ONE if is_one else "".join(_OF_SEVERAL.format(place=place) for place in range(len(kept)))
    rest = "OFFSET 0" if is_one else "GROUP BY unit_id"
    columns = "".join(f", {expression} AS v{place}" for place, expression in enumerate(variables.values()))
    rows = _WITH_COVARIATES.format(
        **tables,
        columns=columns + (", g.value_text AS cluster" if cluster else ""),
        known=_KNOWN_OF_UNITS.format(**tables, pivot=pivot, one_row_a_unit=rest) if kept else "",
        clusters=_OF_A_CLUSTER.format(**tables) if cluster else "",
    )
    named |= {"kept": kept} | {f"covariate_{place}": name for place, name in enumerate(kept)} | more
    return UnitRows(rows, tuple(variables), named)


def _variables_of_metrics(
    transaction: PostgresTransaction, tables: Mapping[str, str], named: Mapping[str, object]
) -> tuple[dict[str, str], dict[str, object]]:
    """The metrics' own variables by name, as expressions with parameters; those that no metric has are left out."""
    row = transaction.fetch_one(_OF_METRICS.format(**tables), named)
    has_ratio, has_past, has_past_ratio, means = row or (False, False, False, [])
    variables, parameters = {OUTCOME: "v.value"}, dict[str, object]()
    if has_ratio:
        variables[DENOMINATOR] = "coalesce(v.denominator, 0)"
    if has_past:
        query = _UNKNOWN_BEFORE.format(**tables)
        centres = transaction.fetch_all(query, {**named, "metrics": means}) if means else []
        parameters = {f"before_{place}": metric for place, (metric, _) in enumerate(centres)}
        cases = "".join(f" WHEN %(before_{place})s THEN {mean}::numeric" for place, (_, mean) in enumerate(centres))
        variables[BEFORE] = f"coalesce(v.pre_value, {f'CASE v.metric{cases} ELSE 0 END' if cases else 0})"
    if has_past_ratio:
        variables[DENOMINATOR_BEFORE] = "coalesce(v.pre_denominator, 0)"
    return variables, parameters


def _named(partition_key: str, **more: object) -> dict[str, object]:
    tenant, experiment = split(partition_key)
    return {"tenant": tenant, "experiment": experiment, **more}


def joint_moments(
    transaction: PostgresTransaction, rows: str, names: Sequence[str], parameters: dict[str, object]
) -> JointByArm:
    """The moments of the columns v0, v1, ... of a query, by metric, segment and variant."""
    # In the order in which JointMoments has them: the lower triangle, row by row.
    pairs = [(b, a) for a, b in combinations_with_replacement(range(len(names)), 2)]
    pairs.sort()
    sums = "".join(f", sum(v{place}) AS s{place}" for place in range(len(names)))
    sums += "".join(f", sum(v{row} * v{column}) AS s{row}_{column}" for row, column in pairs)
    means = "".join(f", (s{place} / n)::float8" for place in range(len(names)))
    centred = "".join(f", ((n * s{row}_{column} - s{row} * s{column}) / n)::float8" for row, column in pairs)
    found = transaction.fetch_all(
        f"SELECT metric, segment, variant, n::bigint{means}{centred} FROM ("
        f" SELECT metric, segment, variant, count(*)::numeric AS n{sums} FROM ({rows}) AS unit_rows"
        " GROUP BY metric, segment, variant) AS totals ORDER BY metric, segment NULLS FIRST, variant",
        parameters,
    )
    k = len(names)
    return {
        (metric, segment, variant): JointMoments(tuple(names), n, tuple(numbers[:k]), tuple(numbers[k:]))
        for metric, segment, variant, n, *numbers in found
    }

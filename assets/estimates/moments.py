"""Sufficient statistics of the arms, summed in SQL: Python sees numbers of arms, never of units."""

from collections.abc import Sequence

from assets.estimates.joint_sums import OUTCOME, UnitRows
from assets.partitions import split
from causeway.statistics.moments import Moments
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

SCORE = "score"

ByArm = dict[tuple[str, str | None, str], Moments]
"""Moments by metric, segment (null for everybody) and variant."""

# Scores enter the sums as exact decimals, as outcomes do: the result does not depend on the order of the rows.
_WITH_SCORE = """
    WITH unit_values AS (
        SELECT v.metric, v.variant, v.value AS y, s.score::numeric AS x
        FROM {values} AS v
        INNER JOIN {scores} AS s USING (tenant_id, experiment, metric, unit_id)
        WHERE v.tenant_id = %s AND v.experiment = %s AND v.value IS NOT NULL
    ),
    means AS (
        SELECT metric, variant, count(*) AS n, avg(y) AS mean_y, avg(x) AS mean_x
        FROM unit_values GROUP BY metric, variant
    )
    SELECT metric, variant, n, mean_y::float8, sum((y - mean_y) * (y - mean_y))::float8,
        mean_x::float8, sum((x - mean_x) * (x - mean_x))::float8, sum((y - mean_y) * (x - mean_x))::float8
    FROM unit_values INNER JOIN means USING (metric, variant)
    GROUP BY metric, variant, n, mean_y, mean_x ORDER BY metric, variant
"""
_SCORED_WITH_CLUSTER = """
    SELECT v.metric, NULL::text AS segment, v.variant, v.value AS v0, s.score::numeric AS v1, g.value_text AS cluster
    FROM {values} AS v
    INNER JOIN {scores} AS s USING (tenant_id, experiment, metric, unit_id)
    INNER JOIN {covariates} AS g USING (tenant_id, experiment, unit_id)
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL
        AND g.covariate = %(cluster)s AND g.value_text IS NOT NULL
"""
_BY_SEGMENT = """
    WITH unit_values AS (
        SELECT v.metric, c.covariate || '=' || c.value_text AS segment, v.variant, v.value AS y
        FROM {values} AS v
        INNER JOIN {covariates} AS c USING (tenant_id, experiment, unit_id)
        WHERE v.tenant_id = %s AND v.experiment = %s AND c.covariate = ANY(%s)
            AND v.value IS NOT NULL AND c.value_text IS NOT NULL
    ),
    means AS (
        SELECT metric, segment, variant, count(*) AS n, avg(y) AS mean_y
        FROM unit_values GROUP BY metric, segment, variant
    )
    SELECT metric, segment, variant, n, mean_y::float8, sum((y - mean_y) * (y - mean_y))::float8
    FROM unit_values INNER JOIN means USING (metric, segment, variant)
    GROUP BY metric, segment, variant, n, mean_y ORDER BY metric, segment, variant
"""

# The levels of all segments together are a stratum; a level that is not known is one of its own.
STRATA = """
        SELECT unit_id,
            string_agg(covariate || '=' || coalesce(value_text, '(unknown)'), ', ' ORDER BY covariate) AS stratum
        FROM {covariates}
        WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND covariate = ANY(%(segments)s)
        GROUP BY unit_id
"""
_BY_STRATUM = f"""
    WITH strata AS ({STRATA}),
    sums AS (
        SELECT v.metric, v.variant, s.stratum, count(*)::numeric AS n, sum(v.value) AS y, sum(v.value * v.value) AS yy
        FROM {{values}} AS v
        INNER JOIN strata AS s USING (unit_id)
        WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL
            AND (%(cluster)s::text IS NULL OR v.unit_id IN (
                SELECT unit_id FROM {{covariates}}
                WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s
                    AND covariate = %(cluster)s AND value_text IS NOT NULL
            ))
        GROUP BY v.metric, v.variant, s.stratum
    )
    SELECT metric, variant, stratum, n::bigint, (y / n)::float8, ((n * yy - y * y) / n)::float8
    FROM sums ORDER BY metric, variant, stratum
"""


def by_everybody(postgres: PostgresResource, partition_key: str) -> ByArm:
    """The sufficient statistics that dbt keeps."""
    client = postgres.client()
    rows = client.fetch_all(
        f"SELECT metric, variant, n, mean, m2 FROM {client.table('experiments.sufficient_statistics')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, variant",
        split(partition_key),
    )
    return {
        (metric, None, variant): Moments(n, mean, m2) if n else Moments.empty() for metric, variant, n, mean, m2 in rows
    }


def by_segment(postgres: PostgresResource, partition_key: str, segments: Sequence[str]) -> ByArm:
    """The same within every level of the segments; units without a level are in none."""
    if not segments:
        return {}
    client = postgres.client()
    query = _BY_SEGMENT.format(
        values=client.table("experiments.unit_metric_values"), covariates=client.table("features.unit_covariates")
    )
    rows = client.fetch_all(query, (*split(partition_key), list(segments)))
    return {(metric, segment, variant): Moments(n, mean, m2) for metric, segment, variant, n, mean, m2 in rows}


def by_stratum(
    postgres: PostgresResource, partition_key: str, segments: Sequence[str], cluster: str | None = None
) -> dict[tuple[str, str], dict[str, Moments]]:
    """By metric and variant, the moments of every combination of the segments' levels that occurs.

    With the column of their cluster, those of units that have one.
    """
    if not segments:
        return {}
    client, (tenant, experiment) = postgres.client(), split(partition_key)
    query = _BY_STRATUM.format(
        values=client.table("experiments.unit_metric_values"), covariates=client.table("features.unit_covariates")
    )
    found: dict[tuple[str, str], dict[str, Moments]] = {}
    with client.transaction(read_only=True) as transaction:
        transaction.join_in_bulk()
        named = {"tenant": tenant, "experiment": experiment, "segments": list(segments), "cluster": cluster}
        for metric, variant, stratum, *numbers in transaction.fetch_all(query, named):
            found.setdefault((metric, variant), {})[stratum] = Moments(*numbers)
    return found


def rows_with_score(transaction: PostgresTransaction, partition_key: str, cluster: str) -> UnitRows:
    """Outcome, twin's score and cluster of the units that have all three."""
    tenant, experiment = split(partition_key)
    query = _SCORED_WITH_CLUSTER.format(
        values=transaction.table("experiments.unit_metric_values"),
        scores=transaction.table("twins.prognostic_scores"),
        covariates=transaction.table("features.unit_covariates"),
    )
    return UnitRows(query, (OUTCOME, SCORE), {"tenant": tenant, "experiment": experiment, "cluster": cluster})


def with_score(postgres: PostgresResource, partition_key: str) -> ByArm:
    """Outcome and twin's score of the units that have both."""
    client = postgres.client()
    query = _WITH_SCORE.format(
        values=client.table("experiments.unit_metric_values"), scores=client.table("twins.prognostic_scores")
    )
    with client.transaction(read_only=True) as transaction:
        transaction.join_in_bulk()
        rows = transaction.fetch_all(query, split(partition_key))
    return {(metric, None, variant): Moments(*numbers) for metric, variant, *numbers in rows}

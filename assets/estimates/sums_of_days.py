"""The sums of every day added up to the end of each: what an effect rested on then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from assets.estimates.joint_sums import BEFORE, DENOMINATOR, OUTCOME
from assets.partitions import split
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from resources.postgres import PostgresResource

# Sums of exact decimals, centred exactly as well. A day without a change of this arm has the sums of the day before.
_QUERY = """
    WITH changes AS (
        SELECT * FROM {statistics} WHERE tenant_id = %s AND experiment = %s
    ),
    days AS (SELECT DISTINCT day FROM changes),
    arms AS (
        SELECT DISTINCT metric, variant, sum_d IS NOT NULL AS is_ratio, sum_x IS NOT NULL AS has_past FROM changes
    ),
    sums AS (
        SELECT metric, variant, is_ratio, has_past, day,
            coalesce(sum(units) OVER so_far, 0) AS units, coalesce(sum(n) OVER so_far, 0) AS n,
            sum(sum_y) OVER so_far AS y, sum(sum_yy) OVER so_far AS yy,
            sum(sum_d) OVER so_far AS d, sum(sum_dd) OVER so_far AS dd, sum(sum_yd) OVER so_far AS yd,
            sum(sum_x) OVER so_far AS x, sum(sum_xx) OVER so_far AS xx, sum(sum_xy) OVER so_far AS xy,
            sum(sum_xd) OVER so_far AS xd
        FROM arms CROSS JOIN days LEFT JOIN changes USING (metric, variant, day)
        WINDOW so_far AS (PARTITION BY metric, variant ORDER BY day)
    )
    SELECT metric, variant, is_ratio, has_past, day, units::bigint, n::bigint,
        (y / nullif(n, 0))::float8, ((n * yy - y * y) / nullif(n, 0))::float8,
        (d / nullif(n, 0))::float8,
        ((n * yd - y * d) / nullif(n, 0))::float8, ((n * dd - d * d) / nullif(n, 0))::float8,
        (x / nullif(n, 0))::float8, ((n * xy - x * y) / nullif(n, 0))::float8,
        ((n * xd - x * d) / nullif(n, 0))::float8, ((n * xx - x * x) / nullif(n, 0))::float8
    FROM sums ORDER BY metric, variant, day
"""


@dataclass(frozen=True)
class Day:
    """One arm as it stood at the end of a day: units first exposed so far, and the moments of those with a value."""

    units: int
    moments: Moments | JointMoments
    has_past: bool


def by_day(postgres: PostgresResource, partition_key: str) -> Mapping[str, Mapping[date, Mapping[str, Day]]]:
    """By metric, day and variant, days ascending. Metrics that have no value at the end of each day are left out."""
    client = postgres.client()
    query = _QUERY.format(statistics=client.table("experiments.daily_statistics"))
    found: dict[str, dict[date, dict[str, Day]]] = {}
    for metric, variant, is_ratio, has_past, day, units, n, *numbers in client.fetch_all(query, split(partition_key)):
        moments = _ratio(n, numbers, has_past) if is_ratio else _mean(n, numbers)
        found.setdefault(metric, {}).setdefault(day, {})[variant] = Day(units, moments, has_past)
    return {metric: dict(sorted(days.items())) for metric, days in found.items()}


def _mean(n: int, numbers: list[float | None]) -> Moments:
    if not n:
        return Moments.empty()
    y, yy, _, _, _, x, xy, _, xx = (number or 0.0 for number in numbers)
    return Moments(n, y, yy, x, xx, xy)


def _ratio(n: int, numbers: list[float | None], has_past: bool) -> JointMoments:
    names = (OUTCOME, DENOMINATOR, *((BEFORE,) if has_past else ()))
    if not n:
        return JointMoments.empty(names)
    y, yy, d, yd, dd, x, xy, xd, xx = (number or 0.0 for number in numbers)
    if has_past:
        return JointMoments(names, n, (y, d, x), (yy, yd, dd, xy, xd, xx))
    return JointMoments(names, n, (y, d), (yy, yd, dd))

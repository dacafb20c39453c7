"""Does the control stay what it was? Each week's units against all units of the weeks before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

from scipy import stats

from causeway.statistics.burn_in import DEFAULT_BURN_IN
from causeway.statistics.gates.gate import THRESHOLD, Gate, percent, spent
from causeway.statistics.moments import Moments


def metric_drift_gate(metric: str, weeks: Sequence[tuple[date, Moments]], *, threshold: float = THRESHOLD) -> Gate:
    """Control units of one week whose mean is another than that of all weeks before: a warning that names the week.

    Units that came in the same week and whose window is over are compared with those before by Welch's test, as each
    week's units are others and each had the same time. The k-th comparison is allowed `threshold` / (k (k + 1)), so
    all weeks to come are wrong with probability `threshold` at most. Weeks that are too small beside those before for
    a skewed metric to be taken for normal (`BurnIn`) are joined with the next. A drift harms no comparison of arms that
    ran side by side, so it never blocks; but the level, the relative effect and the forecast depend on it, and logging
    that changed looks just like it.

    weeks: first day and moments of the control's units, ascending.
    """
    before, waiting = Moments.empty(), Moments.empty()
    found: list[dict[str, object]] = []
    p_values: list[float] = []
    for first_day, moments in weeks:
        waiting = waiting + moments
        if waiting.n < DEFAULT_BURN_IN.arm or (before.n and not DEFAULT_BURN_IN.over(waiting.n, before.n)):
            continue
        if before.n:
            p = _welch(before, waiting)
            p_values.append(spent(p, len(p_values) + 1))
            found.append(
                {
                    "week": first_day.isoformat(),
                    "units": waiting.n,
                    "mean": waiting.mean_y,
                    "mean_before": before.mean_y,
                    "p_value": p_values[-1],
                }
            )
        before, waiting = before + waiting, Moments.empty()
    odd = [row for row in found if float(str(row["p_value"])) < threshold]
    if not found:
        detail = f"{metric}: no two weeks yet with {DEFAULT_BURN_IN.arm} control units whose window is over."
    elif odd:
        worst = min(odd, key=lambda row: float(str(row["p_value"])))
        level, usual = float(str(worst["mean"])), float(str(worst["mean_before"]))
        by = f" ({percent(level / usual - 1)})" if usual else ""
        detail = (
            f"{metric} of the control's units drifts: {level:.4g} in the week of {worst['week']} after {usual:.4g}{by},"
            f" p = {worst['p_value']:.3g}; {len(odd)} of {len(found)} weeks. Ask what changed for everybody: a release,"
            " a season, the logging, or who comes."
        )
    else:
        detail = f"{metric} of the control's units stays the same over {len(found) + 1} weeks."
    return Gate(
        f"metric_drift:{metric}",
        not odd,
        False,
        min(p_values) if p_values else None,
        {"weeks": odd[:20] or found[-1:], "weeks_compared": len(found), "weeks_failed": len(odd)},
        {"weeks_failed": 0, "threshold": threshold, "correction": "alpha_spending"},
        detail,
    )


def _welch(before: Moments, week: Moments) -> float:
    parts = [(each.m2_y / (each.n - 1) / each.n, each.n - 1) for each in (before, week)]
    squared_error = sum(part for part, _ in parts)
    if squared_error <= 0:
        return 1.0 if before.mean_y == week.mean_y else 0.0
    df = squared_error**2 / sum(part**2 / df for part, df in parts)
    return float(2 * stats.t.sf(abs(week.mean_y - before.mean_y) / math.sqrt(squared_error), df))

"""Example answers of the routes of KPIs, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from api.examples import shown

_NAMES: dict[str, Any] = {"kpi": "initiation_value", "tenant": "pharma", "status": "ok"}
_SNAPSHOT = {"snapshot_id": "2f4a6b1d3c5e7f9b1c2f0f4c0f7d0e8e"}
_NOT_CHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer whose ETag was sent as If-None-Match."}
}


def _interval(value: float, ci_low: float, ci_high: float) -> dict[str, float]:
    return {"value": value, "ci_low": ci_low, "ci_high": ci_high}


GAPS: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "gaps": {
                **_NAMES,
                "segments": [
                    {
                        "study": "engagement_initiation",
                        "segment": "1",
                        "levels": {"commercially_insured": "1"},
                        "verdict": "credible",
                        "status": "ok",
                        "reasons": [],
                        "n": 2921,
                        "n_treated": 1198,
                        "n_to_treat": 1723,
                        "extrapolated_share": 0.01,
                        "actual": 0.31,
                        "effect": _interval(0.09, 0.05, 0.13),
                        "simultaneous": _interval(0.09, 0.04, 0.14),
                        "shrunk_effect": _interval(0.085, 0.052, 0.12),
                        "everyone": _interval(0.363, 0.339, 0.387),
                        "nobody": _interval(0.273, 0.253, 0.293),
                        "units_reachable": 1428,
                        "reachable": _interval(0.354, 0.334, 0.374),
                        "gap": _interval(0.044, 0.024, 0.064),
                        "gap_value": _interval(154224.0, 85680.0, 222768.0),
                        "expected_value": 145656.0,
                        "cost_per_unit": 35.0,
                        "cost": 49980.0,
                        "net_value": _interval(104244.0, 35700.0, 172788.0),
                        "roi": _interval(2.09, 0.71, 3.46),
                        "roi_status": "ok",
                        "provenance_id": "p_77d1b9a20c3e",
                    }
                ],
                **_SNAPSHOT,
            }
        }
    ),
    **_NOT_CHANGED,
}

RANKING: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "ranking": {
                **_NAMES,
                "by": {
                    "effect": [
                        {
                            "study": "engagement_initiation",
                            "segment": "1",
                            "verdict": "credible",
                            "rank": 1,
                            "low": 1,
                            "high": 2,
                            "tied_with": ["0"],
                            "probability_best": 0.71,
                        }
                    ]
                },
                **_SNAPSHOT,
            }
        }
    ),
    **_NOT_CHANGED,
}

ALLOCATION: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "allocation": {
                **_NAMES,
                "conflict": [],
                "units": 1428,
                "cost": 49980.0,
                "expected_value": 145656.0,
                "lower_value": 89100.0,
                "net_value": 95676.0,
                "shadow_price": 1.91,
                "binding": ["budget"],
                "settings": {"objective": "expected", "budget": 50000.0},
                "allocations": [
                    {
                        "study": "engagement_initiation",
                        "segment": "1",
                        "opened": True,
                        "units": 1428,
                        "share": 0.829,
                        "cost": 49980.0,
                        "expected_value": 145656.0,
                        "lower_value": 89100.0,
                        "provenance_id": "p_77d1b9a20c3e",
                    }
                ],
                "curve": [{"budget": 50000.0, "cost": 49980.0, "net_value": 95676.0}],
                **_SNAPSHOT,
            }
        }
    ),
    **_NOT_CHANGED,
}

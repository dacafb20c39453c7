"""Example answers of the routes of studies, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from api.examples import shown

_HEADLINE = {
    "method": "aipw",
    "target": "ATE",
    "estimand": "average effect of engaged (1 against 0) on treatment_initiated over every patient of the study",
    "status": "ok",
    "n": 4873,
    "effect": 0.121,
    "std_error": 0.016,
    "ci_low": 0.09,
    "ci_high": 0.152,
    "p_value": 4.1e-14,
    "reason": None,
    "settings": {"spread": 0.08},
}
_REFUTATION = {
    "name": "placebo_treatment",
    "method": "aipw",
    "new_effect": 0.0007,
    "p_value": 0.94,
    "problem_found": False,
    "detail": "20 placebo treatments have a mean effect of 0.0007, 0.04 standard errors from zero",
}
_PROVENANCE = "p_77d1b9a20c3e5f10a2bc"

RESULTS: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "results": {
                "study": "engagement_initiation",
                "tenant": "pharma",
                "status": "ok",
                "outcome": "treatment_initiated",
                "verdict": "credible",
                "reasons": [],
                "estimand": {
                    "target": "ATE",
                    "in_words": _HEADLINE["estimand"],
                    "identified": True,
                    "adjustment_set": ["severity", "age"],
                    "by": "backdoor",
                },
                "estimates": [_HEADLINE],
                "headline": _HEADLINE,
                "n": 4873,
                "n_left_out": 127,
                "left_out": {"without severity": 127},
                "rules": [
                    {
                        "rule": "overlap",
                        "severity": "fine",
                        "observed": 0.0,
                        "limit": 0.1,
                        "detail": "0.0% of the units asked about have no counterpart in the other arm",
                        "plain": None,
                    }
                ],
                "refutations": [_REFUTATION],
                "diagnostics": {"balance": [{"covariate": "age", "smd_before": 0.31, "smd_after": 0.01}]},
                "sensitivity": {"e_value": 2.1, "e_value_ci": 1.8, "robustness_value": 0.11},
                "heterogeneity": {},
                "provenance_id": _PROVENANCE,
                "further": [],
                "results": [
                    {
                        "outcome": "treatment_initiated",
                        "segment": "",
                        "verdict": "credible",
                        "method": "aipw",
                        "target": "ATE",
                        "estimand": _HEADLINE["estimand"],
                        "is_headline": True,
                        "position": 1,
                        "status": "ok",
                        "effect": 0.121,
                        "std_error": 0.016,
                        "ci_low": 0.09,
                        "ci_high": 0.152,
                        "p_value": 4.1e-14,
                        "n": 4873,
                        "n_left_out": 127,
                        "reasons": [],
                        "refutations": [_REFUTATION],
                        "diagnostics": {},
                        "provenance_id": _PROVENANCE,
                    }
                ],
                "snapshot_id": "2f4a6b1d3c5e7f9b1c2f0f4c0f7d0e8e",
            }
        }
    ),
    304: {"description": "Nothing has changed since the answer whose ETag was sent as If-None-Match."},
}

_PAGE = '<!doctype html>\n<html lang="en">\n<title>Smoking cessation and weight: Credible</title>\n…\n</html>'
REPORT: dict[int | str, dict[str, Any]] = {
    **shown({"a page": _PAGE}, "text/html"),
    304: {"description": "Nothing has changed since the page whose ETag was sent as If-None-Match."},
}

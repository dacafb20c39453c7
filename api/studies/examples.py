"""Example answers of the routes of studies, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from api.examples import shown

RESULTS: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "results": {
                "study": "engagement_initiation",
                "tenant": "pharma",
                "status": "ok",
                "verdict": "credible",
                "reasons": [],
                "results": [
                    {
                        "verdict": "credible",
                        "method": "dowhy_linear_regression",
                        "target": "ATE",
                        "estimand": "backdoor: severity, age",
                        "status": "ok",
                        "effect": 0.081,
                        "std_error": 0.012,
                        "ci_low": 0.057,
                        "ci_high": 0.105,
                        "p_value": 1.5e-11,
                        "n": 4873,
                        "n_left_out": 127,
                        "reasons": [],
                        "refutations": [
                            {
                                "name": "placebo_treatment",
                                "new_effect": 0.0007,
                                "p_value": 0.94,
                                "problem_found": False,
                            }
                        ],
                        "diagnostics": {"confounders": ["severity", "age"]},
                        "provenance_id": "77d1b9a20c3e",
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

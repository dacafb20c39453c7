"""Example answers of the routes of experiments, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from api.examples import shown
from api.experiments.models import Plan

_HASH = "0d5f5c6a41b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c"

_SUMMARY: dict[str, Any] = {
    "experiment": "email_campaign",
    "name": "Two e-mail campaigns against none",
    "hypothesis": "An e-mail brings customers to the shop.",
    "owner": "growth",
    "unit": "customer",
    "control": "none",
    "variants": {"none": 1.0, "mens": 1.0, "womens": 1.0},
    "status": "running",
    "version": 1,
    "stage": "ended",
    "units": 64000,
    "gates_passed": True,
    "decision": "ship",
    "starts_on": "2024-01-01",
    "ends_on": "2024-01-15",
    "declared_at": "2024-01-01T09:00:00Z",
    "computed_at": "2024-01-16T05:00:00Z",
}

_RESULT: dict[str, Any] = {
    "metric": "visit",
    "metric_role": "primary",
    "segment": None,
    "variant": "mens",
    "control": "none",
    "method": "adjusted",
    "interval": "fixed_horizon",
    "is_headline": True,
    "status": "ok",
    "n": 21307,
    "n_control": 21306,
    "mean": 0.1827,
    "mean_control": 0.1062,
    "effect": 0.0766,
    "std_error": 0.0034,
    "ci_low": 0.07,
    "ci_high": 0.0832,
    "p_value": 1.6e-113,
    "relative_effect": 0.7212,
    "relative_ci_low": 0.644,
    "relative_ci_high": 0.7984,
    "adjusted_p_value": 3.2e-113,
    "is_significant": True,
    "chance_to_beat": 1.0,
    "expected_loss": 0.0,
    "reasons": [],
    "settings": {"covariates": ["recency", "history"], "confidence": 0.95},
    "provenance_id": "5f0c6e1c9a4b",
}

_UNDEFINED = (
    "effect",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "relative_effect",
    "relative_ci_low",
    "relative_ci_high",
    "adjusted_p_value",
    "is_significant",
    "chance_to_beat",
    "expected_loss",
)

_SRM: dict[str, Any] = {
    "passed": True,
    "blocking": True,
    "p_value": 0.63,
    "observed": {"none": 21306, "mens": 21307, "womens": 21387},
    "expected": {"none": 21333.3, "mens": 21333.3, "womens": 21333.3},
    "detail": None,
}

_RESULTS: dict[str, Any] = {
    "experiment": "email_campaign",
    "tenant": "demo",
    "status": "ok",
    "gates": {"passed": True, "closed": []},
    "health": {"srm": _SRM},
    "reasons": [],
    "results": [_RESULT],
    "snapshot_id": "9b1c2f0f4c0f7d0e8e2f4a6b1d3c5e7f",
    "computed_at": "2024-01-16T05:00:00Z",
}

_WHY = "srm: 21306 and 25100 units where equal numbers were expected"

_WITHHELD: dict[str, Any] = {
    **_RESULTS,
    "status": "withheld",
    "gates": {"passed": False, "closed": ["srm"]},
    "health": {"srm": {**_SRM, "passed": False, "p_value": 1.2e-69, "detail": _WHY.removeprefix("srm: ")}},
    "reasons": [_WHY],
    "results": [{**_RESULT, **dict.fromkeys(_UNDEFINED), "status": "withheld", "reasons": [_WHY]}],
}

PAGE = shown({"a page": {"experiments": [_SUMMARY], "next": "MTplbWFpbF9jYW1wYWlnbg"}})
EXPERIMENT = shown(
    {
        "an experiment": {
            **_SUMMARY,
            "metrics": [{"key": "visit", "type": "conversion", "column": "visit", "role": "primary"}],
            "covariates": ["recency", "history"],
            "segments": ["channel"],
            "decision_reasons": ["visit: the interval of the effect lies above zero"],
            "declaration_hash": _HASH,
            "declared_in": "email_campaign.yaml",
            "declaration": {"kind": "experiment", "key": "email_campaign", "tenant": "demo", "unit": "customer"},
            "life_cycle": [{"status": "running", "version": 1, "at": "2024-01-01T09:00:00Z"}],
        }
    }
)

_REGISTERED: dict[str, Any] = {
    "experiment": "checkout",
    "status": "draft",
    "version": 1,
    "declaration": {"kind": "experiment", "key": "checkout", "tenant": "demo", "unit": "customer", "status": "draft"},
    "declaration_hash": _HASH,
    "declared_in": None,
    "declared_at": "2025-01-31T12:00:00Z",
    "life_cycle": [{"status": "draft", "version": 1, "at": "2025-01-31T12:00:00Z"}],
}
_PLAN: dict[str, Any] = {
    "experiment": "checkout",
    "action": "change",
    "changes": [{"path": "variants.on", "before": 1.0, "after": 3.0}],
    "problems": [
        {
            "location": ["body", "variants"],
            "code": "frozen",
            "message": "cannot change while the experiment is running; raise version above 1 to do it all the same",
        }
    ],
}
_ETAG = {"ETag": {"description": "Changes with the declaration.", "schema": {"type": "string"}}}
_WRONG: dict[int | str, dict[str, Any]] = {
    409: {"description": "It does not fit what is in force, or a file declares it: see errors and detail."}
}

_PLANNED = shown({"a plan": _PLAN})[200]["content"]["application/json"]
CREATED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The plan of a dry run.", "model": Plan, "content": {"application/json": _PLANNED}},
    201: {
        "description": "It is in force.",
        "headers": {**_ETAG, "Location": {"description": "Path of the experiment.", "schema": {"type": "string"}}},
        "content": shown({"an experiment": _REGISTERED})[200]["content"],
    },
    **_WRONG,
}
CHANGED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "It is in force; or, of a dry run, the plan.",
        "headers": _ETAG,
        "content": shown({"an experiment": _REGISTERED, "a plan": _PLAN})[200]["content"],
    },
    **_WRONG,
    412: {"description": "It was changed since the ETag in If-Match was read."},
    428: {"description": "If-Match is missing."},
}
RESULTS: dict[int | str, dict[str, Any]] = {
    **shown({"results": _RESULTS, "withheld": _WITHHELD}),
    304: {"description": "Nothing has changed since the answer whose ETag was sent as If-None-Match."},
}

_OF_RESULTS_ALONE = ("segment", "is_headline", "adjusted_p_value", "is_significant", "chance_to_beat", "expected_loss")
_LOOK: dict[str, Any] = {
    **{name: value for name, value in _RESULT.items() if name not in {*_OF_RESULTS_ALONE, "reasons", "settings"}},
    "day": "2024-01-08",
    "interval": "always_valid",
    "alpha": 0.05,
}
LOOKS: dict[int | str, dict[str, Any]] = {
    **shown({"looks": {"experiment": "email_campaign", "looks": [_LOOK]}}),
    304: {"description": "Nothing has changed since the answer whose ETag was sent as If-None-Match."},
}

_PAGE = '<!doctype html>\n<html lang="en">\n<title>Two e-mail campaigns against none: Ship mens</title>\n…\n</html>'
REPORT: dict[int | str, dict[str, Any]] = {
    **shown({"a page": _PAGE}, "text/html"),
    304: {"description": "Nothing has changed since the page whose ETag was sent as If-None-Match."},
}

_SEGMENT: dict[str, Any] = {
    "metric": "visit",
    "metric_role": "primary",
    "segment": "channel",
    "variant": "mens",
    "control": "none",
    "status": "ok",
    "p_value": 0.0004,
    "q_value": 0.0016,
    "found": True,
    "levels": [{"level": "web", "effect": 0.09, "effect_others": 0.06, "difference": 0.03, "found": True}],
    "levels_found": ["web"],
    "reversed_levels": [],
    "reasons": [],
    "settings": {"alpha": 0.05, "left_out": {}},
    "provenance_id": "p_5f0c6e1c9a4b",
}
_INTERACTION: dict[str, Any] = {
    "experiment_a": "checkout",
    "experiment_b": "email_campaign",
    "test": "interaction",
    "measured_in": "email_campaign",
    "metric": "visit",
    "status": "ok",
    "n": 31877,
    "p_value": 0.00002,
    "q_value": 0.0004,
    "found": True,
    "cramers_v": None,
    "effects": [{"variant_a": "new", "variant_b": "mens", "status": "ok", "effect": -0.05, "p_value": 0.00002}],
    "settings": {"false_discovery_rate": 0.05, "control": ["old", "none"]},
    "provenance_id": "p_77aa01b2c3d4",
}
FINDINGS: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "findings": {
                "experiment": "email_campaign",
                "tenant": "demo",
                "heterogeneity": [_SEGMENT],
                "interactions": [_INTERACTION],
            }
        }
    ),
    304: {"description": "Nothing has changed since the answer whose ETag was sent as If-None-Match."},
}

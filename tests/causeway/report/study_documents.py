"""A study's answer with something in every part, whose numbers of an effect are recognised wherever they turn up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from causeway.report.experiment_report import ReportProvenance
from causeway.report.study_report import StudyReport

# Every number of an effect below is made of these digits, which nothing else in a document has.
DIGITS = "7359"
EFFECT = {
    "status": "ok", "effect": 73.59, "std_error": 3.7359, "ci_low": 66.2351, "ci_high": 80.9749, "p_value": 0.007359,
}  # fmt: skip
TOLD = ("73.5", "73.6", "74", "66.2", "80.9", "81.0", "7.36", "36.8", "0.0074", DIGITS)
"""How they read on a page."""


def document(
    *,
    verdict: str = "credible",
    reasons: Sequence[str] = (),
    text: str = "text",
    names: Sequence[str] = ("age", "sex", "smoking"),
    treatment: str = "quit",
    outcome: str = "weight",
    differs: bool = True,
    segment: str | None = None,
) -> dict[str, Any]:
    """An answer; ``names`` are of confounders, ``text`` stands where a sentence or a name of somebody's may stand."""
    estimates = [
        {
            "method": method, "target": target, "estimand": f"average effect of {treatment} on {outcome}", "n": 1_000,
            "reason": None, "settings": {"splits": [73.59, 73.95]}, **EFFECT,
        }
        for method, target in (("aipw", "ATE"), ("partially_linear", "ATO"), ("aipw_trimmed", "ATE_trimmed"))
    ]  # fmt: skip
    nothing = dict.fromkeys(("effect", "std_error", "ci_low", "ci_high", "p_value"))
    failed = {
        **estimates[0],
        **nothing,
        "method": "matching",
        "status": "too_few_units",
        "reason": text,
        "settings": {},
    }
    estimates.append(failed)
    return {
        "outcome": outcome,
        "segment": segment,
        "verdict": verdict,
        "reasons": list(reasons),
        "estimand": {
            "target": "ATE", "in_words": f"average effect of {treatment} (1 against 0) on {outcome} over every person",
            "identified": True, "adjustment_set": list(names), "by": "backdoor",
        },
        "estimates": estimates,
        "headline": estimates[0],
        "n": 1_000,
        "n_left_out": 22,
        "left_out": {f"without {name}": 11 for name in names[:2]},
        "rules": [
            {"rule": "overlap", "severity": "fine", "observed": 0.0, "limit": 0.1, "detail": text},
            {"rule": "balance", "severity": "caution", "observed": 0.1, "limit": 0.1, "detail": f"balance {text}"},
            {
                "rule": "refutations", "severity": "withhold", "observed": 0.007359, "limit": None,
                "detail": "placebo_treatment found a problem: the placebo has an effect of 73.59 (p = 0.0074)",
            },
        ],
        "refutations": [
            {
                "name": name, "method": "aipw", "new_effect": effect, "p_value": 0.007359, "problem_found": found,
                "detail": f"{text}: 73.59",
            }
            for name, effect, found in (
                ("placebo_treatment", 7.359, True), ("data_subset", 73.95, False), ("dummy_outcome", None, None)
            )
        ],
        "diagnostics": {
            "overlap": {
                "share_outside": 0.01, "share_trimmed": 0.02, "effective_treated": 400.0, "effective_control": 410.0,
                "treated_quantiles": [0.1, 0.1, 0.6, 0.8, 0.8], "control_quantiles": [0.1, 0.1, 0.4, 0.8, 0.8],
                "histogram": {"treated": [0.0, 2.0, 8.0, 10.0], "control": [4.0, 8.0, 8.0, 0.0]},
            },
            "balance": [{"covariate": name, "smd_before": -0.4, "smd_after": 0.02} for name in names]
            + [{"covariate": f"{names[0]}, constant", "smd_before": None, "smd_after": None}],
            "negative_controls": [
                {
                    "column": names[0], "role": "outcome", "status": "ok", "effect": 0.1, "std_error": 0.2,
                    "ci_low": -0.2, "ci_high": 0.4, "p_value": 0.6, "n": 1_000,
                }
            ],
            "instrument": {
                "two_stage_least_squares": {
                    "least_squares": 73.59, "first_stage": {"f_effective": 41.2, "critical": 23.1, "partial_r2": 0.2},
                    "robust_set": {"in_words": "66.2 to 80.9"}, "overidentification": {"p_value": 0.4},
                },
                "local_average_effect": {"share_of_compliers": 0.4, "in_words": "73.59"},
            },
            "nuisance": {"propensity": {"loss": "x", "learners": {"quadratic": 0.8, "mean": 0.2}, "r_squared": 0.1}},
            "graph": {
                "edges": [
                    *([name, treatment] for name in names), *([name, outcome] for name in names), [treatment, outcome],
                    [text, outcome], [treatment, "income"],
                ],
                "adjusted": list(names), "set_aside": [], "refused": ["income"], "unmeasured": [text],
                "remarks": [text], "confirmed_by_dowhy": True, "confirmation": "DoWhy agrees",
            },
            "data": {"constant": [text], "folded_levels": {text: 3}, "clusters": 12, "blocks": None},
        },
        "sensitivity": {
            "e_value": 3.7359, "e_value_ci": 2.7359, "e_value_scale": "standardised_difference",
            "robustness_value": 0.27359, "robustness_value_ci": 0.17359, "contour": _contour(),
            "benchmarks": [{"name": name, "outcome": 0.1, "treatment": 0.03 * at} for at, name in enumerate(names, 1)],
            "rosenbaum": {"status": "ok", "critical_gamma": 1.7359},
        },
        "heterogeneity": _heterogeneity(text, names, differs=differs),
    }  # fmt: skip


def report(main: dict[str, Any] | None = None, *others: dict[str, Any], text: str = "text") -> StudyReport:
    """A report of answers; without any, of one with everything."""
    answers = (main or document(text=text), *others)
    return StudyReport(
        "weight_study", answers, tenant=text, name=text, hypothesis=text, owner=text, unit="person", treatment="quit",
        provenance=ReportProvenance(declaration_hash="abc", provenance_ids=(f"{text}-id",)),
    )  # fmt: skip


def withheld(**changes: Any) -> dict[str, Any]:
    """The same answer with all its numbers, whose verdict forbids to show them."""
    reason = "placebo_treatment found a problem: the placebo has an effect of 73.59 (p = 0.0074)"
    return document(verdict="withheld", reasons=[reason], **changes)


def _contour() -> dict[str, Any]:
    grid = [0.0, 0.2, 0.4]
    effects = [[73.59 - 300 * (y * d / (1 - d)) ** 0.5 for d in grid] for y in grid]
    return {
        "effect": 73.59, "null": 0.0, "outcome_strengths": grid, "treatment_strengths": grid, "effects": effects,
        "crossing": [None, None, 0.1],
    }  # fmt: skip


def _heterogeneity(text: str, names: Sequence[str], *, differs: bool) -> dict[str, Any]:
    groups = {
        "status": "ok", "p_value": 0.007359, "last_less_first": EFFECT,
        "groups": [{"group": f"{text} {part}", "n": 200, "effect": EFFECT, "predicted": 73.59} for part in "ab"]
        + [{"group": f"{text} c", "n": 2, "effect": {"status": "too_few_units"}, "predicted": None}],
    }  # fmt: skip
    value = {name: EFFECT for name in ("value", "treat_all", "over_all", "over_random")}
    return {
        "status": "ok", "learner": "r_linear" if differs else "constant", "beats_constant": differs,
        "reason": f"evidence {text}", "p_value": 0.007359, "average_effect": EFFECT, "sd_effect": 7.359,
        "histogram": {"edges": [-7.359, 0.0, 73.59], "counts": [100.0, 900.0]} if differs else None,
        "best_linear_projection": {
            "status": "ok",
            "slopes": [{"column": names[0], "slope": EFFECT, "spread": 2.0, "p_value_adjusted": 0.007359}],
        },
        "groups": groups if differs else None,
        "segments": {names[0]: groups},
        "uplift": {
            "status": "ok", "qini": EFFECT, "p_value": 0.007359,
            "curve": [{"share": s, "gain": 73.59 * s, "gain_of_chance": 66.2 * s} for s in (0.0, 0.5, 1.0)],
        },
        "drivers": {
            "status": "ok", "reason": "",
            "drivers": [{"column": names[0], "importance": 7.359, "share": 1.0, "direction": "rises"}][: int(differs)],
        },
        "policy": {
            "status": "ok", "share": 0.5, "n": 500, **value,
            "tree": {"rule": f"{text} > 1", "share": 0.5, "value": EFFECT},
            "curve": [
                {"share": s, "value": 73.59 * s, "ci_low": 66.2 * s, "ci_high": 80.9 * s, "value_at_random": 7.359 * s}
                for s in (0.0, 0.5, 1.0)
            ],
        },
        "share_extrapolated": 0.0, "reasons": [f"evidence {text}"], "settings": {"seed": 1, "splits": 3, "folds": 5},
    }  # fmt: skip

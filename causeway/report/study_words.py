"""Words for a study: its verdict, its headline, its methods, rules and attempts to refute it."""

from __future__ import annotations

from causeway.report.numbers import Scale, decimal, level, p_value, percent
from causeway.report.study_report import Document, StudyReport, interval, number
from causeway.report.words import said, status_in_words

SCALE = Scale()
CONFIDENCE = 0.95
TITLES = {"credible": "Credible", "caution": "To be read with caution", "withheld": "Withheld"}
METHODS = {
    "aipw": "AIPW",
    "aipw_trimmed": "AIPW, trimmed",
    "g_formula": "g-formula",
    "ipw": "IPW",
    "2sls": "2SLS",
    "late": "LATE",
}
LONG_METHODS = {
    "aipw": "augmented inverse probability weighting, cross-fitted",
    "aipw_trimmed": "the same among those who could have been in either arm",
    "g_formula": "outcomes predicted with and without treatment",
    "ipw": "inverse probability weighting",
    "partially_linear": "double machine learning, partially linear",
    "linear_regression": "least squares on treatment and confounders",
    "matching": "nearest neighbours, bias-corrected",
    "difference_in_means": "the arms as they are",
    "2sls": "two-stage least squares: what the instruments move",
    "late": "what the instrument moves, doubly robust",
}
TARGETS = {
    "ATE": "everybody",
    "ATT": "the treated",
    "ATC": "the untreated",
    "ATO": "the undecided (overlap-weighted)",
    "LATE": "those whom the instrument moves",
    "ATE_trimmed": "those with a counterpart",
    "ATT_trimmed": "the treated with a counterpart",
    "ATC_trimmed": "the untreated with a counterpart",
    "slope": "one unit more, overlap-weighted",
    "association": "nobody in particular: an association",
}
SEVERITIES = {"withhold": "withholds", "caution": "caution", "fine": "fine"}
WAYS = {
    "backdoor": "by adjustment (back door)",
    "instrument": "by an instrument",
    "front_door": "by the front door",
    "design": "by design",
}


def method(name: str) -> str:
    """A method in a few letters.

    >>> method("aipw"), method("difference_in_means")
    ('AIPW', 'difference in means')
    """
    return METHODS.get(name, said(name))


def target(name: str) -> str:
    """Whose effect it is.

    >>> target("ATT")
    'the treated'
    """
    return TARGETS.get(name, said(name))


def brackets(effect: float, low: float, high: float) -> str:
    """An effect with its interval, in the outcome's own units."""
    return SCALE.brackets(effect, low, high)


def why_not(record: Document) -> str:
    """Why there is no number."""
    words = status_in_words(str(record.get("status")))
    reason = record.get("reason")
    return f"{words}: {reason}" if reason and reason != words else words


def title_of(report: StudyReport) -> str:
    """The verdict."""
    return "Not answered yet" if report.main is None else TITLES[str(report.main["verdict"])]


def lead_of(report: StudyReport) -> tuple[str, ...]:
    """What was found, in sentences; or that there is nothing to show, and why."""
    answer = report.main
    if answer is None:
        return ("Nothing has been estimated yet.",)
    question = _capital(str((answer.get("estimand") or {}).get("in_words") or "the effect asked for"))
    if answer["verdict"] == "withheld":
        return (
            f"Asked for: {question[0].lower()}{question[1:]}.",
            "The data cannot answer this, so no number is shown. Why is said below.",
        )
    headline = answer.get("headline")
    found = interval(headline)
    if headline is None or found is None:
        return (f"{question}: {why_not(headline) if headline else 'not estimated'}.",)
    effect, low, high = found
    half = (high - low) / 2
    numbers = f"{SCALE.effect(effect, half)} ({level(CONFIDENCE)} interval {SCALE.interval(low, high)})"
    excluded = low > 0 or high < 0
    clear = "The interval excludes zero." if excluded else "The interval holds zero: there may be no effect."
    return (f"{question}: {numbers}.", " ".join(filter(None, (clear, _bearing(answer, excluded=excluded)))))


def lead_on_sensitivity(sensitivity: Document) -> list[str]:
    """What something unmeasured would have to be to change the answer."""
    sentences = []
    value, of_interval = number(sensitivity.get("robustness_value")), number(sensitivity.get("robustness_value_ci"))
    if value is not None:
        words = (
            f"Something unmeasured that explains {percent(value, 0.01)} of what is left of both treatment and outcome"
            " would bring the effect to zero"
        )
        if of_interval is not None:
            words += f", and {percent(of_interval, 0.01)} would bring the interval there"
        sentences.append(f"{words} (robustness value).")
    point, limit = number(sensitivity.get("e_value")), number(sensitivity.get("e_value_ci"))
    if point is not None:
        words = f"On the scale of risk ratios it would need an association of {decimal(point, 0.1)} with both"
        if limit is not None:
            words += f", of {decimal(limit, 0.1)} for the interval"
        sentences.append(f"{words} (E-value).")
    gamma = number((sensitivity.get("rosenbaum") or {}).get("critical_gamma"))
    if gamma is not None:
        sentences.append(
            f"Among matched pairs, odds of treatment that differ by a factor of {decimal(gamma, 0.1)} between units"
            " that look alike would explain the difference (Rosenbaum bounds)."
        )
    return sentences


def p_in_words(record: Document | None) -> str:
    """The p-value of a record, empty without one."""
    value = number((record or {}).get("p_value"))
    return "" if value is None else p_value(value)


def outcome_and_segment(answer: Document) -> str:
    """What an answer is about, among several."""
    segment = answer.get("segment")
    return f"{answer.get('outcome')}, {segment}" if segment else str(answer.get("outcome"))


def _bearing(answer: Document, *, excluded: bool) -> str:
    value = number((answer.get("sensitivity") or {}).get("robustness_value"))
    if value is None or not excluded:
        return ""
    return (
        f"To bring it to zero, something unmeasured would have to explain {percent(value, 0.01)} of what is left of"
        " both treatment and outcome."
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]

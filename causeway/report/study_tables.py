"""The tables of a study's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causeway.report import study_words as words
from causeway.report.numbers import decimal, p_value, percent, whole
from causeway.report.section import Cell, Check, Checks, Table
from causeway.report.study_charts import benchmarks, found_in_words
from causeway.report.study_report import Document, interval, number
from causeway.report.words import said

MOST_ROWS = 200


def rules_of(answer: Document) -> Checks | None:
    """Every rule of the verdict, the gravest first."""
    kinds = {"withhold": "closed", "caution": "warning"}
    order = ("withhold", "caution", "fine")
    given = sorted(answer.get("rules") or (), key=lambda rule: order.index(str(rule["severity"])))
    checks = tuple(
        Check(
            said(str(rule["rule"])),
            kinds.get(str(rule["severity"]), "passed"),
            words.SEVERITIES.get(str(rule["severity"]), str(rule["severity"])),
            str(rule.get("detail") or ""),
        )
        for rule in given
    )
    return Checks(checks) if checks else None


def estimates_of(answer: Document) -> Table | None:
    """Methods with whose effect each is, its number and its units."""
    rows = []
    headline = (answer.get("headline") or {}).get("method")
    for each in answer.get("estimates") or ():
        name = str(each["method"])
        label = f"{words.method(name)} (headline)" if name == headline else words.method(name)
        found = interval(each)
        effect = Cell(words.why_not(each), is_name=True)
        if found is not None:
            half = (found[2] - found[1]) / 2
            effect = Cell(words.SCALE.effect(found[0], half), words.SCALE.interval(found[1], found[2]))
        rows.append(
            (
                Cell(label, words.LONG_METHODS.get(name, "")),
                Cell(str(each["target"]), words.target(str(each["target"]))),
                effect,
                Cell(words.p_in_words(each) or "none"),
                Cell(whole(int(each.get("n") or 0))),
            )
        )
    columns = ("Method", "Whose effect", "Effect", "p", "Units")
    return Table("Estimates by method", columns, tuple(rows)) if rows else None


def balance_of(answer: Document) -> Table | None:
    """Standardised differences of every covariate, the largest first."""
    given = (answer.get("diagnostics") or {}).get("balance") or ()

    def largest(each: Document) -> float:
        return -max(abs(number(each.get(name)) or 0.0) for name in ("smd_before", "smd_after"))

    rows = [
        (
            Cell(str(each["covariate"]), is_name=True),
            Cell(_difference(each.get("smd_before"))),
            Cell(_difference(each.get("smd_after"))),
        )
        for each in sorted(given, key=largest)
    ]
    caption = f"Standardised differences of {len(rows)} covariates"
    return _folded(caption, ("Covariate", "Before adjustment", "After"), rows)


def negative_controls_of(answer: Document) -> Table | None:
    """Effects where there can be none."""
    rows = []
    for each in (answer.get("diagnostics") or {}).get("negative_controls") or ():
        found = interval(each)
        effect = Cell(said(str(each.get("status"))), is_name=True)
        if found is not None:
            half = (found[2] - found[1]) / 2
            effect = Cell(words.SCALE.effect(found[0], half), words.SCALE.interval(found[1], found[2]))
        rows.append(
            (
                Cell(str(each["column"]), is_name=True),
                Cell(str(each["role"])),
                effect,
                Cell(words.p_in_words(each) or "none"),
            )
        )
    columns = ("Column", "In place of", "Effect found", "p")
    return Table("Effects where there can be none", columns, tuple(rows)) if rows else None


def refutations_of(answer: Document) -> Table | None:
    """Attempts to break the estimate, with what they say."""
    found = interval(answer.get("headline"))
    half = None if found is None else (found[2] - found[1]) / 2
    rows = []
    for each in answer.get("refutations") or ():
        new_effect = number(each.get("new_effect"))
        rows.append(
            (
                Cell(said(str(each["name"]))),
                Cell(found_in_words(each.get("problem_found"))),
                Cell("none" if new_effect is None else words.SCALE.effect(new_effect, half)),
                Cell(words.p_in_words(each) or "none"),
                Cell(str(each.get("detail") or ""), is_name=True),
            )
        )
    return _folded("Attempts to refute the estimate", ("Attempt", "Found", "New effect", "p", "Says"), rows)


def benchmarks_of(sensitivity: Document) -> Table | None:
    """How strong the measured confounders are, for comparison."""
    rows = tuple(
        (
            Cell(name, is_name=True),
            Cell("all that is left" if outcome is None else percent(treatment, 0.01)),
            Cell("none" if outcome is None else percent(outcome, 0.01)),
        )
        for name, treatment, outcome in benchmarks(sensitivity)
    )
    columns = ("As strong as", "Of the treatment", "Of the outcome")
    return Table("What measured confounders explain, for comparison", columns, rows) if rows else None


def drivers_of(different: Document) -> Table | None:
    """Columns that move the predicted effect."""
    directions = {"rises": "effect rises with it", "falls": "effect falls with it", "mixed": "no one direction"}
    given = (different.get("drivers") or {}).get("drivers") or ()
    rows = tuple(
        (
            Cell(str(each["column"]), is_name=True),
            Cell(decimal(float(each["importance"]))),
            Cell(percent(float(each["share"]), 0.01)),
            Cell(directions.get(str(each["direction"]), "does not move it")),
        )
        for each in given[:20]
    )
    columns = ("Modifier", "Mean contribution", "Share", "Direction")
    return Table("What drives the differences (TreeSHAP)", columns, rows) if rows else None


def slopes_of(different: Document) -> Table | None:
    """The best linear projection of the effect on the modifiers."""
    rows = []
    for each in (different.get("best_linear_projection") or {}).get("slopes") or ():
        found = interval(each.get("slope"))
        if found is None:
            continue
        half = (found[2] - found[1]) / 2
        adjusted = number(each.get("p_value_adjusted"))
        rows.append(
            (
                Cell(str(each["column"]), is_name=True),
                Cell(words.SCALE.effect(found[0], half), words.SCALE.interval(found[1], found[2])),
                Cell("none" if adjusted is None else p_value(adjusted)),
                Cell(decimal(float(each["spread"]))),
            )
        )
    columns = ("Modifier", "Change of the effect per sd", "p, adjusted", "One sd")
    return Table("Best linear projection of the effect", columns, tuple(rows)) if rows else None


def others_of(answers: Sequence[Document]) -> Table | None:
    """Further outcomes and segments, each with its verdict."""
    rows = []
    for each in answers:
        headline = each.get("headline")
        found = interval(headline)
        effect = Cell(words.why_not(headline) if headline else "withheld", is_name=True)
        if found is not None:
            half = (found[2] - found[1]) / 2
            effect = Cell(words.SCALE.effect(found[0], half), words.SCALE.interval(found[1], found[2]))
        why = "; ".join(str(reason) for reason in each.get("reasons") or ())
        rows.append(
            (
                Cell(words.outcome_and_segment(each), is_name=True),
                Cell(words.TITLES[str(each["verdict"])], why, is_name=True),
                effect,
                Cell(str((headline or {}).get("target") or "none")),
                Cell(whole(int(each.get("n") or 0))),
            )
        )
    columns = ("Outcome, segment", "Verdict", "Effect", "Target", "Units")
    return Table("Each with a verdict of its own", columns, tuple(rows[:MOST_ROWS])) if rows else None


def left_out_of(answer: Document) -> Table | None:
    """Rows that were not used, by reason."""
    left_out: Mapping[str, int] = answer.get("left_out") or {}
    rows = tuple((Cell(str(reason)), Cell(whole(int(count)))) for reason, count in left_out.items())
    return Table("Rows left out", ("Why", "Rows"), rows) if rows else None


def nuisance_of(answer: Document) -> Table | None:
    """The learners that were chosen by their out-of-fold loss, with their weights."""
    rows = []
    for name, told in ((answer.get("diagnostics") or {}).get("nuisance") or {}).items():
        if not isinstance(told, Mapping):
            continue
        learners = {str(learner): number(weight) for learner, weight in (told.get("learners") or {}).items()}
        chosen = "; ".join(
            said(learner) if weight is None else f"{said(learner)} {percent(weight, 0.1)}"
            for learner, weight in learners.items()
        )
        explained = number(told.get("r_squared"))
        rows.append(
            (
                Cell(said(str(name))),
                Cell(chosen or "given by design"),
                Cell("none" if explained is None else percent(explained, 0.01)),
            )
        )
    columns = ("What was learnt", "Learners and weights", "Explained out of fold")
    return _folded("How outcome and treatment were predicted", columns, rows)


def _folded(caption: str, columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> Table | None:
    return Table(caption, columns, tuple(rows[:MOST_ROWS]), is_folded=True) if rows else None


def _difference(value: object) -> str:
    known = number(value)
    return "does not vary" if known is None else decimal(known, 0.01)

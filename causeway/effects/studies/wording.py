"""Estimands in words: whose effect, of what on what, and under which condition the number is that."""

from __future__ import annotations

from causeway.declarations.study import StudyDeclaration


def contrast_of(study: StudyDeclaration) -> str:
    """Such as "qsmk (1 against 0) on wt82_71"."""
    values = study.treatment.values
    how = "one unit more" if values is None else f"{values.treated} against {values.control}"
    return f"{study.treatment.column} ({how})"


def estimand_in_words(study: StudyDeclaration, outcome: str, target: str) -> str:
    """What a number with this target is an answer to."""
    contrast, unit = contrast_of(study), study.unit
    return {
        "ATE": f"average effect of {contrast} on {outcome} over every {unit} of the study",
        "ATT": f"average effect of {contrast} on {outcome} over every {unit} that was treated",
        "ATC": f"average effect of {contrast} on {outcome} over every {unit} that was not treated",
        "ATE_trimmed": f"average effect of {contrast} on {outcome} over every {unit} that could have been in either"
        " arm (propensity between 0.05 and 0.95)",
        "ATT_trimmed": f"average effect of {contrast} on {outcome} over every {unit} that was treated and could have"
        " been left untreated (propensity up to 0.95)",
        "ATC_trimmed": f"average effect of {contrast} on {outcome} over every {unit} that was not treated and could"
        " have been (propensity from 0.05)",
        "ATO": f"average effect of {contrast} on {outcome}, each {unit} weighted by how undecided its treatment was:"
        " the ATE, ATT and ATC alike only if the effect is the same for all",
        "LATE": f"average effect of {contrast} on {outcome} over every {unit} whom the instrument moves",
        "slope": f"average change of {outcome} with one unit more of {study.treatment.column}, each {unit} weighted"
        " by how undecided its treatment was",
        "association": f"difference in mean {outcome} between those with and without {contrast}, as they are: an effect"
        " only if the treatment was as good as random",
    }[target]

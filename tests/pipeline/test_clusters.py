"""An experiment whose units come in clusters: what the graph publishes is what its units give by hand."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from causeway.effects.segments import segment_effects
from causeway.statistics import JointMoments, Moments, adjusted_effect, cuped, difference_in_means
from causeway.statistics.cluster_influence import effect_across_clusters_adjusted
from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters
from causeway.statistics.quantile import clustered_quantile_effect

if TYPE_CHECKING:
    from conftest import House

CLASS = "acme|classes"
NUMBERS = ("mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value")


def pupils() -> list[dict[str, Any]]:
    """360 pupils of 18 unequal schools, three arms in each; scores depend on the school, and so does the effect.

    Six have no school on record.
    """
    dice = random.Random(5)
    own = {school: (dice.gauss(0, 4), dice.gauss(0, 2)) for school in range(18)}
    rows = []
    for number in range(360):
        school = min(int(dice.expovariate(1 / 6)), 17)
        arm, girl = ("large", "small", "aide")[number % 3], number % 2
        before = round(dice.gauss(50, 10) + own[school][0], 2)
        effect = {"large": 0, "small": 3 + own[school][1], "aide": 1}[arm]
        rows.append(
            {
                "pupil": f"p{number:03}",
                "class": arm,
                "school": "" if number % 60 == 7 else f"s{school}",
                "county": "",
                "girl": girl,
                "before": before,
                "score": round(0.5 * before + own[school][0] + effect + dice.gauss(0, 3), 3),
                "tests": 1 + number % 4,
                "passed": int(dice.random() < 0.6),
            }
        )
    return rows


PUPILS = pupils()


@pytest.fixture(scope="module")
def school_house(own_house: House) -> House:
    own_house.table("classes.csv", PUPILS)
    declared = {
        "unit": "pupil",
        "control": "large",
        "variants": {"large": 1, "small": 1, "aide": 1},
        "metrics": [
            {"key": "score", "type": "mean", "column": "score", "role": "primary"},
            {"key": "passed", "type": "conversion", "column": "passed"},
            {"key": "per_test", "type": "ratio", "column": "score", "denominator": {"column": "tests"}},
            {"key": "median", "type": "quantile", "column": "score", "quantile": 0.5},
        ],
        "covariates": ["before"],
        "segments": ["girl"],
        "source": {"file": "classes.csv", "unit_id": "pupil", "variant": "class"},
    }
    own_house.declare("experiment", "classes", **declared, cluster="school")
    own_house.declare("experiment", "pupils", **declared)
    own_house.declare("experiment", "no_counties", **declared, cluster="county")
    own_house.refresh()
    return own_house


def served(house: House, metric: str, method: str, segment: str | None = None, **where: str) -> dict[str, Any]:
    found = where.get("experiment", CLASS)
    (row,) = (
        row
        for row in house.served(found)
        if (row["metric"], row["method"], row["segment"], row["variant"]) == (metric, method, segment, "small")
    )
    return row


def columns(arms: tuple[str, ...] = ("small", "large"), **where: Any) -> dict[str, np.ndarray]:
    """The pupils of two arms who have a school, by column."""
    kept = [
        row
        for row in PUPILS
        if row["class"] in arms and row["school"] and all(row[name] == value for name, value in where.items())
    ]
    return {name: np.array([row[name] for row in kept]) for name in kept[0]}


def agree(row: dict[str, Any], effect: Any) -> None:
    assert row["status"] == effect.status == "ok"
    for name in NUMBERS:
        assert row[name] == pytest.approx(getattr(effect, name), rel=1e-9), name
    assert row["settings"]["df"] == pytest.approx(effect.settings["df"], rel=1e-9)


@pytest.mark.parametrize("segment", [None, "girl=1"])
@pytest.mark.parametrize("metric", ["score", "passed"])
def test_the_difference_in_means(school_house: House, metric: str, segment: str | None) -> None:
    units = columns(**({} if segment is None else {"girl": 1}))
    treated = units["class"] == "small"
    row = served(school_house, metric, "difference_in_means", segment)
    expected = effect_across_clusters(ClustersAcrossArms.from_arrays(units["school"], treated, units[metric]))
    agree(row, expected)
    assert row["n"] == treated.sum()
    plain = difference_in_means(*(Moments.from_arrays(units[metric][arm]) for arm in (treated, ~treated)))
    assert row["settings"]["design_effect"] == pytest.approx((expected.std_error / plain.std_error) ** 2, rel=1e-9)
    assert row["settings"]["cluster"] == "school"
    assert row["settings"]["clusters_in_both"] == expected.settings["clusters_in_both"]
    if segment is None:
        without = [sum(not each["school"] for each in PUPILS if each["class"] == arm) for arm in ("small", "large")]
        settings = row["settings"]
        assert [settings["units_without_cluster"], settings["units_without_cluster_control"]] == without
        assert sum(without) > 0


def test_the_ratio(school_house: House) -> None:
    units = columns()
    treated, index = units["class"] == "small", np.unique(units["school"], return_inverse=True)[1]
    y, d = units["score"], units["tests"].astype(float)
    sums = [np.bincount(index, weights=each * arm) for arm in (treated, ~treated) for each in (y, d)]
    names = ("outcome", "denominator", "outcome_control", "denominator_control")
    found = ClustersAcrossArms(
        int(treated.sum()),
        int((~treated).sum()),
        int((sums[1] > 0).sum()),
        int((sums[3] > 0).sum()),
        JointMoments.from_arrays(dict(zip(names, sums, strict=True))),
    )
    agree(served(school_house, "per_test", "difference_in_means"), effect_across_clusters(found))


@pytest.mark.parametrize("metric", ["score", "per_test"])
def test_the_past_and_the_covariates(school_house: House, metric: str) -> None:
    units = columns()
    treated = units["class"] == "small"
    variables = {"outcome": units["score"], "denominator": units["tests"] * 1.0, "before": units["before"]}
    arms = [JointMoments.from_arrays({n: x[arm] for n, x in variables.items()}) for arm in (treated, ~treated)]
    denominator = "denominator" if metric == "per_test" else None
    plain = cuped(*arms, ["before"], denominator=denominator)
    slopes = plain.settings["slopes"], plain.settings["slopes_control"]
    expected = effect_across_clusters_adjusted(
        plain, units["school"], treated, variables, slopes, denominator=denominator
    )
    row = served(school_house, metric, "cuped")
    agree(row, expected)
    assert row["settings"]["design_effect"] == pytest.approx(expected.settings["design_effect"], rel=1e-6)
    assert row["settings"]["units_without_cluster"] > 0
    # A column may be called as the metric's own past is.
    assert row["settings"]["covariates"] == ["before (declared)"]


def test_the_twins_score(school_house: House) -> None:
    scores = {
        row["unit_id"]: row["score"]
        for row in school_house.rows(
            "SELECT unit_id, score FROM twins.prognostic_scores WHERE experiment = 'classes' AND metric = 'score'"
        )
    }
    units = columns()
    treated = units["class"] == "small"
    score = np.array([scores[pupil] for pupil in units["pupil"]])
    plain = adjusted_effect(*(Moments.from_arrays(units["score"][arm], score[arm]) for arm in (treated, ~treated)))
    slopes = {"score": plain.settings["slope"]}, {"score": plain.settings["slope_control"]}
    variables = {"outcome": units["score"], "score": score}
    agree(
        served(school_house, "score", "adjusted"),
        effect_across_clusters_adjusted(plain, units["school"], treated, variables, slopes),
    )


def test_the_quantile(school_house: House) -> None:
    units = columns()
    treated = units["class"] == "small"
    values, clusters = ((units[name][treated], units[name][~treated]) for name in ("score", "school"))
    agree(served(school_house, "median", "difference_in_means"), clustered_quantile_effect(values, clusters, 0.5))


def test_segments_by_double_machine_learning(school_house: House) -> None:
    arms = ("large", "small", "aide")
    kept = [row for row in PUPILS if row["school"]]
    found = segment_effects(
        np.array([row["score"] for row in PUPILS]),
        [row["class"] for row in PUPILS],
        [str(row["girl"]) for row in PUPILS],
        np.array([[row["before"]] for row in PUPILS]),
        variants=arms,
        control="large",
        seed=20_240_102,
        clusters=[row["school"] or None for row in PUPILS],
    )
    row = served(school_house, "score", "econml_linear_dml", "girl=1")
    (effect,) = (each.effect for each in found if (each.level, each.variant) == ("1", "small"))
    assert row["status"] == "ok"
    assert row["settings"]["variance"] == "cluster_robust"
    assert row["settings"]["cluster"] == "school"
    assert row["settings"]["clusters"] <= 18
    assert row["n"] == sum(each["girl"] == 1 and each["class"] == "small" for each in kept)
    assert row["effect"] == pytest.approx(effect.effect, rel=1e-2)


def test_every_method_is_wider_or_narrower_than_without_clusters_but_says_the_same(school_house: House) -> None:
    methods = set()
    for row in school_house.served(CLASS):
        if row["status"] == "ok":
            methods.add(row["method"])
            assert row["settings"]["cluster"] == "school"
            assert row["settings"]["clusters"] > 1
    assert methods == {"difference_in_means", "cuped", "adjusted", "econml_linear_dml"}
    for row in school_house.served("acme|pupils"):
        assert "clusters" not in row["settings"]


def test_a_column_that_nobody_has_gives_no_number(school_house: House) -> None:
    rows = school_house.served("acme|no_counties")
    assert rows
    for row in rows:
        assert row["effect"] is None
        assert row["status"] in {"no_units", "no_covariates"}
    counted = served(school_house, "score", "difference_in_means", experiment="acme|no_counties")
    assert counted["settings"]["units_without_cluster"] == 120

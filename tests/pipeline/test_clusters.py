"""An experiment whose units come in clusters: what the graph publishes is what its units give by hand."""

from __future__ import annotations

import csv
import json
import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.segments import segment_effects
from causeway.statistics import JointMoments, Moments, adjusted_effect, cuped, difference_in_means
from causeway.statistics.cluster_influence import effect_across_clusters_adjusted
from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters
from causeway.statistics.quantile import ArmQuantile, clustered_quantile_effect, correlation_of_arms, quantile_effect

if TYPE_CHECKING:
    from pathlib import Path

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


def latencies() -> list[dict[str, Any]]:
    """80 users of 16 teams, two arms in each team; a few requests each, whose latency depends on team and user."""
    dice = random.Random(9)
    team_of = [dice.gauss(0, 0.3) for _ in range(16)]
    rows = []
    for user in range(80):
        own = dice.gauss(0, 0.5)
        for _ in range(dice.randrange(0, 12)):
            latency = 300 * math.exp(team_of[user % 16] + own + dice.gauss(0, 0.4)) * (1.2 if user // 16 % 2 else 1)
            arm = "new" if user // 16 % 2 else "old"
            rows.append({"user": f"u{user:02}", "team": f"t{user % 16:02}", "arm": arm, "ms": round(latency)})
    return rows


LATENCIES = latencies()


def world_of_latencies(house: House) -> None:
    """Requests before and after the metric's window do not count, and other events do not."""
    events: list[dict[str, Any]] = []

    def event(kind: str, unit: str, at: str, **properties: Any) -> None:
        events.append({"event_id": str(len(events)), "type": kind, "unit_id": unit, "occurred_at": at, **properties})

    for number in range(80):
        user, arm = f"u{number:02}", "new" if number // 16 % 2 else "old"
        event("profile", user, "2024-03-01T00:00:00Z", team=f"t{number % 16:02}")
        event("request", user, "2024-03-02T00:00:00Z", ms=9_000)
        for experiment in ("latency", "latency_of_teams", "switched"):
            event("assignment", user, "2024-03-03T00:00:00Z", experiment=experiment, variant=arm)
        event("request", user, "2024-03-11T00:00:00Z", ms=9_000)
        event("request", user, "2024-03-04T00:00:00Z", ms="slow")
        event("visit", user, "2024-03-04T00:00:00Z", ms=9_000)
    for row in LATENCIES:
        event("request", row["user"], "2024-03-05T12:00:00Z", ms=row["ms"])
    house.write("latencies.ndjson", "".join(json.dumps(each) + "\n" for each in events))
    house.declare("source", "latencies", file="latencies.ndjson", mode="snapshot")
    p80 = {"key": "p80", "type": "quantile", "event": "request", "column": "ms", "quantile": 0.8, "level": "event"}
    declared = {
        "unit": "user",
        "control": "old",
        "variants": {"old": 1, "new": 1},
        "metrics": [p80 | {"window_days": 7}, {"key": "requests", "type": "count", "event": "request"}],
    }
    house.declare("experiment", "latency", **declared)
    house.declare("experiment", "latency_of_teams", **declared, cluster="team")
    house.declare("experiment", "switched", **declared, randomization={"by": "switchback", "window": "4h"})


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
    contrasts = {"analysis": {"contrasts": {"helped": {"small": 0.5, "aide": 0.5, "large": -1}}}}
    own_house.declare("experiment", "classes", **declared, **contrasts, cluster="school")
    own_house.declare("experiment", "pupils", **declared, **contrasts)
    own_house.declare("experiment", "no_counties", **declared, **contrasts, cluster="county")
    world_of_latencies(own_house)
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
    assert methods == {
        "difference_in_means", "cuped", "adjusted", "post_stratified", "contrast", "econml_linear_dml",
    }  # fmt: skip
    for row in school_house.served("acme|pupils"):
        assert "clusters" not in row["settings"]


def latency_of_arms(belongs: str) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Values of the events of both arms, what each belongs to, and the users of each arm."""
    arms = [[row for row in LATENCIES if row["arm"] == arm] for arm in ("new", "old")]
    return (
        [np.array([row["ms"] for row in arm], dtype=float) for arm in arms],
        [np.array([row[belongs] for row in arm]) for arm in arms],
        [len({row["user"] for row in arm}) for arm in arms],
    )


def kept_pupils() -> tuple[np.ndarray, ...]:
    """Score, arm, girl, school and tests of those whose school is on record."""
    kept = [row for row in PUPILS if row["school"]]
    return tuple(np.array([row[name] for row in kept]) for name in ("score", "class", "girl", "school", "tests"))


def cluster_robust_ols(y: np.ndarray, columns: list[np.ndarray], cluster: np.ndarray) -> Any:
    model = sm.OLS(y, np.column_stack(columns))
    return model.fit(cov_type="cluster", cov_kwds={"groups": np.unique(cluster, return_inverse=True)[1]})


def test_strata_are_compared_by_schools(school_house: House) -> None:
    score, arm, girl, school, _ = kept_pupils()
    row = served(school_house, "score", "post_stratified")
    of_pair = np.isin(arm, ("small", "large"))
    y, t, x = score[of_pair], (arm[of_pair] == "small").astype(float), girl[of_pair].astype(float)
    centred = x - x.mean()
    fitted = cluster_robust_ols(y, [np.ones(len(y)), t, centred, t * centred], school[of_pair])
    assert row["effect"] == pytest.approx(fitted.params[1], rel=1e-9)
    # CR1 of the saturated regression, but for the small-sample factor and the strata's shares.
    assert row["std_error"] == pytest.approx(fitted.bse[1], rel=0.1)
    assert row["settings"]["variance"] == "cluster_robust"
    assert row["settings"]["clusters"] <= 18
    assert row["settings"]["units_without_cluster"] == sum(
        not each["school"] and each["class"] == "small" for each in PUPILS
    )
    assert row["settings"]["df"] < 17


@pytest.mark.parametrize("metric", ["score", "per_test"])
def test_contrasts_are_made_by_schools(school_house: House, metric: str) -> None:
    score, arm, _, school, tests = kept_pupils()
    (row,) = (each for each in school_house.served(CLASS) if (each["metric"], each["method"]) == (metric, "contrast"))
    d = np.ones(len(score)) if metric == "score" else tests.astype(float)
    ratios = {name: score[arm == name].sum() / d[arm == name].sum() for name in ("small", "aide", "large")}
    assert row["effect"] == pytest.approx((ratios["small"] + ratios["aide"]) / 2 - ratios["large"], rel=1e-9)
    influence = sum(
        coefficient * np.where(arm == name, score - ratios[name] * d, 0) / d[arm == name].sum()
        for name, coefficient in (("small", 0.5), ("aide", 0.5), ("large", -1))
    )
    by_school = np.bincount(np.unique(school, return_inverse=True)[1], weights=influence)
    sandwich = math.sqrt(float(by_school @ by_school))
    assert sandwich < row["std_error"] < 1.15 * sandwich
    assert row["settings"]["clusters_in_both"] == len(set(school[arm == "large"]) & set(school[arm != "large"]))
    assert row["settings"]["units_without_cluster"] + row["settings"]["units_without_cluster_control"] == 6


def test_a_quantile_of_all_events_knows_that_the_events_of_a_unit_belong_together(school_house: House) -> None:
    values, users, units = latency_of_arms("user")
    expected = quantile_effect(
        *(ArmQuantile.from_arrays(y, 0.8, units=each) for y, each in zip(values, users, strict=True))
    )
    row = school_house.served_one("acme|latency", "p80", "difference_in_means", "new")
    agree(row, expected)
    assert row["settings"]["level"] == "event"
    assert row["settings"]["design_effect"] == pytest.approx(expected.settings["design_effect"], rel=1e-9)
    assert [row["n"], row["n_control"]] == units
    assert row["settings"]["events"] + row["settings"]["events_control"] == len(LATENCIES)


def test_a_quantile_of_all_events_knows_that_the_users_of_a_team_belong_together(school_house: House) -> None:
    values, teams, units = latency_of_arms("team")
    arms = [ArmQuantile.from_arrays(y, 0.8, units=each) for y, each in zip(values, teams, strict=True)]
    correlation = correlation_of_arms(tuple(arms), tuple(values), tuple(teams))
    row = school_house.served_one("acme|latency_of_teams", "p80", "difference_in_means", "new")
    agree(row, quantile_effect(*arms, correlation=correlation))
    assert row["settings"]["correlation"] == pytest.approx(correlation, rel=1e-9)
    assert row["settings"]["clusters_in_both"] == len(set(teams[0]) & set(teams[1]))
    assert [row["n"], row["n_control"]] == units


def test_events_are_kept_for_such_metrics_alone(school_house: House) -> None:
    found = school_house.rows("SELECT experiment, metric, count(*) AS n FROM experiments.event_values GROUP BY 1, 2")
    assert {(row["experiment"], row["metric"], row["n"]) for row in found} == {
        ("latency", "p80", len(LATENCIES)),
        ("latency_of_teams", "p80", len(LATENCIES)),
    }


def test_a_switchback_is_not_analysed_as_if_its_units_had_been_dealt_variants(school_house: House) -> None:
    rows = school_house.served("acme|switched")
    assert {(row["metric"], row["method"]) for row in rows} >= {
        ("p80", "difference_in_means"),
        ("requests", "cuped"),
        ("requests", "adjusted"),
    }
    for row in rows:
        if (row["metric"], row["method"]) != ("requests", "difference_in_means"):
            assert (row["status"], row["effect"], row["mean"]) == ("not_estimable", None, None)
            assert "switchback" in row["settings"]["reason"]
    # Every user was dealt one window, and all of the requests came days after it.
    of_windows = school_house.served_one("acme|switched", "requests", "difference_in_means", "new")
    assert (of_windows["status"], of_windows["mean"], of_windows["n"]) == ("zero_variance", 0, 32)


def test_a_column_that_nobody_has_gives_no_number(school_house: House) -> None:
    rows = school_house.served("acme|no_counties")
    assert rows
    for row in rows:
        assert row["effect"] is None
        wanted = {"not_estimable"} if (row["metric"], row["method"]) == ("median", "contrast") else {"no_units"}
        assert row["status"] in wanted | ({"no_covariates"} if row["method"] in ("cuped", "adjusted") else set())
    counted = served(school_house, "score", "difference_in_means", experiment="acme|no_counties")
    assert counted["settings"]["units_without_cluster"] == 120


STAR = {"regular": 1, "small": 1, "regular+aide": 1}


def star_pupils(folder: Path) -> list[dict[str, Any]]:
    """Kindergarten of the STAR trial: every school has classes of all three kinds."""
    with (folder / "star" / "star.csv").open() as opened:
        rows = [row for row in csv.DictReader(opened) if row["stark"] and row["readk"] and row["mathk"]]
    return [
        {
            "pupil": row["rownames"],
            "class": row["stark"],
            "school": row["schoolidk"],
            "points": float(row["readk"]) + float(row["mathk"]),
            "free_lunch": int(row["lunchk"] == "free"),
        }
        for row in rows
    ]


def test_the_star_trial_with_its_schools_agrees_with_statsmodels(own_house: House, reference_data: Path) -> None:
    """The unadjusted difference is the published one, 13.90; unlike the published error ours allows for schools."""
    rows = star_pupils(reference_data)
    counts = {arm: sum(row["class"] == arm for row in rows) for arm in STAR}
    own_house.table("star.csv", rows)
    own_house.declare(
        "experiment",
        "star",
        unit="pupil",
        control="regular",
        variants=counts,
        metrics=[{"key": "points", "type": "mean", "column": "points", "role": "primary"}],
        covariates=["free_lunch"],
        cluster="school",
        source={"file": "star.csv", "unit_id": "pupil", "variant": "class"},
    )
    own_house.refresh()
    pair = [row for row in rows if row["class"] in ("small", "regular")]
    y, school = np.array([row["points"] for row in pair]), np.array([row["school"] for row in pair])
    t = np.array([row["class"] == "small" for row in pair], dtype=float)
    fit = sm.OLS(y, sm.add_constant(t)).fit(
        cov_type="cluster", cov_kwds={"groups": np.unique(school, return_inverse=True)[1], "use_correction": False}
    )
    row = own_house.served_one("acme|star", "points", "difference_in_means", "small")
    assert row["effect"] == pytest.approx(13.90, abs=0.005)
    assert row["effect"] == pytest.approx(fit.params[1], rel=1e-9)
    # Ours is statsmodels' times the factor of the effective number of schools, not G / (G - 1) (N - 1) / (N - 2).
    found = ClustersAcrossArms.from_arrays(school, t == 1, y)
    expected = effect_across_clusters(found)
    factor = (expected.std_error / effect_across_clusters(found, small_sample="none").std_error) ** 2
    assert row["std_error"] == pytest.approx(fit.bse[1] * factor**0.5, rel=1e-9)
    assert 1 < factor < 1.02
    assert row["settings"]["clusters_in_both"] == len(set(school[t == 1]) & set(school[t == 0])) == 78
    x = np.array([row["free_lunch"] for row in pair], dtype=float)
    x = x - x.mean()
    interacted = sm.OLS(y, np.column_stack([np.ones(len(y)), t, x, t * x])).fit()
    adjusted = own_house.served_one("acme|star", "points", "cuped", "small")
    assert adjusted["effect"] == pytest.approx(interacted.params[1], rel=1e-9)
    theirs = interacted.get_robustcov_results("cluster", groups=np.unique(school, return_inverse=True)[1])
    assert adjusted["std_error"] == pytest.approx(theirs.bse[1], rel=0.01)

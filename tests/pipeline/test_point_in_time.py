"""Three users whose events lie around the moment of their exposure: only what was before it is known of them, and only
what came after it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import House


def covariates(house: House, unit: str) -> dict[str, str | None]:
    rows = house.rows(
        "SELECT covariate, value_text FROM features.unit_covariates WHERE experiment = 'timing' AND unit_id = %s", unit
    )
    return {row["covariate"]: row["value_text"] for row in rows}


def outcomes(house: House, unit: str) -> dict[str, float]:
    rows = house.rows(
        "SELECT metric, value FROM experiments.unit_metric_values WHERE experiment = 'timing' AND unit_id = %s", unit
    )
    return {row["metric"]: float(row["value"]) for row in rows}


def test_a_feature_counts_from_the_start_of_its_lookback_to_just_before_exposure(house: House) -> None:
    assert covariates(house, "u1")["visits_before"] == "2"


def test_a_profile_is_the_newest_one_before_exposure(house: House) -> None:
    assert covariates(house, "u1")["plan"] == "family"


def test_a_unit_without_history_has_a_count_of_zero_and_no_profile(house: House) -> None:
    assert covariates(house, "u3") == {"visits_before": "0", "plan": None}


@pytest.mark.parametrize(("metric", "value"), [("revenue", 110), ("purchases", 2), ("bought", 1)])
def test_an_outcome_counts_from_exposure_to_just_before_the_end_of_its_window(
    house: House, metric: str, value: float
) -> None:
    assert outcomes(house, "u1")[metric] == value


def test_a_unit_that_did_nothing_has_an_outcome_of_zero(house: House) -> None:
    assert outcomes(house, "u3") == {"revenue": 0, "purchases": 0, "bought": 0}


def test_a_unit_that_is_exposed_again_counts_from_its_first_exposure(house: House) -> None:
    rows = house.rows("SELECT * FROM experiments.first_exposures WHERE experiment = 'timing' AND unit_id = 'u1'")
    assert [(row["first_exposed_at"].isoformat(), row["variants_seen"], row["is_eligible"]) for row in rows] == [
        ("2024-03-10T12:00:00+00:00", 1, True)
    ]


def test_a_unit_counts_from_its_first_logged_exposure_where_exposures_are_logged(house: House) -> None:
    """Of three who were assigned, one is known to have seen its variant, nine days later."""
    rows = house.rows(
        "SELECT unit_id, variant, first_exposed_at FROM experiments.first_exposures WHERE experiment = 'shown'"
    )
    assert [(row["unit_id"], row["variant"], row["first_exposed_at"].isoformat()) for row in rows] == [
        ("u1", "on", "2024-03-10T12:00:00+00:00")
    ]


def test_events_of_another_tenant_never_enter(house: House) -> None:
    rows = house.rows("SELECT DISTINCT tenant_id FROM features.unit_covariates WHERE experiment = 'timing'")
    assert rows == [{"tenant_id": "globex"}]

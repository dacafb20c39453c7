"""Features: what is aggregated must be there to aggregate."""

from __future__ import annotations

import pytest

from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration

FEATURE = "kind: feature\nkey: calls\nunit: hcp\nevent: call\naggregation: count\n"


def test_counting_needs_no_column() -> None:
    assert read_declaration(FEATURE, "calls.yaml").partition_key == "default|calls"


@pytest.mark.parametrize("aggregation", ["sum", "mean", "latest"])
def test_every_other_aggregation_needs_a_column(aggregation: str) -> None:
    text = FEATURE.replace("count", aggregation)
    with pytest.raises(DeclarationError, match=rf"calls.yaml:5: aggregation: {aggregation} needs a column"):
        read_declaration(text, "calls.yaml")
    assert read_declaration(text + "column: minutes\n", "calls.yaml").document()["column"] == "minutes"


@pytest.mark.parametrize("days", ["0", "-1", ".inf", "ninety"])
def test_a_lookback_is_a_positive_number_of_days(days: str) -> None:
    with pytest.raises(DeclarationError, match=r"calls\.yaml:6: lookback_days: "):
        read_declaration(FEATURE + f"lookback_days: {days}\n", "calls.yaml")

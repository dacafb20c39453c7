"""The report that is published, on the asset's page and in its table."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

if TYPE_CHECKING:
    from conftest import House

KEY = dg.AssetKey(["serving", "experiment_reports"])


def page_of(house: House, partition: str) -> dict[str, Any]:
    (row,) = house.rows("SELECT * FROM serving.experiment_reports WHERE tenant_id || '|' || experiment = %s", partition)
    return row


def metadata_of(house: House, partition: str) -> dict[str, str]:
    records = house.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=KEY, asset_partitions=[partition]), limit=1
    ).records
    (record,) = records
    assert record.asset_materialization is not None
    return {name: str(value.value) for name, value in record.asset_materialization.metadata.items()}


def drawn(value: str) -> str:
    return base64.b64decode(value.partition("base64,")[2].rstrip(")")).decode()


def test_it_says_what_to_do_and_shows_effects_over_time(house: House) -> None:
    row = page_of(house, "initech|looked_at")
    shown = metadata_of(house, "initech|looked_at")
    assert row["title"] in shown["report"]
    assert any("high against off on revenue" in sentence for sentence in row["lead"])
    assert row["page"].startswith("<!doctype html>")
    assert "<svg" in drawn(shown["revenue"])
    assert "Over time" in row["page"]
    assert "<svg" in drawn(shown["revenue over time, high"])
    assert "| srm | open |" in shown["health"]
    assert "<svg" in drawn(shown["arms"])


def test_segments_have_a_picture_of_their_own(house: House) -> None:
    assert "channel=web" in drawn(metadata_of(house, "acme|lift")["spend, by segment"])


def test_what_is_withheld_is_said_with_its_reason_and_without_a_number(house: House) -> None:
    row, shown = page_of(house, "acme|srm"), metadata_of(house, "acme|srm")
    assert row["title"] == "Withheld"
    assert "srm" in shown["report"]
    assert "CLOSED" in shown["health"]
    assert "over time" not in "".join(shown)
    effects = house.rows("SELECT effect FROM estimates.difference_in_means WHERE experiment = 'srm'")
    assert all(row["effect"] is None for row in effects) or not effects


@pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst"])
def test_it_may_be_read_by_whoever_reads_serving(house: House, role: str) -> None:
    (found,) = house.rows("SELECT has_table_privilege(%s, 'serving.experiment_reports', 'SELECT') AS may", role)
    assert found["may"]


STUDY_KEY = dg.AssetKey(["serving", "study_reports"])


def test_a_study_has_a_page_with_what_was_found_and_pictures_on_its_asset(house: House) -> None:
    rows = house.rows("SELECT * FROM serving.study_reports ORDER BY tenant_id, study")
    answers = house.rows("SELECT tenant_id, study, verdict FROM estimates.study_effects WHERE segment = ''")
    assert rows
    verdicts = {(row["tenant_id"], row["study"]): row["verdict"] for row in answers}
    titles = {"credible": "Credible", "caution": "To be read with caution", "withheld": "Withheld"}
    for row in rows:
        verdict = verdicts[row["tenant_id"], row["study"]]
        assert row["title"] == titles[verdict]
        assert row["page"].startswith("<!doctype html>")
        assert row["title"] in row["page"]
        records = house.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=STUDY_KEY, asset_partitions=[f"{row['tenant_id']}|{row['study']}"]), limit=1
        ).records
        materialization = records[0].asset_materialization
        assert materialization is not None
        shown = {name: str(value.value) for name, value in materialization.metadata.items()}
        assert row["title"] in shown["report"]
        assert "<svg" in drawn(shown["estimates by method"])

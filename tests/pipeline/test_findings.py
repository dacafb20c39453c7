"""What is found without being asked: a segment in which the effect differs, and experiments that disturb each other.

Two worlds of tables of the same customers: in one tenant, segments and pairs in which something was planted; in the
other the same with nothing in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from assets.estimates.joint_cells import joint_cells
from assets.estimates.joint_sums import OUTCOME
from causeway.declarations.life_cycle import DORMANT
from cli.house import House as OpenHouse
from cli.reproduce import make_again
from resources.postgres import PostgresResource

if TYPE_CHECKING:
    from conftest import House

UNITS = 600
PLANTED, NULL = "planted", "nothing"
# checkout x price: the effect of the one is there only without the other. banner follows checkout's coin. apart and
# checkout share a layer. closed lost most of its variant, so its gate is closed. fresh has units of its own.
KEYS = ("apart", "banner", "checkout", "closed", "fresh", "price")
Rows = list[dict[str, Any]]
LAYER = [{"experiment": "apart", "from": 0, "to": 5000}, {"experiment": "checkout", "from": 5000, "to": 10000}]


def worlds() -> dict[tuple[str, str], Rows]:
    """The rows of every experiment by tenant and key; seeded."""
    tables: dict[tuple[str, str], Rows] = {}
    for tenant in (PLANTED, NULL):
        dice, planted = random.Random(15), tenant == PLANTED
        for number in range(UNITS):
            coins = {key: dice.random() < 0.5 for key in KEYS}
            if planted:
                coins["banner"] = coins["checkout"] if dice.random() < 0.6 else coins["banner"]
            level = dice.choice(["web", "shop", "phone"])
            for key in KEYS:
                if key == "closed" and coins[key] and number % 3:
                    continue
                spend = dice.gauss(10, 2)
                if planted and key == "checkout":
                    spend += 2 * (coins["checkout"] != coins["price"])
                if key == "price":
                    spend += (3 if planted and level == "phone" else 0) * coins["price"]
                tables.setdefault((tenant, key), []).append(
                    {
                        "customer": f"{'new' if key == 'fresh' else ''}c{number:04}",
                        "arm": "on" if coins[key] else "off",
                        "level": level,
                        "other": dice.choice("ab"),
                        "spend": round(spend, 4),
                    }
                )
    return tables


WORLDS = worlds()


@pytest.fixture(scope="module")
def found(own_house: House) -> Iterator[House]:
    """The house after a refresh and a night."""
    own_house.declare("layer", "shared", tenant=PLANTED, unit="customer", allocations=LAYER)
    for (tenant, key), rows in WORLDS.items():
        if tenant == PLANTED or key in ("banner", "checkout", "price"):
            own_house.table(f"{tenant}_{key}.csv", rows)
            own_house.declare(
                "experiment",
                key,
                tenant=tenant,
                unit="customer",
                control="off",
                variants={"off": 1, "on": 1},
                metrics=[{"key": "spend", "type": "mean", "column": "spend", "role": "primary"}],
                segments=["level", "other"] if key == "price" else [],
                source={"file": f"{tenant}_{key}.csv", "unit_id": "customer", "variant": "arm"},
                **({"layer": "shared"} if tenant == PLANTED and key in ("apart", "checkout") else {}),
            )
    own_house.refresh()
    night(own_house)
    yield own_house


def night(house: House) -> None:
    job = house.defs.resolve_job_def("find_interactions")
    for tenant in house.instance.get_dynamic_partitions("tenants"):
        done = job.execute_in_process(instance=house.instance, partition_key=tenant, raise_on_error=False)
        assert done.success


def pairs(house: House, tenant: str, test: str) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = house.rows("SELECT * FROM serving.experiment_interactions WHERE tenant_id = %s AND test = %s", tenant, test)
    return {
        tuple(each for each in (row["experiment_a"], row["experiment_b"], row["measured_in"]) if each): row
        for row in rows
    }


def segments(house: House, tenant: str) -> dict[str, dict[str, Any]]:
    rows = house.rows("SELECT * FROM serving.experiment_heterogeneity WHERE tenant_id = %s", tenant)
    return {row["segment"]: row for row in rows if row["experiment"] == "price"}


def test_the_planted_segment_is_found_with_the_level_that_stands_out(found: House) -> None:
    rows = segments(found, PLANTED)
    assert rows["level"]["found"]
    assert "phone" in rows["level"]["levels_found"]
    assert (rows["other"]["found"], rows["other"]["levels_found"]) == (False, [])
    (phone,) = (level for level in rows["level"]["levels"] if level["level"] == "phone")
    assert phone["found"]
    assert phone["ci_low"] < 3 < phone["ci_high"]
    assert abs(phone["difference"]) == max(abs(level["difference"]) for level in rows["level"]["levels"])


def test_where_effects_are_alike_nothing_is_found(found: House) -> None:
    rows = segments(found, NULL)
    assert {(row["status"], row["found"]) for row in rows.values()} == {("ok", False)}
    assert all(row["q_value"] >= row["p_value"] > 0.01 for row in rows.values())


def test_q_values_are_those_of_benjamini_and_hochberg_over_the_experiment(found: House) -> None:
    rows = list(segments(found, PLANTED).values())
    expected = stats.false_discovery_control([row["p_value"] for row in rows])
    assert [row["q_value"] for row in rows] == pytest.approx(list(expected))


def test_the_planted_interaction_is_found_where_it_was_planted_and_nowhere_else(found: House) -> None:
    rows = pairs(found, PLANTED, "interaction")
    assert {pair for pair, row in rows.items() if row["found"]} == {("checkout", "price", "checkout")}
    (effect,) = rows["checkout", "price", "checkout"]["effects"]
    assert effect["ci_low"] < -4 < effect["ci_high"]
    assert (effect["variant_a"], effect["variant_b"]) == ("on", "on")


def test_the_variant_that_follows_another_experiments_coin_is_found(found: House) -> None:
    rows = pairs(found, PLANTED, "assignment")
    assert {pair for pair, row in rows.items() if row["found"]} == {("banner", "checkout")}
    assert rows["banner", "checkout"]["cramers_v"] == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("test", ["assignment", "interaction"])
def test_of_experiments_that_do_not_disturb_each_other_nothing_is_found(found: House, test: str) -> None:
    rows = pairs(found, NULL, test)
    assert rows
    assert [pair for pair, row in rows.items() if row["found"]] == []


def test_pairs_of_one_layer_and_pairs_without_a_shared_unit_are_not_looked_at(found: House) -> None:
    looked_at = {pair for pair in pairs(found, PLANTED, "assignment")}
    assert ("apart", "checkout") not in looked_at
    assert not any("fresh" in pair for pair in looked_at)
    assert {pair for pair in looked_at if "closed" not in pair} == {
        ("apart", "banner"), ("apart", "price"), ("banner", "checkout"), ("banner", "price"), ("checkout", "price"),
    }  # fmt: skip


def test_behind_a_closed_gate_a_pair_is_named_without_a_number(found: House) -> None:
    rows = [row for pair, row in pairs(found, PLANTED, "assignment").items() if "closed" in pair]
    assert len(rows) == 4
    for row in rows:
        assert row["status"] == "withheld"
        assert "closed" in row["settings"]["reason"]
        assert [row[name] for name in ("p_value", "q_value", "statistic", "cramers_v")] == [None] * 4
    assert not any("closed" in pair for pair in pairs(found, PLANTED, "interaction"))


def test_cells_in_sql_are_those_of_a_direct_count(found: House) -> None:
    experiments, cells = joint_cells(PostgresResource(), PLANTED, DORMANT)
    numbers = {each.key: number for number, each in experiments.items()}
    found_cells = cells[numbers["checkout"], numbers["price"]]
    checkout = {row["customer"]: row for row in WORLDS[PLANTED, "checkout"]}
    price = {row["customer"]: row for row in WORLDS[PLANTED, "price"]}
    for a in ("off", "on"):
        for b in ("off", "on"):
            units = [unit for unit in checkout if checkout[unit]["arm"] == a and price[unit]["arm"] == b]
            assert found_cells.units[a, b] == len(units)
            for outcomes, table in zip(found_cells.outcomes, (checkout, price), strict=True):
                values = np.array([table[unit]["spend"] for unit in units])
                moments = outcomes[a, b].moments(OUTCOME)
                assert moments.n == len(values)
                assert moments.mean_y == pytest.approx(values.mean(), rel=1e-12)
                assert moments.m2_y == pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-9)


def test_chi_square_and_contrast_are_those_of_scipy(found: House) -> None:
    row = pairs(found, PLANTED, "assignment")["checkout", "price"]
    counts = {(each["variant_a"], each["variant_b"]): each["units"] for each in row["settings"]["units"]}
    table = [[counts[a, b] for b in ("off", "on")] for a in ("off", "on")]
    expected = stats.chi2_contingency(table, correction=False)
    assert (row["statistic"], row["p_value"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_a_second_night_finds_the_same_to_the_last_bit(found: House) -> None:
    query = "SELECT data_version FROM ops.provenance WHERE asset = %s AND partition_key = %s ORDER BY materialized_at"
    before = found.rows(query, "estimates/interactions", PLANTED)
    night(found)
    after = found.rows(query, "estimates/interactions", PLANTED)
    assert len(after) == len(before) + 1
    assert len({row["data_version"] for row in after}) == 1


def test_what_was_found_of_a_whole_tenant_can_be_made_again(found: House) -> None:
    recorded = found.rows(
        "SELECT * FROM ops.provenance WHERE asset = 'estimates/interactions' AND partition_key = %s"
        " ORDER BY materialized_at DESC LIMIT 1",
        NULL,
    )
    again = make_again(OpenHouse(found.settings, found.client, None), recorded[0])  # type: ignore[arg-type]
    assert again["failures"] == ()
    assert again["data_version"] == recorded[0]["data_version"]


def test_findings_of_an_experiment_whose_gate_closes_are_taken_away(found: House) -> None:
    """The log of price loses most of its variant: what was found before is no longer served."""
    kept = [row for number, row in enumerate(WORLDS[PLANTED, "price"]) if row["arm"] == "off" or number % 4 == 0]
    found.table(f"{PLANTED}_price.csv", kept)
    found.refresh()
    night(found)
    for row in segments(found, PLANTED).values():
        assert (row["status"], row["found"], row["levels"]) == ("withheld", False, [])
        assert row["reasons"]
        assert [row[name] for name in ("p_value", "q_value", "statistic", "pooled_effect")] == [None] * 4
    assert not any("price" in pair for pair in pairs(found, PLANTED, "interaction"))

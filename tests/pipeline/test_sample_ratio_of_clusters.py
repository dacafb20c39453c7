"""Where towns were dealt a variant, towns are counted, and their customers' numbers close no gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import House


def test_the_units_contradict_the_weights_and_the_clusters_do_not(house: House) -> None:
    gates = house.gates("acme|towns")
    assert (gates["srm"]["passed"], gates["srm"]["blocking"]) == (False, False)
    assert "judged by srm:town" in gates["srm"]["detail"]
    assert (gates["srm:town"]["passed"], gates["srm:town"]["blocking"]) == (True, True)
    assert gates["srm:town"]["observed"]["units"] == {"off": 12, "on": 12}


def test_so_there_are_results_with_the_towns_interval(house: House) -> None:
    row = house.served_one("acme|towns", "spend", "difference_in_means")
    assert (row["status"], row["n"], row["n_control"]) == ("ok", 360, 120)
    assert (row["settings"]["clusters"], row["settings"]["clusters_control"]) == (12, 12)
    assert row["settings"]["design_effect"] > 5

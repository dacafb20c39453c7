from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from causeway.statistics import holm


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p_values = rng.choice([0.0, 0.01, 0.04, 1.0, *rng.random(4) ** 3], size=1 + seed % 7).tolist()
    ours = holm({str(i): p for i, p in enumerate(p_values)})
    theirs = multipletests(p_values, method="holm")[1]
    assert list(ours.values()) == pytest.approx(list(theirs), rel=1e-9, abs=1e-300)


def test_names_keep_their_order_and_a_single_p_value_its_size():
    assert list(holm({"b": 0.5, "a": 0.01})) == ["b", "a"]
    assert holm({"only": 0.04}) == {"only": 0.04}
    assert holm({}) == {}

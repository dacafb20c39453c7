"""The benchmark of one large experiment, small: it runs, and its two ways give the same sums (or it raises)."""

from __future__ import annotations

from benchmarks.large_experiment import large_experiment


def test_it_measures_time_and_memory_beside_their_anchors() -> None:
    said: list[str] = []
    time, memory = large_experiment(said.append, units=600)
    assert (time.unit, memory.unit) == ("s", "MB")
    assert min(time.value, time.anchor_value, memory.value) > 0
    assert [line.split(":")[0].strip() for line in said[1:4]] == ["by hand", "ours", "by hand, in float8"]

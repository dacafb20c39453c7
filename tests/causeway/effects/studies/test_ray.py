"""The same questions on a local Ray cluster of two workers, on threads and on processes: the same bits."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from causeway.effects.problem import Computing
from causeway.effects.side_by_side import side_by_side, workers
from causeway.effects.studies.many import Question, answer_all
from tests.causeway.effects.studies.worlds import study_of, world_with_overlap

ray = pytest.importorskip("ray", reason="Ray is an extra")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Of two workers, in a folder with a short name: its sockets' paths have a limit of 107 characters."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=80 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=folder,
        )
        try:
            yield ray
        finally:
            ray.shutdown()


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    frame = world_with_overlap(80)
    outcomes = [study_of(outcome={"column": name}, known_propensity="e") for name in ("y", "y2", "none")]
    return [Question(frame, each, in_full=False) for each in (*outcomes, study_of(weights="w", target="ATT"))]


def test_ray_threads_and_processes_give_the_same_bits(cluster: Any, questions: list[Question]) -> None:
    del cluster

    def answers(computing: Computing) -> list[str]:
        found = answer_all(questions, seed=3, computing=computing)
        return [json.dumps(each.answer.as_document()) for each in found]

    told: list[tuple[int, int]] = []
    on_ray = answer_all(
        questions, seed=3, computing=Computing(2, "ray"), report=lambda done, of: told.append((done, of))
    )
    assert [json.dumps(each.answer.as_document()) for each in on_ray] == answers(Computing())
    assert answers(Computing(2, "loky")) == answers(Computing(2, "threading")) == answers(Computing())
    assert told[-1][0] == told[-1][1] >= 2


def test_work_is_done_by_the_cluster(cluster: Any) -> None:
    del cluster
    found = side_by_side(os.getpid, [(), (), (), ()], n_jobs=2, backend="ray")
    assert os.getpid() not in found
    assert workers(-1, "ray") == 2

"""Loops over units, each in a process of its own: ``python -m benchmarks.assignment_loops`` with what to do on stdin.

Such a process runs on one core, this one and all threads that it makes. It prints what it measured as JSON. The loop of
GrowthBook's SDK runs in an environment that may hold nothing but that SDK, so nothing of ours is imported before it is
needed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

KEY = "trial"
WEIGHTS = {"off": 0.5, "on": 0.5}
CONDITION = {"country": {"$in": ["DE", "AT", "CH"]}, "age": {"$gte": 18}}
LONGEST_SECONDS = 600


def measured(what: str, project_root: Path, python: str = sys.executable, **options: Any) -> dict[str, Any]:
    """What the loop ``what`` measured in a process of its own; RuntimeError if it failed."""
    done = subprocess.run(
        [python, "-m", "benchmarks.assignment_loops"],
        input=json.dumps({"what": what, **options}),
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{what} ended with {done.returncode}: {' '.join(done.stderr.strip().splitlines()[-3:])}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def unit_ids(count: int) -> list[str]:
    """Ids of 16 characters, the same every time, in no order."""
    return [f"{(number * 0x9E3779B97F4A7C15) % 2**64:016x}" for number in range(1, count + 1)]


def contexts(count: int) -> Iterator[dict[str, Any]]:
    """Units of which three quarters meet CONDITION."""
    for number, unit in enumerate(unit_ids(count)):
        yield {
            "targetingKey": unit,
            "id": unit,
            "country": ("DE", "AT", "CH", "FR")[number % 4],
            "age": 20 + number % 60,
            "plan": "pro",
        }


def growthbook_sdk(units: int, rounds: int, evaluations: int) -> dict[str, Any]:
    """GrowthBook's Python SDK, asked for one unit after the other in the fastest way that it has."""
    import growthbook

    ids = unit_ids(units)
    variants = {"variations": list(WEIGHTS), "weights": list(WEIGHTS.values()), "coverage": 1.0}
    rule = {"key": KEY, "seed": KEY, "hashVersion": 2, **variants}
    experiment = growthbook.Experiment(**rule)
    features = {KEY: {"defaultValue": "off", "rules": [rule]}}
    running, asking = growthbook.GrowthBook(), growthbook.GrowthBook(features=features)

    def run() -> list[str]:
        found = []
        for unit in ids:
            running.set_attributes({"id": unit})
            found.append(running.run(experiment).value)
        return found

    def ask() -> list[str]:
        found = []
        for unit in ids:
            asking.set_attributes({"id": unit})
            found.append(asking.get_feature_value(KEY, None))
        return found

    ways = {"run": [_timed(run) for _ in range(rounds)], "get_feature_value": [_timed(ask) for _ in range(rounds)]}
    targeted = growthbook.GrowthBook(
        features={KEY: {"defaultValue": "off", "rules": [{**rule, "condition": CONDITION}]}}
    )

    def evaluate_one(context: Mapping[str, Any]) -> None:
        targeted.set_attributes(context)
        targeted.get_feature_value(KEY, None)

    return {
        "version": getattr(growthbook, "__version__", "") or _version("growthbook"),
        "seconds": {way: statistics.median(seconds for seconds, _ in runs) for way, runs in ways.items()},
        "on": ways["run"][0][1].count("on"),
        "variants": ways["run"][0][1],
        "p99": _p99(evaluate_one, contexts(evaluations)),
    }


def batch(hasher: str, units: int, rounds: int, targeted: bool = False, sample: int = 0) -> dict[str, Any]:
    """``assign_table``: Arrow in, Arrow out."""
    import pyarrow as pa

    from causeway.assignment.batch.table import assign_table

    pa.set_cpu_count(1)
    flags = _flags(hasher, targeted)
    table = pa.table({"unit_id": unit_ids(units)})
    if targeted:
        table = table.append_column("country", pa.array([("DE", "AT", "CH", "FR")[n % 4] for n in range(units)]))
        table = table.append_column("age", pa.array([20 + n % 60 for n in range(units)]))
    first, assigned = _timed(lambda: assign_table(flags, KEY, table))
    found = {"bytes": assigned.nbytes / units, "variants": assigned.column("variant").slice(0, sample).to_pylist()}
    # A round's answer is given back before the next one begins, as a caller would have done with it by then.
    del assigned
    seconds = [_timed(lambda: assign_table(flags, KEY, table))[0] for _ in range(rounds)]
    return {"seconds": statistics.median(seconds), "first": first, **found}


def single(hasher: str, units: int, targeted: bool = False) -> dict[str, Any]:
    """``evaluate``, one unit after the other."""
    from causeway.assignment.evaluate import evaluate

    flags = _flags(hasher, targeted)
    made = list(contexts(units))
    seconds, _ = _timed(lambda: [evaluate(flags, KEY, context) for context in made])
    return {"seconds": seconds, "p99": _p99(lambda context: evaluate(flags, KEY, context), made)}


def _flags(hasher: str, targeted: bool) -> Any:
    from causeway.assignment.flags import Experiment, ExperimentRule, Flag, FlagSet, Variant

    experiment = Experiment(
        KEY,
        tuple(Variant(name, name) for name in WEIGHTS),
        tuple(WEIGHTS.values()),
        hasher=hasher,
        attribute="targetingKey",
        condition=CONDITION if targeted else None,
        policy_version="0a1b2c3d4e5f",
    )
    return FlagSet({KEY: Flag(KEY, "off", (ExperimentRule(experiment),))})


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def _p99(work: Callable[[Any], object], arguments: Any) -> dict[str, float]:
    """Microseconds that one call takes: the 50th and 99th of a hundred, after a tenth that is not counted."""
    clock, taken = time.perf_counter_ns, []
    for argument in arguments:
        begin = clock()
        work(argument)
        taken.append(clock() - begin)
    counted = sorted(taken[len(taken) // 10 :])
    return {name: counted[int(share * len(counted))] / 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


_LOOPS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "growthbook_sdk": growthbook_sdk,
    "batch": batch,
    "single": single,
}

if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asked = json.load(sys.stdin)
    json.dump(_LOOPS[asked.pop("what")](**asked), sys.stdout)

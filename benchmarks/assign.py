"""How fast units are assigned: whole tables beside the published SDK of GrowthBook called in a loop, and one by one.

Everything runs on one core, one loop after the other, each in a process of its own. The SDK is that of the environment
if it is there (it is a development dependency), otherwise of one that is made for the benchmark in CAUSEWAY_HOME.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.assignment_loops import measured
from benchmarks.figure import Figure
from causeway.assignment.hashers import DEFAULT_HASHER, HASHERS
from resources.settings import Settings

UNITS, SDK_UNITS, OTHER_UNITS, EVALUATIONS = 5_000_000, 50_000, 200_000, 200_000
ROUNDS = 5
PER_SECOND, TIMES_SDK, P99_MICROSECONDS = 10e6, 200, 20
SDK = "growthbook"

Report = Callable[[str], object]


def assign(report: Report) -> list[Figure]:
    """Measure everything, one thing after the other; about a minute."""
    root = Settings.from_environment().project_root
    sdk = measured("growthbook_sdk", root, _python_with_sdk(report), units=SDK_UNITS, rounds=3, evaluations=SDK_UNITS)
    way, seconds = min(sdk["seconds"].items(), key=lambda item: item[1])
    report(
        f"GrowthBook's SDK {sdk['version']}, {SDK_UNITS:,} units by {way}: {SDK_UNITS / seconds:,.0f} a second;"
        f" with targeting p50 {sdk['p99']['p50']:.1f} us, p99 {sdk['p99']['p99']:.1f} us"
    )
    return [
        _default(root, report, sdk, SDK_UNITS / seconds),
        _single(root, report, sdk),
        *_others(root, report),
    ]


def _default(root: Path, report: Report, sdk: dict[str, Any], sdk_per_second: float) -> Figure:
    ours = measured("batch", root, hasher=DEFAULT_HASHER, units=UNITS, rounds=ROUNDS, sample=SDK_UNITS)
    if ours["variants"] != sdk["variants"]:
        raise RuntimeError("the SDK gives other variants than the batch")
    per_second = UNITS / ours["seconds"]
    report(
        f"{UNITS:,} units of 16 bytes, {DEFAULT_HASHER}: {per_second:,.0f} a second, {1e9 / per_second:.1f} ns and"
        f" {ours['bytes']:.0f} bytes of answer each; {UNITS / ours['first']:,.0f} a second in the first round, which"
        f" has to get its memory from the system. The first {SDK_UNITS:,} have the variants that the SDK gives them"
    )
    return Figure(
        "batch, one core, 16-byte ids",
        per_second,
        "units/s",
        "GrowthBook's SDK in a loop",
        sdk_per_second,
        f"at least 10 million a second, and {TIMES_SDK} times the SDK",
        per_second >= max(PER_SECOND, TIMES_SDK * sdk_per_second),
    )


def _single(root: Path, report: Report, sdk: dict[str, Any]) -> Figure:
    ours = measured("single", root, hasher=DEFAULT_HASHER, units=EVALUATIONS, targeted=True)["p99"]
    report(f"one evaluation with targeting, of {EVALUATIONS:,}: p50 {ours['p50']:.1f} us, p99 {ours['p99']:.1f} us")
    return Figure(
        "single evaluation with targeting, p99",
        ours["p99"],
        "us",
        "GrowthBook's SDK",
        sdk["p99"]["p99"],
        f"at most {P99_MICROSECONDS} us",
        ours["p99"] <= P99_MICROSECONDS,
    )


def _others(root: Path, report: Report) -> Iterator[Figure]:
    """For information: targeting, and the other vendors' hashes, which are computed one by one."""
    for name, targeted in ((DEFAULT_HASHER, True), *((name, False) for name in HASHERS if name != DEFAULT_HASHER)):
        units = UNITS // 5 if name.startswith("growthbook") else OTHER_UNITS
        table = units / measured("batch", root, hasher=name, units=units, rounds=3, targeted=targeted)["seconds"]
        loop = OTHER_UNITS / measured("single", root, hasher=name, units=OTHER_UNITS, targeted=targeted)["seconds"]
        what = f"{name} with targeting" if targeted else name
        report(f"{what}: {table:,.0f} units a second in a table, {loop:,.0f} one by one")
        yield Figure(f"batch, {what}", table, "units/s", "evaluate in a loop", loop, "for information", True)


def _python_with_sdk(report: Report) -> str:
    """An interpreter that has the SDK."""
    if find_spec(SDK) is not None:
        return sys.executable
    folder = Settings.from_environment().home / "benchmarks" / SDK
    python = folder / "bin" / "python"
    if not python.exists():
        report(f"installing {SDK} into {folder}")
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", SDK], check=True, capture_output=True)
    return str(python)

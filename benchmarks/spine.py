"""How long a stranger waits: the demo, a trial of one's own, the API, and loading the graph.

Everything happens in a CAUSEWAY_HOME of its own, which is removed afterwards, through the command line as a user has
it. The demo is timed as ``causeway demo``: that is `make demo` without the downloads and the installation that come
before it. That `make test` ends within ten minutes is not measured here, for a benchmark that runs the test suite
would take longer than all its other figures together; `time make test` shows it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.closed_loop import Load, measure
from benchmarks.figure import Figure
from causeway.simulate import two_arm_trial
from cli.serving_client import serving_api
from resources import embedded_postgres
from resources.migration import new_key
from resources.settings import HOME, Settings

FIRST_DEMO, SECOND_DEMO, ANALYZE = 360.0, 120.0, 45.0
P99_MILLISECONDS, API_START, DEFINITIONS = 10.0, 2.0, 3.0
ROWS, FEW_ROWS = 64_000, 640
REPEATS = 3
LONGEST_SECONDS = 1800

# What only the pipeline may load, by the first part of the module's name.
PIPELINE_ONLY = (
    "dagster", "dagster_dbt", "dbt", "mlflow", "econml", "dowhy", "sklearn", "xgboost", "shap", "statsmodels", "scipy",
    "tea_tasting", "numpy", "pandas", "polars", "assets", "jobs", "sensors", "resources", "definitions",
)  # fmt: skip

_IMPORTS = {
    "serving libraries": "import fastapi, uvicorn, asyncpg",
    "modules of api.app": "import json, sys, api.app; print(json.dumps(sorted(sys.modules)))",
    "definitions": """
import json, time, warnings
warnings.simplefilter("ignore")
begin = time.perf_counter()
import dagster, dagster_dbt
imported = time.perf_counter()
import definitions
print(json.dumps([imported - begin, time.perf_counter() - imported]))
""",
}
_SPEC = """\
kind: experiment
key: {key}
tenant: bench
unit: unit
control: control
variants: {{control: 1, treatment: 1}}
metrics:
  - {{key: outcome, type: mean, column: outcome, role: primary}}
  - {{key: spend, type: mean, column: spend, role: secondary}}
  - {{key: converted, type: conversion, column: converted, role: secondary}}
covariates: [x1, x2]
segments: [segment]
source: {{file: {file}, unit_id: unit, variant: arm}}
"""

Report = Callable[[str], object]


def spine(report: Report) -> list[Figure]:
    """Measure everything, one thing after the other; about as long as two demos and a minute or two."""
    with _own_house() as house:
        return [
            *_demos(house, report),
            _analysis(house, report),
            *_api(house, report),
            _api_modules(house, report),
            _loading_definitions(house, report),
        ]


@dataclass(frozen=True)
class _House:
    """A CAUSEWAY_HOME that nobody else uses, and the environment in which every command finds it."""

    home: Path
    files: Path
    environment: Mapping[str, str]

    def settings(self) -> Settings:
        return Settings.from_environment({HOME: str(self.home)}).with_admin_url(embedded_postgres.start(self.home))

    @property
    def project_root(self) -> Path:
        return Settings.from_environment({HOME: str(self.home)}).project_root

    def python(self, *arguments: str) -> tuple[float, str]:
        """Seconds from start to end of a Python process, and what it printed; RuntimeError if it failed."""
        output = self.files / "stdout"
        complaints = self.files / "stderr"
        with output.open("w") as stdout, complaints.open("w") as stderr:
            begin = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.project_root,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                process.wait(timeout=LONGEST_SECONDS)
            finally:
                _end(process)
        seconds = time.perf_counter() - begin
        if process.returncode:
            last = (complaints.read_text() or output.read_text()).strip().splitlines()[-3:]
            raise RuntimeError(f"{' '.join(arguments[:4])} ended with {process.returncode}: {' '.join(last)}")
        return seconds, output.read_text()

    def causeway(self, *arguments: str) -> tuple[float, str]:
        """``python`` of the command."""
        return self.python("-m", "cli.main", *arguments)

    def imports(self, name: str) -> tuple[float, str]:
        """``python`` of one of the short programs above."""
        return self.python("-c", _IMPORTS[name])


@contextmanager
def _own_house() -> Iterator[_House]:
    folder = Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    home, files = folder / "home", folder / "files"
    home.mkdir()
    files.mkdir()
    # As root the server runs as a user of its own, who has to pass through.
    folder.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CAUSEWAY_", "DAGSTER_", "MLFLOW_", "DBT_"))
    }
    try:
        yield _House(home, files, {**kept, HOME: str(home), "COLUMNS": "180"})
    finally:
        # A command that was killed leaves its server behind; whoever holds it last stops it.
        if (home / "postgres").exists():
            embedded_postgres.start(home)
            embedded_postgres.stop(home)
        shutil.rmtree(folder)


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process that is still there and its children; interrupted, a command stops what it started by itself."""
    for how, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, 20)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue


def _demos(house: _House, report: Report) -> list[Figure]:
    report("the first demo, in an empty home")
    first, _ = house.causeway("demo")
    report(f"  {first:.1f} s; the second demo")
    second, printed = house.causeway("demo")
    report(f"  {second:.1f} s, {'nothing' if 'nothing to do' in printed else 'SOMETHING'} to do")
    return [
        _limited("first demo", first, "s", FIRST_DEMO, "within 6 minutes beyond downloading"),
        Figure("second demo", second, "s", "first demo", first, "within 2 minutes", second <= SECOND_DEMO),
    ]


def _analysis(house: _House, report: Report) -> Figure:
    trial, skewed = two_arm_trial(seed=1, units=ROWS), two_arm_trial(seed=1, units=ROWS, skewed=True)
    frame = trial.frame.with_columns(spend=skewed.frame["outcome"])
    seconds = {}
    for key, rows in (("large", ROWS), ("small", FEW_ROWS)):
        frame.head(rows).write_csv(house.files / f"{key}.csv")
        spec = house.files / f"{key}.yaml"
        spec.write_text(_SPEC.format(key=key, file=f"{key}.csv"))
        report(f"causeway analyze of {rows:,} rows, 3 metrics, 2 covariates and 1 segment")
        seconds[key], printed = house.causeway("analyze", str(spec), "--json")
        wrong = [row for row in json.loads(printed)["results"] if row["status"] != "ok"]
        if wrong and rows == ROWS:
            raise RuntimeError(f"an effect of the large file is not there: {wrong[0]}")
        report(f"  {seconds[key]:.1f} s")
    return Figure(
        f"causeway analyze, {ROWS:,} rows",
        seconds["large"],
        "s",
        f"its first {FEW_ROWS} rows",
        seconds["small"],
        "within 45 s",
        seconds["large"] <= ANALYZE,
    )


def _api(house: _House, report: Report) -> list[Figure]:
    report("the API: from start to ready")
    settings = house.settings()
    try:
        key = new_key(settings, "pharma", role="developer", expires_at=datetime.now(UTC) + timedelta(hours=1)).key
        starts = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            with serving_api(settings) as api:
                starts.append(time.perf_counter() - begin)
        bare = [house.imports("serving libraries")[0] for _ in range(REPEATS)]
        load = Load(0, key, {"results": "/v1/experiments/rep_trigger/results", "healthz": "/healthz"})
        report(
            f"  {statistics.median(starts):.2f} s; {load.requests:,} requests a path at {load.connections} connections"
        )
        with serving_api(settings) as api:
            found = measure(Load(urlsplit(api.url).port or 0, key, load.paths), house.project_root)
    finally:
        embedded_postgres.stop(house.home)
    for name, latency in found.items():
        report(
            f"  {load.paths[name]}: {latency.requests:,} answers of {latency.bytes:,} bytes, {latency.per_second:,.0f}"
            f" a second, p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms, highest {latency.highest:.2f} ms"
        )
    start, p99 = statistics.median(starts), found["results"].p99
    return [
        Figure(
            f"/results p99, {load.connections} connections",
            p99,
            "ms",
            "/healthz of the same server",
            found["healthz"].p99,
            "under 10 ms",
            p99 < P99_MILLISECONDS,
        ),
        Figure(
            "API from start to ready",
            start,
            "s",
            "importing fastapi, uvicorn and asyncpg",
            statistics.median(bare),
            "within 2 s",
            start <= API_START,
        ),
    ]


def _api_modules(house: _House, report: Report) -> Figure:
    modules: Sequence[str] = json.loads(house.imports("modules of api.app")[1])
    found = sorted({module.partition(".")[0] for module in modules} & set(PIPELINE_ONLY))
    report(f"import api.app loads {len(modules):,} modules, of the pipeline's: {', '.join(found) or 'none'}")
    return Figure(
        "of the pipeline's packages, in import api.app",
        len(found),
        "packages",
        "those looked for",
        len(PIPELINE_ONLY),
        "neither Dagster nor an estimator",
        not found,
    )


def _loading_definitions(house: _House, report: Report) -> Figure:
    report("loading definitions.py")
    # The first one parses the dbt project if a file of it has changed, and compiles what has.
    house.imports("definitions")
    measured = [json.loads(house.imports("definitions")[1]) for _ in range(REPEATS)]
    anchor, value = sorted(measured, key=lambda pair: pair[1])[REPEATS // 2]
    report(f"  {value:.2f} s beyond {anchor:.2f} s")
    return Figure(
        "definitions.py",
        value,
        "s",
        "importing dagster and dagster_dbt",
        anchor,
        "within 3 s beyond its anchor",
        value <= DEFINITIONS,
    )


def _limited(name: str, value: float, unit: str, limit: float, target: str) -> Figure:
    return Figure(name, value, unit, "limit", limit, target, value <= limit)

"""Draw the report of a simulated experiment into docs/images: ``python docs/draw_experiment_report.py``.

It needs Chromium, and the poppler and DejaVu that come with it. ``--html FILE`` writes the page and draws nothing.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from causeway.decisions import DecisionRule, Guardrail, Headline, decide
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportArm,
    ReportDecision,
    ReportEffect,
    ReportGate,
    ReportLook,
    ReportLooks,
    ReportMetric,
    ReportPosterior,
    ReportProvenance,
    ReportResult,
)
from causeway.report.page import render
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate, srm_gate
from causeway.statistics.moments import Moments
from causeway.statistics.multiple_testing import holm

INTO = Path(__file__).parent / "images" / "experiment_report.png"
FIRST_DAY, DAYS = date(2024, 3, 4), 42
ARMS = {"list": 1.0, "cards": 1.0, "map": 1.0}
DAILY_UNITS = 420
METRICS = (
    ReportMetric("booked", "conversion", "primary", minimum_effect=0.05),
    ReportMetric("revenue", "mean", "secondary", unit="EUR"),
    ReportMetric("load_time", "mean", "guardrail", "decrease", unit="ms", non_inferiority_margin=0.05),
)
METHOD = "difference_in_means"
ALPHA, SEGMENTS = 0.05, ("device=desktop", "device=phone", "device=tablet")


def example() -> ExperimentReport:
    """An experiment of 42 days with three arms, of which one is better, simulated from a fixed seed."""
    outcomes, devices, day_of = _simulated()
    days = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
    results, looks, posteriors = [], [], []
    compared: dict[tuple[str, str], Effect] = {}
    for metric in METRICS:
        values = outcomes[metric.key]
        for variant in ("cards", "map"):
            for segment in (None, *SEGMENTS):
                chosen = {arm: values[arm] if segment is None else values[arm][devices[arm] == segment] for arm in ARMS}
                effect = _effect(chosen[variant], chosen["list"])
                if segment == "device=tablet":
                    effect = Effect("too_few_units", effect.n, effect.n_control)
                if segment is None:
                    compared[metric.key, variant] = effect
                results.append(
                    ReportResult(
                        metric.key,
                        variant,
                        "list",
                        METHOD,
                        ReportEffect.of(effect),
                        segment,
                        provenance_id="7c1f0a93be24",
                    )
                )
            seen = [
                ReportLook(
                    day,
                    _always_valid(
                        _effect(values[variant][day_of[variant] <= count], values["list"][day_of["list"] <= count])
                    ),
                )
                for count, day in enumerate(days)
            ]
            looks.append(ReportLooks(metric.key, variant, "list", "confidence_sequence", tuple(seen), METHOD))
            posteriors.append(_posterior(metric, variant, _effect(values[variant], values["list"])))
    units = {arm: len(day_of[arm]) for arm in ARMS}
    srm = srm_gate(units, ARMS)
    return ExperimentReport(
        experiment="search_results",
        tenant="travel",
        name="How search results are shown",
        hypothesis="People book more often when results are shown as cards with pictures, or on a map, than in a list.",
        owner="search-team",
        unit="customer",
        status="running",
        version=1,
        starts_on=FIRST_DAY,
        ends_on=FIRST_DAY + timedelta(days=DAYS - 1),
        arms=tuple(ReportArm(arm, weight, units[arm], arm == "list") for arm, weight in ARMS.items()),
        metrics=METRICS,
        decision=_decision(compared, srm),
        gates=(
            ReportGate("srm", srm.passed, srm.blocking, srm.detail, srm.p_value),
            ReportGate("crossover", True, True, "0 units were in more than one variant (0 %; tolerated 1 %)."),
            ReportGate(
                "enrolment", False, False, "1,259 units a day came in, and 1,500 were planned. The trial takes longer.",
            ),
            ReportGate("pre_exposure_imbalance", True, False, "Bookings before the first exposure are alike.", 0.44),
        ),
        results=_adjusted(results),
        looks=tuple(looks),
        posteriors=tuple(posteriors),
        multiple_testing="Adjusted p-values are Holm's over the two variants of each metric.",
        provenance=ReportProvenance(
            datetime(2024, 4, 15, 5, 0, tzinfo=UTC), FIRST_DAY + timedelta(days=DAYS - 1), "0.1.0",
            "0d5f5c6a41b2c3d4e5f60718293a4b5c", "b1946ac92492d2347c6235b4d2611184",
        ),
    )  # fmt: skip


def _decision(effects: dict[tuple[str, str], Effect], srm: Gate) -> ReportDecision:
    def on(metric: str) -> dict[str, Headline]:
        found = {variant: effect for (key, variant), effect in effects.items() if key == metric}
        p_values = holm({variant: effect.p_value for variant, effect in found.items() if effect.p_value is not None})
        return {
            variant: Headline(
                effect, adjusted_p_value=p_values.get(variant), is_significant=p_values.get(variant, 1.0) < ALPHA
            )
            for variant, effect in found.items()
        }

    guardrail = Guardrail("decrease", 0.05)
    rule = DecisionRule("booked", min_relative_effect=0.01, guardrails={"load_time": guardrail})
    made = decide(on("booked"), {"load_time": on("load_time")}, [srm], rule)
    return ReportDecision(made.decision, made.variant, made.reasons, datetime(2024, 4, 15, 9, 30, tzinfo=UTC))


def _simulated() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray], dict[str, np.ndarray]]:
    chance = np.random.default_rng(20240304)
    lift, slower = {"list": 0.0, "cards": 0.016, "map": 0.002}, {"list": 0.0, "cards": 6.0, "map": 55.0}
    outcomes: dict[str, dict[str, np.ndarray]] = {metric.key: {} for metric in METRICS}
    devices, day_of = {}, {}
    for arm in ARMS:
        n = DAYS * DAILY_UNITS + int(chance.integers(-120, 120))
        day_of[arm] = np.sort(chance.integers(0, DAYS, n))
        devices[arm] = chance.choice(SEGMENTS, n, p=(0.44, 0.559, 0.001))
        booked = chance.random(n) < 0.12 + lift[arm] * (1.5 - (devices[arm] == "device=desktop"))
        outcomes["booked"][arm] = booked.astype(float)
        outcomes["revenue"][arm] = booked * chance.lognormal(4.6, 0.9, n)
        outcomes["load_time"][arm] = chance.gamma(4.0, 180.0, n) + slower[arm]
    return outcomes, devices, day_of


def _effect(treated: np.ndarray, control: np.ndarray) -> Effect:
    return difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control), alpha=ALPHA)


def _always_valid(effect: Effect) -> ReportEffect:
    """The normal-mixture confidence sequence of Waudby-Smith et al. (2024, Theorem 2.2), tightest at 10,000 units."""
    if effect.effect is None or effect.std_error is None:
        return ReportEffect.of(effect)
    n = effect.n + effect.n_control
    growth = 1 + n * (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / 10_000
    half = effect.std_error * math.sqrt(2 * growth / (growth - 1) * math.log(math.sqrt(growth) / ALPHA))
    return replace(ReportEffect.of(effect), ci_low=effect.effect - half, ci_high=effect.effect + half)


def _posterior(metric: ReportMetric, variant: str, effect: Effect) -> ReportPosterior:
    """Under a flat prior: the posterior is normal, with the effect and its standard error."""
    if effect.effect is None or effect.std_error is None:
        return ReportPosterior(metric.key, variant, effect.status)
    z = metric.sign * effect.effect / effect.std_error
    better = 0.5 * math.erfc(-z / math.sqrt(2))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    loss = effect.std_error * (density - z * (1 - better))
    return ReportPosterior(metric.key, variant, "ok", better, max(0.0, loss), "flat")


def _adjusted(results: list[ReportResult]) -> tuple[ReportResult, ...]:
    adjusted: dict[tuple[str, str], float] = {}
    for metric in METRICS:
        of_all = {
            result.variant: result.effect.p_value
            for result in results
            if result.metric == metric.key and result.segment is None and result.effect.p_value is not None
        }
        adjusted |= {(metric.key, variant): value for variant, value in holm(of_all).items()}
    return tuple(
        result if result.segment else replace(result, adjusted_p_value=adjusted.get((result.metric, result.variant)))
        for result in results
    )


def draw(html: str, into: Path, height: int = 3150) -> None:
    """A picture of the page's first `height` pixels, or of all of it, in a window of 1000 pixels, in 256 colours."""
    from PIL import Image, ImageOps

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is needed to draw the page")
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder) / "report.html", Path(folder) / "report.png"
        page.write_text(html, encoding="utf-8")
        subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--window-size=1000,{height}",
                f"--user-data-dir={folder}/profile", f"--screenshot={picture}", page.as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with Image.open(picture) as whole:
            drawn = whole.convert("RGB")
            # The window is higher than a short page.
            _, _, _, bottom = ImageOps.invert(drawn).getbbox() or (0, 0, 0, height)
            drawn.crop((0, 0, drawn.width, min(height, bottom + 40))).quantize(256, dither=Image.Dither.NONE).save(
                into, optimize=True
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, help="write the page here and draw nothing")
    asked = parser.parse_args()
    if asked.html is None:
        draw(render(example()), INTO)
    else:
        asked.html.write_text(render(example()), encoding="utf-8")

"""``causeway demo``: real and simulated data down the whole road, answers beside the truth, read through the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.analyze import experiment_answer, study_answer
from cli.house import House, open_house
from cli.refresh import bring_up_to_date, summary
from cli.serving_client import serving_api
from cli.terminal import Stopwatch, console, interval, number, print_json, signed, table

if TYPE_CHECKING:
    from causeway.simulate.truth import WorldTruth

# Manning et al. (1987), American Economic Review 77(3), table 2: face-to-face visits per person and year, by plan.
MANNING_1987 = {
    "free": 4.55,
    "coinsurance_25": 3.33,
    "coinsurance_50": 3.03,
    "coinsurance_95": 2.73,
    "individual_deductible": 3.02,
}
ABOUT_THE_EXTRACT = """\
The extract that statsmodels ships is not the published sample: it counts visits to physicians only (mdvis), where
the paper counts all face-to-face visits, and it names neither persons nor families, so a row is a person-year and
the intervals are too narrow. It codes the individual deductible plan as coinsurance rate 0 with a flag; read by
rate alone, the means are those of the last column. Order and direction can be compared with the paper, levels
cannot."""


@dataclass(frozen=True)
class Held:
    """One simulated effect, its truth and whether the interval holds it."""

    experiment: str
    metric: str
    variant: str
    method: str
    truth: float
    effect: float
    ci_low: float
    ci_high: float

    @property
    def covered(self) -> bool:
        return self.ci_low <= self.truth <= self.ci_high


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Land real and simulated data, make the whole graph, and print the answers beside what is known to be true."""
    terminal, watch = console(as_json), Stopwatch()
    house = open_house(terminal.print)
    outcome = bring_up_to_date(house, terminal)
    terminal.print(summary(outcome, watch))

    answers: dict[str, Any] = {"failures": outcome.failures, "runs": len(outcome.runs)}
    terminal.rule("a real trial: the RAND Health Insurance Experiment")
    answers["health_insurance"] = _real_trial(house, terminal)
    terminal.rule("simulated trials, whose truth is known")
    held = _simulated(house, terminal)
    answers["simulated"] = [{**each.__dict__, "covered": each.covered} for each in held]
    terminal.rule("an observational question, whose truth is known")
    answers["study"] = _study(house, terminal)
    terminal.rule("read back through the API")
    answers["api"] = _through_the_api(house, terminal)
    terminal.print(
        f"\nfinished in {watch}. Next: `make up` for Dagster's pages, `causeway analyze SPEC.yaml` for your own trial,"
        " `causeway reproduce PROVENANCE_ID` to make a number again, README.md for the rest."
    )
    if as_json:
        print_json(answers)
    if outcome.failures:
        raise typer.Exit(1)


def _real_trial(house: House, terminal: Console) -> dict[str, Any]:
    import polars as pl

    from assets.raw.datasets import health_insurance_experiment

    answer = experiment_answer(house, "rand", "health_insurance")
    by_method = {(row["variant"], row["method"]): row for row in answer["results"] if _is_of_everybody(row)}
    extract = health_insurance_experiment()
    by_rate = dict(extract.group_by("coinsurance_rate").agg(pl.col("mdvis").mean()).iter_rows())
    rate_of = {"free": 0.0, "coinsurance_25": 25.0, "coinsurance_50": 50.0, "coinsurance_95": 95.0}
    if answer["status"] != "ok":
        terminal.print(f"{answer['status']}: {'; '.join(answer['reasons'])}")
        return answer
    shown = table(
        "outpatient visits a year by plan, against free care",
        "plan",
        "person-years",
        "mean",
        "effect",
        "95 % interval",
        "adjusted",
        "Manning 1987",
        "their difference",
        "mean by rate",
    )
    for plan, published in MANNING_1987.items():
        plain, adjusted = by_method.get((plan, "difference_in_means")), by_method.get((plan, "adjusted"))
        rate = rate_of.get(plan)
        anchor = plain or by_method["coinsurance_25", "difference_in_means"]
        shown.add_row(
            plan,
            f"{plain['n'] if plain else anchor['n_control']:,}",
            number(plain["mean"] if plain else anchor["mean_control"], 2),
            signed(plain["effect"], 2) if plain else "control",
            interval(plain["ci_low"], plain["ci_high"], 2) if plain else "-",
            signed(adjusted["effect"], 2) if adjusted else "-",
            number(published, 2),
            signed(published - MANNING_1987["free"], 2) if plain else "-",
            number(by_rate.get(rate), 2) if rate is not None else "in rate 0",
        )
    terminal.print(shown)
    terminal.print(ABOUT_THE_EXTRACT)
    return {**answer, "published": MANNING_1987}


def _truths() -> dict[str, WorldTruth]:
    """The truth of every simulated source that is declared, by tenant."""
    from causeway.declarations.source import SourceDeclaration
    from causeway.simulate import WORLDS
    from resources.registry import declared_in
    from resources.settings import Settings

    folder = Settings.from_environment().project_root / "declarations"
    return {
        declaration.tenant: WORLDS[declaration.simulate.world](
            seed=declaration.simulate.seed, scale=declaration.simulate.scale
        ).truth
        for declaration, _ in declared_in(folder)
        if isinstance(declaration, SourceDeclaration) and declaration.simulate is not None
    }


def _simulated(house: House, terminal: Console) -> list[Held]:
    held: list[Held] = []
    shown = table(
        "",
        "experiment",
        "metric, variant",
        "truth",
        "difference in means",
        "95 % interval",
        "adjusted by twin",
        "95 % interval",
        "holds",
        text=2,
    )
    withheld = []
    for tenant, truth in _truths().items():
        for experiment, known in truth.experiments.items():
            answer = experiment_answer(house, tenant, experiment)
            if answer["status"] != "ok":
                withheld.append(answer)
                continue
            rows = {(r["metric"], r["variant"], r["method"]): r for r in answer["results"] if _is_of_everybody(r)}
            for effect in (each for each in known.effects if each.segment is None):
                pair = []
                for method in ("difference_in_means", "adjusted"):
                    row = rows.get((effect.metric, effect.variant, method))
                    if row and row["status"] == "ok":
                        numbers = (effect.effect, row["effect"], row["ci_low"], row["ci_high"])
                        pair.append(Held(experiment, effect.metric, effect.variant, method, *numbers))
                held += pair
                cells = [(signed(each.effect), interval(each.ci_low, each.ci_high)) for each in pair]
                plain, adjusted = (*cells, ("-", "-"), ("-", "-"))[:2]
                verdict = "yes" if all(each.covered for each in pair) else "[red]no[/red]"
                shown.add_row(
                    experiment, f"{effect.metric}, {effect.variant}", signed(effect.effect), *plain, *adjusted, verdict
                )
            if answer["decision"]:
                terminal.print(f"{tenant}|{experiment}: decision [bold]{answer['decision']['decision']}[/bold]")
    terminal.print(shown)
    share = sum(each.covered for each in held)
    terminal.print(f"{share} of {len(held)} intervals hold the truth; 95 % of them should in the long run")
    for answer in withheld:
        terminal.print(f"\n[bold]{answer['tenant']}|{answer['experiment']}[/bold] is {answer['status']}:")
        for reason in answer["reasons"]:
            terminal.print(f"  {reason}")
    return held


def _is_of_everybody(row: dict[str, Any]) -> bool:
    """Not of a segment, and with the interval that holds at the end: the simulated trials are over."""
    return row["segment"] is None and row["interval"] == "fixed_horizon"


def _study(house: House, terminal: Console) -> list[dict[str, Any]]:
    found = []
    for tenant, truth in _truths().items():
        for study, known in truth.studies.items():
            answer = study_answer(house, tenant, study)
            shown = table(f"{study}: {answer['verdict']}", "method", "effect", "95 % interval", "truth", "n")
            for row in answer["estimates"]:
                shown.add_row(
                    row["method"],
                    signed(row["effect"]),
                    interval(row["ci_low"], row["ci_high"]),
                    signed(known.ate),
                    f"{row['n']:,}",
                )
            terminal.print(shown)
            for refutation in answer["refutations"]:
                verdict = "problem found" if refutation["problem_found"] else "no problem found"
                terminal.print(f"  {refutation['name']}: {verdict}")
            found.append({**answer, "truth": known.ate})
    return found


def _through_the_api(house: House, terminal: Console) -> dict[str, Any]:
    from resources.migration import new_key

    made = new_key(house.settings, "pharma", role="developer", expires_at=datetime.now(UTC) + timedelta(minutes=10))
    with serving_api(house.settings) as api:
        listed = api.get("/v1/experiments", made.key)
        withheld = api.get("/v1/experiments/email_cadence/results", made.key)
    for each in listed["experiments"]:
        terminal.print(
            f"GET /v1/experiments: {each['experiment']}, {each['units']:,} units, decision {each['decision']}"
        )
    row = withheld["results"][0]
    terminal.print(
        f"GET /v1/experiments/email_cadence/results: status {withheld['status']}, {row['metric']} {row['variant']}:"
        f" effect {row['effect']}, reasons {withheld['reasons'][0][:120]}..."
    )
    return {"experiments": listed, "withheld": withheld}

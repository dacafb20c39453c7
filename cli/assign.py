"""``causeway assign``: what units are assigned, by the same function as the API, one by one or a whole table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from causeway.assignment.batch.reach import reach_of
from causeway.assignment.evaluation import Evaluation
from causeway.assignment.explain import Explanation, explain
from causeway.assignment.flags import FlagSet
from causeway.assignment.json_values import unit_text
from causeway.assignment.sticky import StickyRecord
from cli.house import House, open_house
from cli.terminal import WrongInput, console, print_json, table
from resources.flags_in_force import TARGETING_KEY, flags_in_force, stored_assignments

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_ROWS_AT_ONCE = 500_000


def assign(
    experiment: Annotated[str, typer.Argument(help="Key of the experiment, or of a flag.")],
    unit_ids: Annotated[list[str] | None, typer.Argument(help="Unit ids, unless --units names a file of them.")] = None,
    *,
    tenant: Annotated[str, typer.Option(help="Tenant of the experiment.")] = "default",
    context: Annotated[str, typer.Option(help="Attributes of the units, as a JSON object.")] = "{}",
    at: Annotated[str | None, typer.Option(help="Time of ramps and windows, such as 2026-01-31T08:00:00Z.")] = None,
    explained: Annotated[bool, typer.Option("--explain", help="Say why, rule by rule.")] = False,
    units: Annotated[Path | None, typer.Option(help="Table of units: csv, tsv, ndjson, parquet or arrow.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for their assignments, of one of the same forms.")] = None,
    unit_column: Annotated[str, typer.Option(help="Column of the units' ids in --units.")] = "unit_id",
    at_column: Annotated[str | None, typer.Option(help="Column of each row's time in --units.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Evaluate the assignment of units without recording it; what is stored of a unit holds."""
    if bool(unit_ids) == (units is not None) or (units is None) != (out is None):
        raise WrongInput("name units, or a file of them with --units and where to write with --out")
    terminal = console(as_json)
    asked, attributes = _Asked(tenant, experiment, _moment(at)), _attributes(context)
    house = open_house(terminal.print)
    if units is not None and out is not None:
        counts = _assign_file(house, terminal, asked, _Files(units, out, unit_column, at_column))
        _show_counts(terminal, experiment, out, counts, as_json)
        return
    contexts = [{**attributes, TARGETING_KEY: unit_id} for unit_id in unit_ids or ()]
    named = {unit_text(value) for each in contexts for value in each.values()}
    flags, stored = _in_force(house, asked, named)
    found = [explain(flags, experiment, each, at=asked.at, sticky=stored) for each in contexts]
    if as_json:
        print_json([_document(unit, each, explained) for unit, each in zip(unit_ids or (), found, strict=True)])
        return
    _show(terminal, f"{experiment} ({tenant})", unit_ids or [], found, explained)


@dataclass(frozen=True)
class _Asked:
    tenant: str
    experiment: str
    at: datetime


@dataclass(frozen=True)
class _Files:
    units: Path
    out: Path
    unit_column: str
    at_column: str | None


def _moment(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise WrongInput(f"--at {at!r} is no time; expected one such as 2026-01-31T08:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _attributes(context: str) -> Mapping[str, Any]:
    try:
        attributes = json.loads(context)
    except (ValueError, RecursionError):
        attributes = None
    if not isinstance(attributes, dict):
        raise WrongInput('--context must be a JSON object, such as \'{"country": "DE"}\'')
    return attributes


def _in_force(house: House, asked: _Asked, units: set[str] | None = None) -> tuple[FlagSet, Mapping[str, StickyRecord]]:
    """The tenant's flags, and what is stored of these units, or of all, that the experiment may look at."""
    tenant, experiment = asked.tenant, asked.experiment
    with house.client.transaction() as transaction:
        flags = flags_in_force(transaction, tenant)
        if experiment not in flags.flags:
            raise WrongInput(f"tenant {tenant} has no experiment {experiment!r}; `causeway status` lists what there is")
        experiments = reach_of(flags, experiment).experiments
        return flags, stored_assignments(transaction, tenant, experiments, asked.at, units=units)


def _document(unit: str, explanation: Explanation, explained: bool) -> dict[str, Any]:
    said = explanation.evaluation
    document = {
        "unit_id": unit,
        "variant": said.variant,
        "config": said.value,
        "in_experiment": said.in_experiment,
        "status": said.status,
        "reason": said.reason,
        "bucket": said.bucket,
        "layer": said.layer,
        "holdout": said.holdout,
        "sticky": said.sticky_used,
        "window_start": said.window_start,
        "policy_version": said.policy_version,
    }
    if explained:
        document["why"] = explanation.why
        document["steps"] = [asdict(step) for step in explanation.steps]
    return document


def _show(terminal: Console, title: str, units: list[str], found: list[Explanation], explained: bool) -> None:
    shown = table(title, "unit", "variant", "status", "reason", "layer", "bucket", text=5)
    for unit, explanation in zip(units, found, strict=True):
        said = explanation.evaluation
        shown.add_row(unit, said.variant or "-", said.status, said.reason, _place(said), _number(said.bucket))
    terminal.print(shown)
    for unit, explanation in zip(units, found, strict=True):
        if explained:
            terminal.print(f"\n{unit}: {explanation.why}", markup=False)
            for step in explanation.steps:
                rule = step.rule_id or f"rule {step.rule_index + 1}"
                outcome = step.outcome.replace("_", " ")
                terminal.print(f"  {step.flag}, {rule}: {outcome}; {step.why}", markup=False)


def _place(said: Evaluation) -> str:
    return "-" if said.layer is None else said.layer


def _number(bucket: int | None) -> str:
    return "-" if bucket is None else str(bucket)


def _assign_file(house: House, terminal: Console, asked: _Asked, files: _Files) -> dict[tuple[str | None, str], int]:
    """Assign a file of units to a file; how many have each variant and status."""
    from cli.unit_files import read_table, writer_of

    write = writer_of(files.out)
    with _progress(terminal) as advance:
        advance(f"reading {files.units.name}")
        rows = read_table(files.units, files.unit_column)
        flags, stored = _in_force(house, asked)
        assigned = _in_parts(flags, asked, files, rows, stored=stored, advance=advance)
        advance(f"writing {files.out.name}")
        write(assigned)
    counted = assigned.group_by(["variant", "status"]).aggregate([([], "count_all")]).to_pylist()
    return {(row["variant"], row["status"]): row["count_all"] for row in counted}


def _in_parts(
    flags: FlagSet,
    asked: _Asked,
    files: _Files,
    rows: pa.Table,
    *,
    stored: Mapping[str, StickyRecord],
    advance: Callable[..., None],
) -> pa.Table:
    import pyarrow as pa

    from causeway.assignment.batch.table import assign_table

    parts = []
    columns: dict[str, Any] = {"unit_column": files.unit_column, "at_column": files.at_column}
    try:
        for begin in range(0, max(rows.num_rows, 1), _ROWS_AT_ONCE):
            advance(f"assigning {rows.num_rows:,} units", begin, rows.num_rows)
            part = rows.slice(begin, _ROWS_AT_ONCE)
            parts.append(assign_table(flags, asked.experiment, part, at=asked.at, sticky=stored, **columns))
    except (ValueError, pa.ArrowException) as error:
        raise WrongInput(f"the units cannot be assigned: {error}") from None
    # Every part has a dictionary of its own.
    return pa.concat_tables(parts).unify_dictionaries()


@contextmanager
def _progress(terminal: Console) -> Iterator[Callable[..., None]]:
    """A bar while somebody looks: a function of what is done now, and of how many rows out of how many."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def advance(doing: str, done: int = 0, total: int | None = None) -> None:
            progress.update(task, description=doing, completed=done, total=total)

        yield advance


def _show_counts(
    terminal: Console, experiment: str, out: Path, counts: Mapping[tuple[str | None, str], int], as_json: bool
) -> None:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1]))
    if as_json:
        rows = [{"variant": variant, "status": status, "units": units} for (variant, status), units in ordered]
        print_json({"experiment": experiment, "out": str(out), "units": sum(counts.values()), "counts": rows})
        return
    shown = table(f"{experiment}: {out}", "variant", "status", "units", text=2)
    for (variant, status), units in ordered:
        shown.add_row(variant or "-", status, f"{units:,}")
    terminal.print(shown)

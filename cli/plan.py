"""``causeway plan``: what changed declarations would do, on the data at hand, without doing it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from causeway.declarations.differences import Difference, differences
from causeway.declarations.reading import read_declaration
from cli.house import House, definitions, open_house
from cli.terminal import Stopwatch, WrongInput, console, print_json, signed, table
from resources.postgres_client import PostgresClient
from resources.registry import register, register_folder
from resources.registry_rows import EVENT_TYPES, TABLES, copy_registry

if TYPE_CHECKING:
    from rich.console import Console

    from jobs.what_if import Stale

_NUMBERS = ("status", "effect", "ci_low", "ci_high", "p_value")
_ROW = ("metric", "segment", "variant", "control", "method", "interval")


@dataclass(frozen=True)
class Changed:
    """One declaration that is new, says something else, or is no longer declared by a file."""

    what: str
    kind: str
    partition: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Moved:
    """One published effect that would be another; None where there is none. relative: difference over |before|."""

    metric: str
    segment: str | None
    variant: str
    control: str
    method: str
    interval: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    difference: float | None
    relative: float | None


@dataclass(frozen=True)
class Movement:
    """What would be published of one experiment. unchanged: effects that would stay as they are to the last bit."""

    partition: str
    moved: tuple[Moved, ...]
    unchanged: int
    decision_before: str | None
    decision_after: str | None


@dataclass
class Planned:
    """What the changes would do. skipped: experiments that were not analysed again, with the reason."""

    changes: list[Changed] = field(default_factory=list)
    stale: list[Stale] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    known_at: str | None = None


def plan(
    path: Annotated[
        Path | None,
        typer.Argument(help="A changed declaration, or a folder of them; the project's declarations when left out."),
    ] = None,
    numbers: Annotated[bool, typer.Option(help="Analyse the changed experiments again, in scratch schemas.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what changed declarations would do: what goes stale, and which published numbers move by how much.

    Nothing is registered and nothing is published.
    """
    terminal, watch = console(as_json), Stopwatch()
    house = open_house(terminal.print)
    chosen = path or house.settings.project_root / "declarations"
    if not chosen.exists():
        raise WrongInput(f"there is no file or folder {chosen}")
    with scratch_copy(house.client) as scratch:
        planned = Planned()
        propose(house.client, scratch, chosen, planned)
        if planned.changes:
            with terminal.status("looking for what would be stale"):
                _find_stale(house.client, scratch, planned)
            if numbers:
                _measure(house, scratch, planned, terminal)
    if as_json:
        print_json({**asdict(planned), "measured": numbers})
    else:
        _show(terminal, planned, numbers)
        terminal.print(f"nothing was changed ({watch})")
    if planned.failures:
        raise typer.Exit(1)


@contextmanager
def scratch_copy(client: PostgresClient) -> Iterator[PostgresClient]:
    """Scratch schemas with the registry as it is; they are dropped whatever happens, when the process is ended too."""
    scratch = client.with_prefix(f"plan_{uuid4().hex[:12]}_")
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        scratch.create_scratch()
        with scratch.transaction() as transaction:
            copy_registry(transaction)
        yield scratch
    finally:
        # Once more Ctrl-C while it is dropped would leave it there.
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
        scratch.drop_scratch()
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, ended)


def propose(live: PostgresClient, scratch: PostgresClient, path: Path, planned: Planned) -> None:
    """Register what ``path`` declares in the scratch copy, and note what that changes.

    Raises what registering would raise: a declaration that cannot come into force has no plan.
    """
    if path.is_dir():
        register_folder(scratch, path)
    else:
        with scratch.transaction() as transaction:
            register(transaction, read_declaration(_text(path), path.name), path.resolve())
    for kind, name in {**TABLES, "event_type": EVENT_TYPES}.items():
        before, after = (_declared(client, name) for client in (live, scratch))
        for key, (document, declared_in) in after.items():
            if key not in before:
                planned.changes.append(Changed("added", kind, key[0]))
                continue
            found = differences(before[key][0], document, in_detail=True)
            if found:
                planned.changes.append(Changed("changed", kind, key[0], tuple(found)))
            elif before[key][1] is not None and declared_in is None:
                planned.changes.append(Changed("removed", kind, key[0]))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def _declared(client: PostgresClient, name: str) -> dict[tuple[str, str], tuple[dict[str, Any], str | None]]:
    """Documents and their files by tenant|key and version."""
    rows = client.fetch_all(
        "SELECT tenant_id || '|' || key, coalesce(declaration ->> 'version', ''), declaration, declared_in"
        f" FROM {client.table('registry.' + name)} ORDER BY 1, 2"
    )
    versioned = name == EVENT_TYPES
    return {(key, version if versioned else ""): (document, file) for key, version, document, file in rows}


def _find_stale(live: PostgresClient, scratch: PostgresClient, planned: Planned) -> None:
    from assets import versions
    from jobs.standing import Standing
    from jobs.what_if import changed_versions, stale_after

    experiments = versions.standing_of_experiments(scratch)
    standing = Standing.of(experiments)
    changed = changed_versions(live, scratch)
    planned.stale += stale_after(definitions().resolve_asset_graph(), changed, standing)
    known = versions.of_experiments(live)
    for key in changed["experiments"]:
        if key in standing.dormant:
            but = " but its plan" if key in standing.planned else ""
            planned.skipped[key] = f"it would be {experiments[key][0]}: nothing is computed for it{but}"
        elif key not in known and key in changed["sources"]:
            planned.skipped[key] = "its table has not been landed yet"


def _measure(house: House, scratch: PostgresClient, planned: Planned, terminal: Console) -> None:
    from assets.partitions import split
    from cli.house import dagster_instance
    from jobs.what_if import analyse_again, borrow_events

    again = [
        each.partition
        for each in planned.stale
        if each.job == "analyse_experiment"
        and "registry/experiments" in each.causes
        and each.partition not in planned.skipped
    ]
    row = house.client.fetch_one(
        "SELECT known_at FROM ops.provenance WHERE asset = 'events/events' ORDER BY materialized_at DESC LIMIT 1"
    )
    if row is None:
        planned.skipped |= dict.fromkeys(again, "nothing has been landed yet")
        return
    planned.known_at = row[0].isoformat()
    borrow_events(scratch)
    with dagster_instance():
        for partition in again:
            with terminal.status(f"analysing {partition} again in scratch schemas"):
                failures = analyse_again(
                    definitions(),
                    [partition],
                    prefix=scratch.schema_prefix,
                    known_at=planned.known_at,
                    tenant=split(partition)[0],
                )
            if failures:
                planned.failures[partition] = list(failures)
            else:
                planned.movements.append(movement(house.client, scratch, partition))


def movement(live: PostgresClient, scratch: PostgresClient, partition: str) -> Movement:
    """How the published effects of one experiment, and its decision, differ from those in the scratch copy."""
    before, after = (_published(client, partition) for client in (live, scratch))
    keys = list(dict.fromkeys([*after, *before]))
    moved = [_moved(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]
    return Movement(
        partition,
        tuple(moved),
        len(keys) - len(moved),
        *(_decision(client, partition) for client in (live, scratch)),
    )


def _moved(key: tuple[Any, ...], before: dict[str, Any] | None, after: dict[str, Any] | None) -> Moved:
    was, would_be = (None if each is None else each["effect"] for each in (before, after))
    difference = None if was is None or would_be is None else would_be - was
    relative = difference / abs(was) if difference is not None and was else None
    return Moved(
        **dict(zip(_ROW, key, strict=True)), before=before, after=after, difference=difference, relative=relative
    )


def _published(client: PostgresClient, partition: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = _rows(client, "experiment_results", (*_ROW, *_NUMBERS), partition, "position, segment NULLS FIRST, variant")
    return {row[: len(_ROW)]: dict(zip(_NUMBERS, row[len(_ROW) :], strict=True)) for row in rows}


def _decision(client: PostgresClient, partition: str) -> str | None:
    rows = _rows(client, "experiments", ("decision",), partition, "1")
    return rows[0][0] if rows else None


def _rows(
    client: PostgresClient, name: str, columns: Sequence[str], partition: str, order: str
) -> list[tuple[Any, ...]]:
    served = client.table(f"serving.{name}")
    if client.fetch_one("SELECT to_regclass(%s)", (served,)) == (None,):
        return []
    selected = ", ".join(f"served.{column}" for column in columns)
    return client.fetch_all(
        f"SELECT {selected} FROM {served} AS served WHERE tenant_id || '|' || experiment = %s ORDER BY {order}",
        (partition,),
    )


def _show(terminal: Console, planned: Planned, numbers: bool) -> None:
    if not planned.changes:
        terminal.print("every declaration says what is in force")
        return
    for change in planned.changes:
        colour = {"added": "green", "changed": "yellow", "removed": "red"}[change.what]
        terminal.print(f"[{colour}]{change.what}[/{colour}] {change.kind} {change.partition}")
        for each in change.differences:
            terminal.print(f"  {each.path}: {_value(each.before)} -> {_value(each.after)}", markup=False)
        if change.what == "removed":
            terminal.print("  no file declares it; it stays in force, and can be changed over HTTP")
    shown = table("would be made again", "job", "partition", "assets", text=2)
    for work in planned.stale:
        shown.add_row(work.job, work.partition, str(len(work.assets)))
    if planned.stale:
        terminal.print(shown)
    for partition, reason in planned.skipped.items():
        terminal.print(f"[yellow]not measured[/yellow] {partition}: {reason}")
    for found in planned.movements:
        _show_movement(terminal, found)
    for partition, failures in planned.failures.items():
        terminal.print(f"[red]failed[/red] {partition}: {'; '.join(failures)[:400]}")
    if not numbers and planned.stale:
        terminal.print("how far published numbers would move was not asked for (--numbers)")


def _show_movement(terminal: Console, found: Movement) -> None:
    if found.moved:
        shown = table(
            found.partition, "metric", "variant", "method", "before", "after", "difference", "relative", text=3
        )
        for each in found.moved:
            shown.add_row(
                each.metric,
                f"{each.variant}, {each.segment}" if each.segment else each.variant,
                each.method if each.interval == "fixed_horizon" else f"{each.method}, {each.interval}",
                _effect(each.before),
                _effect(each.after),
                signed(each.difference, 4),
                "-" if each.relative is None else f"{100 * each.relative:+.1f} %",
            )
        terminal.print(shown)
    terminal.print(f"{found.partition}: {len(found.moved)} effects would move, {found.unchanged} would not")
    if found.decision_before != found.decision_after:
        terminal.print(
            f"{found.partition}: decision: [bold]{found.decision_before or '-'} -> {found.decision_after or '-'}[/bold]"
        )


def _effect(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    return signed(row["effect"], 4) if row["status"] == "ok" else str(row["status"])


def _value(value: Any) -> str:
    return "-" if value is None else str(value)

"""The ``causeway`` command: one module a command, one line for every mistake that is the caller's."""

from __future__ import annotations

import atexit
import gc
import sys

import typer

from cli.analyze import analyze
from cli.assign import assign
from cli.bench import bench
from cli.demo import demo
from cli.design import design
from cli.erase import erase
from cli.migrate import key, migrate
from cli.plan import plan
from cli.refresh import refresh
from cli.replay import replay
from cli.reproduce import reproduce
from cli.simulate import simulate
from cli.status import schema, status
from cli.terminal import explain
from cli.up import up

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Experiments and causal questions on your own data."
    " Exit codes: 0 fine, 1 the answer is a failure, 2 wrong input.",
)
for command in (
    demo,
    up,
    status,
    migrate,
    key,
    plan,
    refresh,
    analyze,
    design,
    assign,
    simulate,
    replay,
    erase,
    reproduce,
    bench,
    schema,
):
    app.command()(command)


def run() -> None:
    """Entry point: mistakes of the caller end in one line on stderr and exit code 2, never in a stack trace."""
    # A loaded graph is a million objects that stay. As it comes, the collector walks them over and over, and once more
    # when the interpreter ends: some four seconds a command.
    gc.set_threshold(20_000, 10, 10)
    atexit.register(gc.freeze)
    try:
        app()
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        print(f"causeway: {line}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    run()

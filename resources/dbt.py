"""dbt in this process: one parse for many partitions, where a subprocess would pay for start and parse each time."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from resources.settings import Settings

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
SOURCES = PROJECT / "models" / "sources.yml"
_INPUTS = ("*.sql", "*.yml")
_CONNECTION = ("CAUSEWAY_DBT_HOST", "CAUSEWAY_DBT_PORT", "CAUSEWAY_DBT_DATABASE", "CAUSEWAY_DBT_PASSWORD")


@dataclass(frozen=True)
class NodeOutcome:
    """What became of one model or test: ``status`` is dbt's own word (success, pass, fail, warn, error, skipped)."""

    unique_id: str
    status: str
    seconds: float
    failures: int | None
    message: str | None

    @property
    def is_test(self) -> bool:
        return self.unique_id.startswith("test.")


class DbtFailure(RuntimeError):
    """dbt could not make a model; the message carries dbt's words for each one."""


def manifest() -> Mapping[str, Any]:
    """The parsed project, parsed again when a file of it is newer than the last parse."""
    if not MANIFEST.exists() or MANIFEST.stat().st_mtime < _newest_input():
        with _default_connection():
            _invoke(["parse"], None)
    return _read_manifest(MANIFEST.stat().st_mtime)


def _newest_input() -> float:
    return max(
        path.stat().st_mtime for pattern in _INPUTS for path in PROJECT.rglob(pattern) if "target" not in path.parts
    )


@lru_cache(maxsize=1)
def _read_manifest(_modified: float) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(MANIFEST.read_text())
    return parsed


@lru_cache(maxsize=1)
def _parsed(_newest: float) -> Any:
    """dbt's own form of the manifest, to be copied: compiling leaves its traces.

    dbt parses only what has changed since somebody last parsed the project, which it knows only of the same connection
    and the same variables: so it is parsed for the default ones, and a copy is told where it lies.
    """
    with _default_connection():
        return _invoke(["parse", "--partial-parse", "--no-write-json"], None)


@lru_cache(maxsize=1)
def _fixed_sources(_newest: float) -> frozenset[str]:
    """Names of the sources that lie in the same schema whatever the prefix."""
    declared = yaml.safe_load(SOURCES.read_text())["sources"]
    return frozenset(source["name"] for source in declared if "schema_prefix" not in source["schema"])


def _at(database: str, schema_prefix: str) -> Any:
    """A copy of the parsed project whose relations lie in this database, in schemas with this prefix."""
    newest = _newest_input()
    parsed, fixed = _parsed(newest).deepcopy(), _fixed_sources(newest)
    for node in (*parsed.nodes.values(), *parsed.sources.values()):
        is_fixed = getattr(node, "source_name", None) in fixed
        schema = node.schema if is_fixed else schema_prefix + node.schema
        if node.relation_name is not None:
            here, there = (
                f'"{names[0]}"."{names[1]}".' for names in ((node.database, node.schema), (database, schema))
            )
            node.relation_name = node.relation_name.replace(here, there, 1)
        node.database, node.schema = database, schema
    return parsed


@contextmanager
def _default_connection() -> Iterator[None]:
    """Settings as in profiles.yml, whatever the environment says."""
    before = {name: os.environ.pop(name, None) for name in _CONNECTION}
    try:
        yield
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _invoke(arguments: Sequence[str], parsed: Any) -> Any:
    from dbt.cli.main import dbtRunner
    from dbt_common.behavior_flags import BehaviorFlagRendered

    # dbt looks for the module that made each flag by reading the source of every frame on the stack, in a house this
    # size two seconds a run, to name it in a warning that we do not print.
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt")
    result = dbtRunner(manifest=parsed).invoke(
        [
            *arguments,
            "--project-dir", str(PROJECT),
            "--profiles-dir", str(PROJECT),
            "--log-level", "none",
            "--log-level-file", "none",
            "--no-use-colors",
            "--quiet",
        ]
    )  # fmt: skip
    if result.exception is not None:
        raise DbtFailure(" ".join(str(result.exception).split()))
    return result.result


class DbtResource(dg.ConfigurableResource):
    """Builds models of this project's ``dbt_project`` in the data database, as causeway_pipeline.

    ``schema_prefix`` moves every stage into scratch schemas, as in ``PostgresResource``; ``tenant`` leaves out all
    others.
    """

    schema_prefix: str = ""
    tenant: str = ""

    def build(
        self,
        models: Sequence[str],
        *,
        known_at: str,
        partition: str | Sequence[str] = "",
        tests: bool = True,
        changed_since: Mapping[str, str] | None = None,
        made_from: str | Mapping[str, str] = "",
    ) -> Sequence[NodeOutcome]:
        """Run ``models`` (stage.name) and their tests for one partition, or for several in the same statements.

        ``changed_since`` has the models that hold what arrived up to some moment already; the others are made anew.
        ``made_from`` is the hash of code and declarations that is kept with how far they were made; of several
        partitions, the hash of each. DbtFailure when a model could not be made.
        """
        self._set_profile()
        variables = {
            "schema_prefix": self.schema_prefix,
            "known_at": known_at,
            "partition": partition if isinstance(partition, str) else list(partition),
            "tenant": self.tenant,
            "changed_since": dict(changed_since or {}),
            "made_from": made_from if isinstance(made_from, str) else dict(made_from),
        }
        parsed = _at(os.environ["CAUSEWAY_DBT_DATABASE"], self.schema_prefix)
        selected = ["--select", *models, "--vars", json.dumps(variables), "--no-write-json"]
        result = _invoke(
            ["build", *selected, "--exclude-resource-type", "unit_test"] if tests else ["run", *selected], parsed
        )
        outcomes = [
            NodeOutcome(
                unique_id=node.node.unique_id,
                status=str(node.status),
                seconds=float(node.execution_time),
                failures=node.failures,
                message=node.message,
            )
            for node in result.results
        ]
        broken = [outcome for outcome in outcomes if not outcome.is_test and outcome.status != "success"]
        if any(outcome.status == "error" for outcome in broken):
            raise DbtFailure("; ".join(f"{each.unique_id}: {each.message}" for each in broken if each.message))
        return outcomes

    def _set_profile(self) -> None:
        address = Settings.from_environment().address("causeway_pipeline")
        os.environ["CAUSEWAY_DBT_HOST"] = address.host
        os.environ["CAUSEWAY_DBT_PORT"] = str(address.port)
        os.environ["CAUSEWAY_DBT_DATABASE"] = address.database
        os.environ["CAUSEWAY_DBT_PASSWORD"] = address.password or ""

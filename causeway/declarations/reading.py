"""Reading a declaration: YAML in, a frozen model out, or an error that names every line at fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from causeway.declarations.declaration import DeclaredAt
from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.explanation import problems_of
from causeway.declarations.feature import FeatureDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.metric import MetricDeclaration
from causeway.declarations.problem import DeclarationError, Problem, shown
from causeway.declarations.saved_group import SavedGroupDeclaration
from causeway.declarations.source import SourceDeclaration
from causeway.declarations.study import StudyDeclaration
from causeway.declarations.suggestion import did_you_mean
from causeway.declarations.yaml_values import YamlValues, read_yaml

AnyDeclaration = (
    ExperimentDeclaration
    | StudyDeclaration
    | KpiDeclaration
    | MetricDeclaration
    | FeatureDeclaration
    | SourceDeclaration
    | FlagDeclaration
    | LayerDeclaration
    | SavedGroupDeclaration
    | EventTypeDeclaration
)

_Discriminated = Annotated[AnyDeclaration, Field(discriminator="kind")]

MODELS: dict[str, type[AnyDeclaration]] = {
    "experiment": ExperimentDeclaration,
    "study": StudyDeclaration,
    "kpi": KpiDeclaration,
    "metric": MetricDeclaration,
    "feature": FeatureDeclaration,
    "source": SourceDeclaration,
    "flag": FlagDeclaration,
    "layer": LayerDeclaration,
    "saved_group": SavedGroupDeclaration,
    "event_type": EventTypeDeclaration,
}

_ADAPTER: TypeAdapter[AnyDeclaration] = TypeAdapter(_Discriminated)


def read_declaration(text: str, name: str) -> AnyDeclaration:
    """Read one declaration from YAML text; `name` is what error messages call the file.

    Raises DeclarationError, and nothing else, with every problem of the text.
    """
    found = read_yaml(text)
    model = _model_of(found, name)
    try:
        declaration = model.model_validate(found.root)
    except ValidationError as error:
        raise DeclarationError(name, [*found.problems, *problems_of(error, model, found)]) from None
    if found.problems:
        raise DeclarationError(name, found.problems)
    lines = {path: at.line for path, at in found.values.items()} | {path: at.line for path, at in found.keys.items()}
    declaration.written_in(DeclaredAt(name, lines))
    return declaration


def declaration_from_document(document: Mapping[str, Any]) -> AnyDeclaration:
    """A declaration from JSON values, such as `document()` or the canonical JSON holds. Raises pydantic's
    ValidationError.
    """
    return _ADAPTER.validate_python(dict(document))


def json_schema() -> dict[str, Any]:
    """JSON Schema of every kind of declaration, told apart by ``kind``, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Causeway declaration",
        **_ADAPTER.json_schema(),
    }


def _model_of(found: YamlValues, name: str) -> type[AnyDeclaration]:
    root = found.root
    if not isinstance(root, dict):
        if not found.problems:
            found.problems.append(
                Problem(
                    "",
                    found.position(()).line,
                    1,
                    "expected a mapping that starts with kind:, such as kind: experiment",
                )
            )
        raise DeclarationError(name, found.problems)
    kinds = ", ".join(MODELS)
    kind = root.get("kind")
    if isinstance(kind, str) and kind in MODELS:
        return MODELS[kind]
    if "kind" in root:
        at = found.position(("kind",))
        guess = did_you_mean(kind, MODELS) if isinstance(kind, str) else ""
        sentence = f"{shown(kind)} is not a kind of declaration; expected one of {kinds}{guess}"
        problem = Problem("kind", at.line, at.column, sentence)
    else:
        at = found.position(())
        problem = Problem("", at.line, at.column, f"missing key 'kind'; expected one of {kinds}")
    raise DeclarationError(name, [*found.problems, problem])

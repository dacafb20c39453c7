"""The plan of analysis: what it must say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration


def read(**more: Any) -> ExperimentDeclaration:
    body = {
        "kind": "experiment",
        "key": "e",
        "unit": "customer",
        "control": "off",
        "variants": {"off": 1, "low": 1, "high": 1},
        "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
    }
    found = read_declaration(yaml.safe_dump(body | more, sort_keys=False), "e.yaml")
    assert isinstance(found, ExperimentDeclaration)
    return found


def test_without_a_plan_any_look_is_allowed_for_and_the_family_is_corrected() -> None:
    plan = read().analysis
    assert (plan.sequential.method, plan.correction, plan.prior, plan.contrasts) == ("always_valid", "holm", None, {})


def test_a_plan_that_says_nothing_new_changes_no_hash() -> None:
    assert read(analysis={"correction": "holm"}).declaration_hash == read().declaration_hash


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        ({"sequential": {"method": "group_sequential"}}, "group_sequential needs planned_units and looks"),
        ({"sequential": {"method": "group_sequential", "looks": 5}}, "group_sequential needs planned_units"),
        ({"sequential": {"looks": 5}}, "analysis.sequential.looks: always_valid takes any number of looks"),
        ({"correction": "hom"}, "'hom' is not a correction; expected one of holm"),
        ({"prior": {"mean": 0.1}}, "missing key 'sd'"),
        ({"contrasts": {"dose": {"high": 1, "lo": -1}}}, "analysis.contrasts.dose.lo: 'lo' is not a variant"),
        ({"contrasts": {"dose": {"high": 1, "low": -0.5}}}, "the coefficients add up to 0.5, not to zero"),
        ({"contrasts": {"dose": {"high": 0}}}, "analysis.contrasts.dose: all coefficients are zero"),
    ],
)
def test_what_a_plan_lacks_is_named(analysis: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        read(analysis=analysis)
    assert said in str(raised.value)


def test_three_tenths_are_a_contrast() -> None:
    assert read(analysis={"contrasts": {"mean": {"high": 0.1, "low": 0.2, "off": -0.3}}}).analysis.contrasts


@pytest.mark.parametrize(
    ("cluster", "said"), [("amount", "'amount' is what metric 'bought' measures"), ("arm", "'arm' is the column")]
)
def test_a_cluster_is_a_column_of_its_own(cluster: str, said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        read(
            metrics=[{"key": "bought", "type": "sum", "column": "amount"}],
            cluster=cluster,
            source={"file": "t.csv", "variant": "arm"},
        )
    assert said in str(raised.value)


def test_clusters_that_are_randomised_are_those_of_the_analysis() -> None:
    assert read(randomization={"by": "cluster", "attribute": "school"}).cluster_column == "school"
    assert read(randomization={"by": "cluster", "attribute": "school"}, cluster="district").cluster_column == "district"
    assert read().cluster_column is None

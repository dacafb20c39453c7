"""The declaration that a partition was made from."""

import json
from functools import lru_cache

from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.metric import MetricDeclaration
from causeway.declarations.study import StudyDeclaration
from resources.postgres import PostgresResource


def experiment(postgres: PostgresResource, partition_key: str) -> ExperimentDeclaration:
    """The experiment in force, with the definitions of the declared metrics that it uses.

    LookupError when nothing is declared under that key, or a metric that it uses is not declared.
    """
    found = _experiment(_document(postgres, "experiments", partition_key))
    used = [metric.metric for metric in found.metrics if metric.metric is not None]
    return found.with_metrics({key: _metric(postgres, f"{found.tenant}|{key}") for key in used})


@lru_cache(maxsize=1024)
def _experiment(document: str) -> ExperimentDeclaration:
    """By what it says: twenty assets of one partition read the same."""
    return ExperimentDeclaration.model_validate(json.loads(document))


def _metric(postgres: PostgresResource, partition_key: str) -> MetricDeclaration:
    return MetricDeclaration.model_validate(json.loads(_document(postgres, "metrics", partition_key)))


def study(postgres: PostgresResource, partition_key: str) -> StudyDeclaration:
    """The study in force; LookupError when nothing is declared under that key."""
    return StudyDeclaration.model_validate(json.loads(_document(postgres, "studies", partition_key)))


def kpi(postgres: PostgresResource, partition_key: str) -> KpiDeclaration:
    """The KPI in force; LookupError when nothing is declared under that key."""
    return KpiDeclaration.model_validate(json.loads(_document(postgres, "kpis", partition_key)))


def _document(postgres: PostgresResource, table: str, partition_key: str) -> str:
    client = postgres.client()
    row = client.fetch_one(
        f"SELECT declaration::text FROM {client.table('registry.' + table)} WHERE tenant_id = %s AND key = %s",
        split(partition_key),
    )
    if row is None:
        raise LookupError(f"nothing is declared in registry.{table} under {partition_key}")
    return str(row[0])

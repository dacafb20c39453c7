"""The declaration that a partition was made from."""

from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.study import StudyDeclaration
from resources.postgres import PostgresResource


def experiment(postgres: PostgresResource, partition_key: str) -> ExperimentDeclaration:
    """The experiment in force; LookupError when nothing is declared under that key."""
    return ExperimentDeclaration.model_validate(_document(postgres, "experiments", partition_key))


def study(postgres: PostgresResource, partition_key: str) -> StudyDeclaration:
    """The study in force; LookupError when nothing is declared under that key."""
    return StudyDeclaration.model_validate(_document(postgres, "studies", partition_key))


def _document(postgres: PostgresResource, table: str, partition_key: str) -> object:
    client = postgres.client()
    row = client.fetch_one(
        f"SELECT declaration FROM {client.table('registry.' + table)} WHERE tenant_id = %s AND key = %s",
        split(partition_key),
    )
    if row is None:
        raise LookupError(f"nothing is declared in registry.{table} under {partition_key}")
    return row[0]

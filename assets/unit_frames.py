"""Unit-level frames of one experiment: outcomes and covariates, one row a unit, always in the order of unit_id."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from assets.partitions import split
from causeway.declarations.metric import NOT_MEANS
from resources.postgres import PostgresResource


def outcomes(postgres: PostgresResource, partition_key: str) -> pl.DataFrame:
    """metric, unit_id, variant, value (null when missing) of the metrics that are means, by metric and unit."""
    client = postgres.client()
    return client.read(
        f"SELECT metric, unit_id, variant, value FROM {client.table('experiments.unit_metric_values')} AS of_units"
        f" INNER JOIN {client.table('experiments.metric_definitions')} AS defined"
        " USING (tenant_id, experiment, metric)"
        " WHERE tenant_id = %s AND experiment = %s AND NOT defined.type = ANY(%s)",
        (*split(partition_key), list(NOT_MEANS)),
    ).sort("metric", "unit_id")


def measured(postgres: PostgresResource, partition_key: str, variant: str) -> list[tuple[str, int]]:
    """Each metric that is a mean, with the number of this variant's units that have a value of it, by metric."""
    client = postgres.client()
    return [
        (str(metric), int(units))
        for metric, units in client.fetch_all(
            "SELECT metric, count(*) FILTER (WHERE variant = %s AND value IS NOT NULL)"
            f" FROM {client.table('experiments.unit_metric_values')} AS of_units"
            f" INNER JOIN {client.table('experiments.metric_definitions')} AS defined"
            " USING (tenant_id, experiment, metric)"
            " WHERE tenant_id = %s AND experiment = %s AND NOT defined.type = ANY(%s) GROUP BY metric ORDER BY metric",
            (variant, *split(partition_key), list(NOT_MEANS)),
        )
    ]


@dataclass(frozen=True)
class Profiles:
    """What was known of every unit before it was exposed; ``long`` has a row a unit and covariate."""

    long: pl.DataFrame

    def covariates(self, names: Sequence[str]) -> pl.DataFrame:
        """unit_id and one column per name: a number where every value of it is one, else text; null when missing."""
        wide = self.long.select("unit_id").unique(maintain_order=True)
        for name in names:
            column = self.long.filter(pl.col("covariate") == name)
            numeric = column["value_number"].null_count() == column["value_text"].null_count()
            value = pl.col("value_number") if numeric else pl.col("value_text")
            wide = wide.join(
                column.select("unit_id", value.alias(name)), on="unit_id", how="left", maintain_order="left"
            )
        return wide

    def levels(self, segment: str) -> pl.DataFrame:
        """unit_id and the level of one segment, as it was written; null when missing."""
        return self.long.filter(pl.col("covariate") == segment).select("unit_id", level="value_text")


def profiles(
    postgres: PostgresResource,
    partition_key: str,
    names: Sequence[str],
    *,
    table: str = "features.unit_covariates",
) -> Profiles:
    """Covariates and segments called ``names``, in one query."""
    client = postgres.client()
    long = client.read(
        f"SELECT unit_id, covariate, value_text, value_number FROM {client.table(table)}"
        " WHERE tenant_id = %s AND experiment = %s AND covariate = ANY(%s)",
        (*split(partition_key), list(names)),
    )
    return Profiles(long.sort("unit_id"))

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.pictures import picture
from assets.publication import publish
from causeway.plots.calibration import calibration_plot
from causeway.twins.calibration_bins import calibration_bins
from causeway.twins.interval import prediction_interval
from resources.postgres import PostgresResource


@dg.asset(
    key=["twins", "prognostic_scores"],
    deps=[["models", "prognostic_predictions"], ["experiments", "unit_metric_values"], ["registry", "experiments"]],
    partitions_def=partitions.experiments,
    group_name="twins",
    kinds={"python", "postgres"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "A digital twin per unit: what it would do under control, with a 90 % prediction interval that is calibrated on"
        " control units. One row per tenant, experiment, metric and unit."
    ),
)
def prognostic_scores(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    control = declared.experiment(postgres, context.partition_key).control
    client = postgres.client()
    with client.transaction(read_only=True) as transaction:
        transaction.join_in_bulk()
        twins = transaction.read(
            "SELECT predictions.metric, predictions.unit_id, predictions.predicted, outcomes.variant, outcomes.value"
            f" FROM {client.table('models.prognostic_predictions')} AS predictions"
            f" LEFT JOIN {client.table('experiments.unit_metric_values')} AS outcomes"
            " USING (tenant_id, experiment, metric, unit_id)"
            " WHERE predictions.tenant_id = %s AND predictions.experiment = %s",
            partitions.split(context.partition_key),
        ).sort("metric", "unit_id")
    frames, pictures = [], {}
    for (metric,), frame in twins.group_by("metric", maintain_order=True):
        controls = frame.filter((pl.col("variant") == control) & pl.col("value").is_not_null())
        low, high = prediction_interval(controls["value"].to_numpy(), controls["predicted"].to_numpy(), coverage=0.9)
        frames.append(
            frame.select(
                "metric",
                "unit_id",
                score=pl.col("predicted"),
                score_low=pl.col("predicted") + low,
                score_high=pl.col("predicted") + high,
            )
        )
        pictures[f"calibration of {metric}"] = picture(
            calibration_plot(
                calibration_bins(controls["predicted"].to_numpy(), controls["value"].to_numpy()),
                title=f"Twins of {context.partition_key}: {metric}",
                unit=str(metric),
            )
        )
    empty = pl.DataFrame(schema={"metric": pl.String, "unit_id": pl.String}).with_columns(
        pl.lit(None, dtype=pl.Float64).alias(name) for name in ("score", "score_low", "score_high")
    )
    return publish(context, postgres, pl.concat([empty, *frames]), unit="experiment", metadata=pictures)

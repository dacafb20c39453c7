from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import numpy as np
import polars as pl

from assets import declared, partitions, unit_frames
from assets.columns import json_text
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.twins.covariates import DesignMatrix, design_matrix
from causeway.twins.prognostic import PrognosticFit, fit_prognostic
from resources.mlflow import MlflowResource
from resources.postgres import PostgresResource

SEED = 20_240_101
MODELS = dg.AssetKey(["models", "prognostic_models"])
PREDICTIONS = dg.AssetKey(["models", "prognostic_predictions"])
_SHARED = {
    "group_name": "models",
    "kinds": {"python", "scikitlearn", "mlflow"},
    "owners": ["team:data-science"],
    "tags": {"causeway/partitions": "experiments"},
    "code_version": "1",
    "skippable": True,
    "deps": [
        ["experiments", "unit_metric_values"],
        ["experiments", "metric_definitions"],
        ["features", "unit_covariates"],
        ["experiments", "health"],
        ["features", "health"],
        ["registry", "experiments"],
    ],
}


@dataclass(frozen=True)
class _Trained:
    metric: str
    unit_ids: pl.Series
    matrix: DesignMatrix
    fit: PrognosticFit


@dg.multi_asset(
    name="prognostic_models",
    specs=[
        dg.AssetSpec(
            MODELS,
            description=(
                "What an outcome would be under control, learned from control units' covariates; the learner is chosen"
                " by out-of-fold loss and logged to MLflow. One row per tenant, experiment and metric."
            ),
            **_SHARED,
        ),
        dg.AssetSpec(
            PREDICTIONS,
            description=(
                "Each unit's prediction by a model that saw neither its own outcome nor its fold. One row per tenant,"
                " experiment, metric and unit."
            ),
            **_SHARED,
        ),
    ],
    partitions_def=partitions.experiments,
    can_subset=True,
)
def prognostic_models(
    context: dg.AssetExecutionContext, postgres: PostgresResource, mlflow: MlflowResource
) -> Iterator[dg.MaterializeResult]:
    experiment = declared.experiment(postgres, context.partition_key)
    if experiment.covariates:
        trained = []
        for each in _learned(postgres, context.partition_key, experiment):
            trained.append(each)
            fit = each.fit
            context.log.info(f"{each.metric}: {fit.status}, {fit.learner}, out-of-fold R squared {fit.r_squared}")
    else:
        trained = list(_nothing_learned(postgres, context.partition_key, experiment))

    logged = mlflow.log_models(
        context.partition_key,
        {each.metric: each.fit.model for each in trained if each.fit.model is not None},
        metrics={f"{each.metric}.r_squared": each.fit.r_squared for each in trained if each.fit.r_squared is not None},
        parameters={"seed": SEED, "covariates": ", ".join(experiment.covariates)},
    )
    frames = {MODELS: _models(trained, logged), PREDICTIONS: _predictions(trained)}
    metadata = {"r_squared": dg.MetadataValue.json({each.metric: each.fit.r_squared for each in trained})}
    for key in sorted(context.selected_asset_keys):
        yield publish(context, postgres, frames[key], key=key, unit="experiment", seed=SEED, metadata=metadata)


def _learned(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> Iterator[_Trained]:
    outcomes = unit_frames.outcomes(postgres, partition_key)
    profiles = unit_frames.profiles(postgres, partition_key, experiment.covariates)
    covariates = profiles.covariates(experiment.covariates)
    for (metric,), frame in outcomes.group_by("metric", maintain_order=True):
        joined = frame.join(covariates, on="unit_id", how="left", maintain_order="left")
        matrix = design_matrix(joined, experiment.covariates)
        fit = fit_prognostic(
            matrix.values,
            joined["value"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
            (joined["variant"] == experiment.control).to_numpy(),
            joined["unit_id"].to_numpy(),
            seed=SEED,
            feature_names=matrix.columns,
        )
        yield _Trained(str(metric), joined["unit_id"], matrix, fit)


def _nothing_learned(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> Iterator[_Trained]:
    """Without covariates there is nothing to learn from, and no unit needs to be read to know it."""
    nobody = pl.DataFrame(schema={"unit_id": pl.String})
    for metric, controls in unit_frames.measured(postgres, partition_key, experiment.control):
        fit = PrognosticFit("no_covariates", controls)
        yield _Trained(metric, nobody["unit_id"], design_matrix(nobody, ()), fit)


def _models(trained: list[_Trained], logged: dict[str, tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "metric": each.metric,
                "learner": each.fit.learner or each.fit.status,
                "r_squared": each.fit.r_squared,
                "n_train": each.fit.n_train,
                "features": json_text({"encodings": each.matrix.as_record(), "importances": each.fit.importances}),
                "mlflow_run_id": logged.get(each.metric, (None, None))[0],
                "model_uri": logged.get(each.metric, (None, None))[1],
                "seed": SEED,
            }
            for each in trained
        ],
        schema={
            "metric": pl.String, "learner": pl.String, "r_squared": pl.Float64, "n_train": pl.Int64,
            "features": pl.String, "mlflow_run_id": pl.String, "model_uri": pl.String, "seed": pl.Int64,
        },
    )  # fmt: skip


def _predictions(trained: list[_Trained]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"metric": pl.String, "unit_id": pl.String, "predicted": pl.Float64})
    return pl.concat(
        [empty]
        + [
            pl.DataFrame({"unit_id": each.unit_ids, "predicted": each.fit.scores}).select(
                pl.lit(each.metric).alias("metric"), "unit_id", "predicted"
            )
            for each in trained
            if each.fit.scores is not None
        ]
    )

"""Where trained models are kept: MLflow's tracking store in a database of the same server, artifacts beside it."""

import logging
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from resources.settings import Settings


class MlflowResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Logs the models of one partition as one MLflow run."""

    enabled: bool = Field(
        default=True,
        description="Off where a number is made again: what was logged then is the record, not a second log.",
    )

    def log_models(
        self,
        name: str,
        models: Mapping[str, Any],
        *,
        metrics: Mapping[str, float],
        parameters: Mapping[str, Any],
    ) -> dict[str, tuple[str, str]]:
        """Log every model under the name given and return (run id, model URI) by that name; empty when not enabled."""
        if not self.enabled or not models:
            return {}
        client = connect(Settings.from_environment())
        client.set_experiment("causeway")
        with client.start_run(run_name=name) as run:
            client.set_tag("causeway.partition", name)
            client.log_params(dict(parameters))
            client.log_metrics({_legal(key): value for key, value in metrics.items()})
            logged = {
                key: client.sklearn.log_model(
                    model, name=_legal(key), pip_requirements=["scikit-learn"], serialization_format="cloudpickle"
                )
                for key, model in models.items()
            }
        return {key: (run.info.run_id, info.model_uri) for key, info in logged.items()}


def connect(settings: Settings) -> Any:
    """The mlflow module, pointed at this project's store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DEFAULT_ARTIFACT_ROOT", str(settings.home / "mlflow"))
    # Every model logged would repeat what the log of the partition says already.
    for noisy in ("mlflow", "mlflow.sklearn", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    import mlflow

    mlflow.set_tracking_uri(settings.url("causeway_pipeline", "mlflow"))
    if mlflow.get_experiment_by_name("causeway") is None:
        mlflow.create_experiment("causeway", artifact_location=(settings.home / "mlflow").as_uri())
    return mlflow


def _legal(name: str) -> str:
    """Metric and model names may not hold every character that a key may."""
    return "".join(character if character.isalnum() or character in "_-. " else "_" for character in name)

"""What there is: assets, jobs, schedules, sensors, and what they are made with."""

import dagster as dg

import assets
from jobs import MANY, ROAD, find_interactions
from jobs.retention import daily_retention, retention
from jobs.schedules import daily_landing, nightly_interactions
from resources.dbt import DbtResource
from resources.mlflow import MlflowResource
from resources.postgres import PostgresResource
from sensors import SENSORS

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(assets, include_specs=True),
    jobs=[*ROAD, *MANY.values(), find_interactions, retention],
    schedules=[daily_landing, daily_retention, nightly_interactions],
    sensors=SENSORS,
    resources={"postgres": PostgresResource(), "dbt": DbtResource(), "mlflow": MlflowResource()},
    # A partition is small and its assets share what they import: a process a step would cost more than it gives.
    executor=dg.in_process_executor,
)

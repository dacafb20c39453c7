from assets.dbt_models import stage_models

events_models = stage_models("events")

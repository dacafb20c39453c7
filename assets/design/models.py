from assets.dbt_models import stage_models
from assets.partitions import experiments

design_models = stage_models("design", unit="experiment", partitions_def=experiments)

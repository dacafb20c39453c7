from assets.dbt_models import stage_models
from assets.partitions import experiments

experiments_models = stage_models("experiments", unit="experiment", partitions_def=experiments)

from assets.dbt_models import stage_models
from assets.partitions import experiments, studies

experiment_serving = stage_models("serving", unit="experiment", partitions_def=experiments)
study_serving = stage_models("serving", unit="study", partitions_def=studies)

from assets.dbt_models import stage_models
from assets.partitions import experiments, studies

unit_features = stage_models("features", unit="experiment", partitions_def=experiments)
study_features = stage_models("features", unit="study", partitions_def=studies)

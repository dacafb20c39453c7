from assets.dbt_models import stage_models
from assets.partitions import TENANT, experiments, studies, tenants

experiment_serving = stage_models("serving", unit="experiment", partitions_def=experiments)
study_serving = stage_models("serving", unit="study", partitions_def=studies)
tenant_serving = stage_models("serving", unit=TENANT, partitions_def=tenants)

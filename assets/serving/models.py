from assets.dbt_models import stage_models
from assets.partitions import TENANT, experiments, kpis, studies, tenants

experiment_serving = stage_models("serving", unit="experiment", partitions_def=experiments)
study_serving = stage_models("serving", unit="study", partitions_def=studies)
kpi_serving = stage_models("serving", unit="kpi", partitions_def=kpis)
tenant_serving = stage_models("serving", unit=TENANT, partitions_def=tenants)

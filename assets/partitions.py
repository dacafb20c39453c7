"""The dynamic partitions of the road. A partition key is ``tenant|key``; that of a whole tenant is its name."""

import dagster as dg

experiments = dg.DynamicPartitionsDefinition(name="experiments")
kpis = dg.DynamicPartitionsDefinition(name="kpis")
studies = dg.DynamicPartitionsDefinition(name="studies")
sources = dg.DynamicPartitionsDefinition(name="sources")
flags = dg.DynamicPartitionsDefinition(name="flags")
layers = dg.DynamicPartitionsDefinition(name="layers")
metrics = dg.DynamicPartitionsDefinition(name="metrics")
saved_groups = dg.DynamicPartitionsDefinition(name="saved_groups")
event_types = dg.DynamicPartitionsDefinition(name="event_types")
tenants = dg.DynamicPartitionsDefinition(name="tenants")

TENANT = "tenant"
"""The unit of partitions that are a whole tenant."""
UNITS = {experiments.name: "experiment", studies.name: "study", kpis.name: "kpi", tenants.name: TENANT}
"""By partitions, the column that the second part of a key names, or tenant."""


def split(partition_key: str) -> tuple[str, str]:
    """Tenant and key of ``tenant|key``."""
    tenant, _, key = partition_key.partition("|")
    return tenant, key


def keys_of(partition_key: str, unit: str) -> dict[str, str]:
    """The columns that name the rows of a partition. ``unit``: what the key names, experiment, study or tenant."""
    tenant, key = split(partition_key)
    return {"tenant_id": tenant} if unit == TENANT else {"tenant_id": tenant, unit: key}

"""The dynamic partitions of the road. A partition key is ``tenant|key``."""

import dagster as dg

experiments = dg.DynamicPartitionsDefinition(name="experiments")
studies = dg.DynamicPartitionsDefinition(name="studies")
sources = dg.DynamicPartitionsDefinition(name="sources")
flags = dg.DynamicPartitionsDefinition(name="flags")
layers = dg.DynamicPartitionsDefinition(name="layers")
metrics = dg.DynamicPartitionsDefinition(name="metrics")
saved_groups = dg.DynamicPartitionsDefinition(name="saved_groups")
event_types = dg.DynamicPartitionsDefinition(name="event_types")


def split(partition_key: str) -> tuple[str, str]:
    """Tenant and key of ``tenant|key``."""
    tenant, _, key = partition_key.partition("|")
    return tenant, key

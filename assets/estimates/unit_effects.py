import dagster as dg

from assets import partitions

# A stand-in for the asset that writes this table.
unit_effects = dg.AssetSpec(
    ["estimates", "unit_effects"],
    group_name="estimates",
    partitions_def=partitions.studies,
    description="Effects of studies on single units. One row per tenant, study and unit.",
    tags={"causeway/partitions": "studies"},
)

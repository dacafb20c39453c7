import dagster as dg

replays = dg.AssetSpec(
    key=["raw", "replays"],
    deps=[["raw", "quarantine"]],
    group_name="raw",
    description="What became of refused records that were sent again. One row per replay of a record.",
)

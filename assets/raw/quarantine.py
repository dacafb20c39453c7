import dagster as dg

quarantine = dg.AssetSpec(
    key=["raw", "quarantine"],
    deps=[["raw", "landings"]],
    group_name="raw",
    description="What was refused and why, as received. One row per refused record.",
)

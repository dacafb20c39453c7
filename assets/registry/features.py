import dagster as dg

features = dg.AssetSpec(
    key=["registry", "features"],
    group_name="registry",
    description=(
        "The declared features in force; a change of one is a change of every experiment that names it, and is seen"
        " there. One row per tenant and feature."
    ),
)

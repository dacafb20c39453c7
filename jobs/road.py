"""The jobs of the road, in the order in which work flows through them. Each is one partition of one kind of thing."""

import dagster as dg

from assets import partitions

# A plan is made and published in one job of its own, for drafts alone: what was planned stays once they run.
_PLANS = ["serving", "experiment_plans"]
_ANALYSIS = ("experiments", "features", "models", "twins", "estimates", "decisions")


def _of(groups: tuple[str, ...], partitions_def: dg.PartitionsDefinition) -> dg.AssetSelection:
    return dg.AssetSelection.groups(*groups) & dg.AssetSelection.tag("causeway/partitions", partitions_def.name)


# A closed gate fails its step, and a failed step skips what lies downstream in the same run. Publishing is a job of its
# own so that a closed gate is published too, as withheld.
land = dg.define_asset_job(
    "land",
    selection=_of(("raw",), partitions.sources),
    description="Land one file, data set or simulated world.",
)
conform = dg.define_asset_job(
    "conform",
    selection=dg.AssetSelection.groups("events"),
    description="Type and de-duplicate what has been landed.",
)
analyse_experiment = dg.define_asset_job(
    "analyse_experiment",
    selection=_of(_ANALYSIS, partitions.experiments),
    description="One experiment, from its first exposures to its decision record.",
)
analyse_study = dg.define_asset_job(
    "analyse_study",
    selection=_of(_ANALYSIS, partitions.studies),
    description="One observational study, from its columns to its refuted estimate.",
)
design_experiment = dg.define_asset_job(
    "design_experiment",
    selection=_of(("design",), partitions.experiments)
    | dg.AssetSelection.assets(["experiments", "metric_definitions"], _PLANS),
    description="One draft: from the tenant's history to power, sample size, duration and true error rates.",
)
publish_experiment = dg.define_asset_job(
    "publish_experiment",
    selection=_of(("serving",), partitions.experiments) - dg.AssetSelection.assets(_PLANS),
    description="Put one experiment's results, or why there are none, where the API reads.",
)
analyse_kpi = dg.define_asset_job(
    "analyse_kpi",
    selection=_of(_ANALYSIS, partitions.kpis),
    description="One KPI, from the effects of its studies to gaps, ranks and an allocation.",
)
publish_kpi = dg.define_asset_job(
    "publish_kpi",
    selection=_of(("serving",), partitions.kpis),
    description="Put one KPI's gaps and allocation where the API reads.",
)
publish_study = dg.define_asset_job(
    "publish_study",
    selection=_of(("serving",), partitions.studies),
    description="Put one study's results where the API reads.",
)

# Beside the road: every pair of experiments is looked at once a night, not each time that one of them changes.
find_interactions = dg.define_asset_job(
    "find_interactions",
    selection=_of(("estimates", "serving"), partitions.tenants),
    description="All pairs of one tenant's experiments: do they disturb each other?",
)

ROAD = (
    land,
    conform,
    design_experiment,
    analyse_experiment,
    analyse_study,
    publish_experiment,
    publish_study,
    analyse_kpi,
    publish_kpi,
)
GATED = frozenset({analyse_experiment.name, analyse_study.name})
OF_EXPERIMENTS = frozenset({analyse_experiment.name, publish_experiment.name})
OF_PLANS = frozenset({design_experiment.name})

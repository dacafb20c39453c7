"""What an asset's function is told of the partition that it makes, where one run makes many of them."""

from collections.abc import Set
from dataclasses import dataclass, field
from logging import Logger

import dagster as dg


@dataclass(frozen=True)
class OneOfMany:
    """As much of Dagster's context as the functions of assets read, of one partition."""

    partition_key: str
    run_id: str
    assets_def: dg.AssetsDefinition
    selected_asset_keys: Set[dg.AssetKey]
    selected_asset_check_keys: Set[dg.AssetCheckKey]
    log: Logger
    input_versions: dict[dg.AssetKey, str | None] = field(default_factory=dict)
    """Of each asset that this one is made from; those that are made with it are added as they are made."""

    has_partition_key: bool = True

    @property
    def asset_key(self) -> dg.AssetKey:
        """Of an asset that is made alone; ValueError where several are made together."""
        (key,) = self.assets_def.keys
        return key


Making = dg.AssetExecutionContext | OneOfMany
"""One partition, or the whole, of an asset while it is made."""

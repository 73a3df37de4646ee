"""The assets of `orders`: the shared chain, and nothing besides."""

import dagster as dg

from assets.chain import Chain
from assets.checks import chain_checks
from assets.links import chain_assets
from optiflow.pipelines.orders import ORDERS


def orders_definitions(partitions: dg.DynamicPartitionsDefinition) -> dg.Definitions:
    """Assets and checks of `orders`, partitioned by dataset."""
    chain = Chain(ORDERS, partitions)
    return dg.Definitions(assets=chain_assets(chain), asset_checks=chain_checks(chain))

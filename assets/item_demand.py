"""The assets of `item_demand`: the shared chain, and nothing besides."""

import dagster as dg

from assets.links import chain_definitions
from optiflow.pipelines.item_demand.pipeline import ITEM_DEMAND


def definitions(partitions: dg.DynamicPartitionsDefinition) -> dg.Definitions:
    """Assets and checks of `item_demand`, partitioned by dataset."""
    return chain_definitions(ITEM_DEMAND, partitions)

"""The assets of `orders`: the shared chain, and nothing besides."""

import dagster as dg

from assets.links import chain_definitions
from optiflow.pipelines.orders.pipeline import ORDERS


def definitions(partitions: dg.DynamicPartitionsDefinition) -> dg.Definitions:
    """Assets and checks of `orders`, partitioned by dataset."""
    return chain_definitions(ORDERS, partitions)

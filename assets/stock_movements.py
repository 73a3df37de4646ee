"""The assets of `stock_movements`: the shared chain, and nothing besides."""

import dagster as dg

from assets.links import chain_definitions
from optiflow.pipelines.stock_movements.pipeline import STOCK_MOVEMENTS


def definitions(partitions: dg.DynamicPartitionsDefinition) -> dg.Definitions:
    """Assets and checks of `stock_movements`, partitioned by dataset."""
    return chain_definitions(STOCK_MOVEMENTS, partitions)

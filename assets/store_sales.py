"""The assets of `store_sales`: the shared chain, and nothing besides."""

import dagster as dg

from assets.links import chain_definitions
from optiflow.pipelines.store_sales.pipeline import STORE_SALES


def definitions(partitions: dg.DynamicPartitionsDefinition) -> dg.Definitions:
    """Assets and checks of `store_sales`, partitioned by dataset."""
    return chain_definitions(STORE_SALES, partitions)

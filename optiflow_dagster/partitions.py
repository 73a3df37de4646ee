"""Partitions: one dynamic set of dataset ids a pipeline, one of FRED series, and one of sources."""

import dagster as dg

from assets.fred import SERIES_PARTITIONS
from assets.sources import SOURCE_PARTITIONS
from optiflow.pipelines import PIPELINES

DATASETS = {name: dg.DynamicPartitionsDefinition(name=f"optiflow_{name}") for name in PIPELINES}
"""Per pipeline; a partition key is a dataset id."""

SERIES = dg.DynamicPartitionsDefinition(name=SERIES_PARTITIONS)
"""A partition key is a FRED series id."""

SOURCES = dg.DynamicPartitionsDefinition(name=SOURCE_PARTITIONS)
"""A partition key is a source's name in `sources.yaml`."""

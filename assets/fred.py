"""`fred/observations`: every series that some dataset uses, one partition each, refreshed daily.

What belongs here: the asset. What does not: the protocol, the cache and what was known when (`resources.fred`).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import dagster as dg
import polars as pl

from assets.chain import ONE_RUN_A_DATASET, columns
from assets.code import digest_of
from assets.failures import plain_failures
from resources.fred import FredResource

KEY = dg.AssetKey(["fred", "observations"])
SERIES_PARTITIONS = "optiflow_fred_series"


def observations_asset(partitions: dg.DynamicPartitionsDefinition, owners: Sequence[str] = ()) -> dg.AssetsDefinition:
    """One FRED series with the day on which each figure was published."""

    @dg.asset(
        key=KEY,
        partitions_def=partitions,
        group_name="fred",
        owners=owners,
        backfill_policy=ONE_RUN_A_DATASET,
        code_version=digest_of("fred"),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2)),
        kinds={"fred", "parquet"},
        pool="fred",
        description="One FRED series: each observation, its value, and the day from which it could be known.",
        metadata=columns(
            {
                "series_id": ("String", "FRED's id of the series"),
                "observation_date": ("Date", "First day of the period that the figure is of"),
                "available_at": ("Date", "Day of the first publication (ALFRED), or the date plus a publication lag"),
                "value": ("Float64", "The figure; missing where FRED has none"),
                "vintage": ("String", "first_release, or latest where only today's figures are known"),
            }
        ),
    )
    @plain_failures
    def observations(context: dg.AssetExecutionContext, fred: FredResource) -> pl.DataFrame:
        table = fred.fetch(context.partition_key)
        info = fred.info(context.partition_key)
        context.add_output_metadata(
            {
                "title": info.title,
                "frequency": info.frequency,
                "units": info.units,
                "last": str(table["observation_date"].max()),
            }
        )
        return table

    return observations


def register_series(instance: dg.DagsterInstance, series: Iterable[str]) -> None:
    """Make series that a dataset uses for the first time known, so that they are refreshed daily from now on.

    `enriched` has just fetched them, so they are materialized, though no run of their own did it.
    """
    known = set(instance.get_dynamic_partitions(SERIES_PARTITIONS))
    new = [series_id for series_id in series if series_id not in known]
    if new:
        instance.add_dynamic_partitions(SERIES_PARTITIONS, new)
    for series_id in new:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=series_id))

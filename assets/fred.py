"""`fred/observations`: every series that some dataset uses, one partition each, refreshed daily.

Datasets use different series, which Dagster's mappings of partitions cannot say. So each pipeline has `<pipeline>/fred_series`
between the two: whose data version is of the figures that one dataset uses, so that new ones make that dataset's `enriched`
stale and no other's.

What belongs here: both assets. What does not: the protocol, the cache and what was known when (`resources.fred`).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import dagster as dg
import polars as pl

from assets.chain import ONE_RUN_A_DATASET, Chain, columns
from assets.code import digest_of
from assets.failures import plain_failures
from optiflow.options import DatasetOptions
from resources.catalog import Catalog
from resources.fred import FredResource

KEY = dg.AssetKey(["fred", "observations"])
SERIES_PARTITIONS = "optiflow_fred_series"
OF_DATASET = "fred_series"
POOL = "fred"
"""Whatever may fetch from FRED, which counts requests a minute."""

DATA_VERSION = "dagster/data_version"
DAILY = dg.AutomationCondition.on_cron("30 6 * * *")


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
        pool=POOL,
        automation_condition=DAILY,
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
    def observations(context: dg.AssetExecutionContext, fred: FredResource, catalog: Catalog) -> pl.DataFrame:
        series_id = context.partition_key
        before, table, version = _recorded(context.instance, series_id), fred.fetch(series_id), fred.version(series_id)
        if before not in (None, version):
            _tell_datasets(context.instance, series_id, fred, catalog)
        context.set_data_version(KEY, dg.DataVersion(version))
        info = fred.info(series_id)
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


def series_of_datasets(chain: Chain) -> dg.AssetSpec:
    """What stands between `fred/observations` and the pipeline's `enriched`."""
    return dg.AssetSpec(
        chain.key(OF_DATASET),
        deps=[dg.AssetDep(KEY, partition_mapping=dg.AllPartitionMapping())],
        partitions_def=chain.partitions,
        group_name=chain.pipeline.name,
        owners=list(chain.owners),
        tags=chain.tags,
        kinds={"fred"},
        description="The FRED series that a dataset uses. Its data version changes when one of them has new figures.",
    )


def series_in_use(key: dg.AssetKey, dataset: str, options: DatasetOptions, fred: FredResource) -> dg.AssetObservation:
    """That a dataset uses these series, and which of their figures we hold."""
    return dg.AssetObservation(
        key,
        partition=dataset,
        tags={DATA_VERSION: fred.version(*options.fred_series)},
        metadata={"fred_series": list(options.fred_series)},
    )


def register_series(instance: dg.DagsterInstance, series: Iterable[str], fred: FredResource) -> None:
    """Make series that a dataset uses for the first time known, so that they are refreshed daily from now on.

    `enriched` has just fetched them, so they are materialized, though no run of their own did it.
    """
    known = set(instance.get_dynamic_partitions(SERIES_PARTITIONS))
    new = [series_id for series_id in series if series_id not in known]
    if new:
        instance.add_dynamic_partitions(SERIES_PARTITIONS, new)
    for series_id in new:
        version = {DATA_VERSION: fred.version(series_id)}
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=series_id, tags=version))


def _recorded(instance: dg.DagsterInstance, series_id: str) -> str | None:
    """The version of the newest figures of a series that Dagster was told of."""
    wanted = dg.AssetRecordsFilter(KEY, asset_partitions=[series_id])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        if made := record.asset_materialization:
            return (made.tags or {}).get(DATA_VERSION)
    return None


def _tell_datasets(instance: dg.DagsterInstance, series_id: str, fred: FredResource, catalog: Catalog) -> None:
    """Before the figures count as materialized: a run that dies in between tells again when it is tried again."""
    # The first of a dataset is its revision in use.
    in_use = {(record.pipeline, record.dataset): record for record in reversed(catalog.open().datasets())}
    for record in in_use.values():
        if series_id in record.options.fred_series:
            key = dg.AssetKey([record.pipeline, OF_DATASET])
            instance.report_runless_asset_event(series_in_use(key, record.dataset, record.options, fred))

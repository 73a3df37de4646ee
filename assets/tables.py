"""The first part of the chain: upload, enriched, and the hold-out split.

What belongs here: assets that are tables made from uploads. What does not: anything that trains or predicts.
"""

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from assets.chain import ONE_RUN_A_DATASET, Chain, as_they_are, columns, lineage
from assets.code import ENRICHED, UPLOAD
from assets.failures import plain_failures
from assets.fred import KEY as OBSERVATIONS
from assets.fred import OF_DATASET, POOL, register_series, series_in_use
from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.days import first_and_last
from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich
from optiflow.fred.series import SERIES_SCHEMA
from optiflow.options import merge_options
from optiflow.split import ROW
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord, revision_of
from resources.fred import FredResource
from resources.lake import table_metadata
from resources.landed import read_landed
from resources.landing import ensure_unchanged, find_upload, read_options
from resources.revision import pin
from resources.storage import Storage

MERGED = "/merged-rows.json"
"""How many rows of the upload were added to others, beside the table, in which they cannot be seen any more; absent if none."""

NOTES = "/notes.json"
"""What was said of the file when it was read, beside the table, for the report; absent if nothing was."""

ROW_DESCRIPTION = "Number of the row in the uploaded file, the header being row 1"


class UploadConfig(dg.Config):
    """Options for this run alone, laid over those of the file's own options file.

    What they lead to has a report of its own, and neither replaces the dataset's report nor a champion judged by time.
    """

    options: dict[str, Any] = Field(default_factory=dict)


def upload_asset(chain: Chain) -> dg.AssetsDefinition:
    """The newest file of a dataset, typed and validated."""
    pipeline = chain.pipeline

    @chain.asset(
        "upload",
        code=UPLOAD,
        kinds={"polars", "parquet"},
        description="The newest file of this dataset in the landing folder, typed and validated. Rows that are not "
        "valid are kept apart with their row number, column and reason.",
        metadata=columns({ROW: ("Int64", ROW_DESCRIPTION)}),
    )
    @plain_failures
    def upload(
        context: dg.AssetExecutionContext,
        config: UploadConfig,
        storage: Storage,
        catalog: Catalog,
        fred: FredResource,
    ) -> pl.DataFrame:
        dataset = context.partition_key
        file = find_upload(storage, pipeline.name, dataset, lambda: catalog.open().file_name(pipeline.name, dataset))
        beside = read_options(storage, file)
        merge_options(beside, where=f"{file.name}{OPTIONS_SUFFIX}")  # alone, so that the message says where it is wrong
        own = merge_options(pipeline.default_options, beside)
        options = merge_options(pipeline.default_options, beside, config.options, where=f"options of {file.name}")
        pipeline.hyperparameters(options)  # refuse them now rather than when the job runs
        version, table, shown, warnings = read_landed(storage, file, options, pipeline, chain.limits)
        ensure_unchanged(storage, file)
        # A run that only spells out the date column that is found anyway has the dataset's own options.
        standing = options == own.model_copy(update={} if own.date_column else {"date_column": options.date_column})
        options = options.model_copy(update=table.found)
        record = DatasetRecord(
            pipeline=pipeline.name,
            dataset=context.partition_key,
            revision=revision_of(version, options),
            version=version,
            file_name=file.name,
            size=file.table.size,
            options=options,
            created_at=datetime.now(UTC),
            standing=standing,
        )
        storage.write_parquet(record.key("rejected"), table.rejected)
        if table.merged:
            storage.write_bytes(record.key("upload", MERGED), json.dumps(table.merged).encode())
        if table.notes:
            storage.write_bytes(record.key("upload", NOTES), json.dumps(table.notes).encode())
        remarks = pipeline.remarks(table.accepted, options)
        for remark in (*remarks, *warnings):
            context.log.warning(remark)
        catalog.open().put_dataset(record)
        pin(context.instance, context.run.run_id, record)
        context.add_output_metadata(
            {
                "file": file.name,
                **shown,
                "rows_in": table.rows_in,
                "rejected_rows": table.rejected[ROW].n_unique() - table.left_out,
                **({"left_out_rows": table.left_out} if table.left_out else {}),
                **({"merged_rows": table.merged} if table.merged else {}),
                **({"notes": " ".join(table.notes)} if table.notes else {}),
                **pipeline.counts(table.accepted, options),
                **({"warning": "\n".join((*remarks, *warnings))} if remarks or warnings else {}),
                "rejected": table_metadata(storage, record.key("rejected"), table.rejected)["preview"],
                "options": dg.MetadataValue.json(options.model_dump(mode="json")),
                "date_formats": dg.MetadataValue.json(table.date_formats),
                "revision": record.revision,
            }
        )
        context.set_data_version(chain.key("upload"), dg.DataVersion(version))
        context.log_event(series_in_use(chain.key(OF_DATASET), record.dataset, options, fred))
        return table.accepted

    return upload


def enriched_asset(chain: Chain) -> dg.AssetsDefinition:
    """The upload with the FRED values that were known on each order's date."""

    @chain.asset(
        "enriched",
        code=ENRICHED,
        kinds={"polars", "parquet"},
        deps=[chain.key(OF_DATASET)],
        pool=POOL,
        ins={"upload": dg.AssetIn(chain.key("upload"))},
        description="The upload with one column per FRED series: the newest value published by the row's date.",
        metadata=columns({ROW: ("Int64", ROW_DESCRIPTION)}),
    )
    @plain_failures
    def enriched(
        context: dg.AssetExecutionContext, upload: pl.LazyFrame, fred: FredResource, storage: Storage, catalog: Catalog
    ) -> pl.LazyFrame:
        record = chain.record(context, catalog)
        day = record.options.date_column
        assert day is not None
        tables = [fred.observations(series_id) for series_id in record.options.fred_series]
        register_series(context.instance, record.options.fred_series, fred)
        series = pl.concat(tables) if tables else pl.DataFrame(schema=SERIES_SCHEMA)
        rows = upload.collect()  # once, for the dates and for the join
        dates = rows[day].cast(pl.Date)
        first, last = first_and_last(dates)
        coverage = fred.coverage(series, dates)
        storage.write_parquet(record.key("series"), series)
        vintages = series.group_by("series_id").agg(pl.col("vintage").first())
        context.add_output_metadata(
            {
                "dates": f"{first} to {last}",
                "fred_series": dg.MetadataValue.json(dict(vintages.iter_rows())),
                "rows_before_first_value": dg.MetadataValue.json({k: v.rows_before for k, v in coverage.items()}),
                "rows_after_last_value": dg.MetadataValue.json({k: v.rows_stale for k, v in coverage.items()}),
                **lineage(
                    {
                        **as_they_are(rows.columns, chain.key("upload")),
                        **{name: [(OBSERVATIONS, "value"), (chain.key("upload"), day)] for name in coverage},
                    }
                ),
            }
        )
        return enrich(rows.lazy(), asof_calendar(series, first, last), day)

    return enriched


def split_assets(chain: Chain) -> dg.AssetsDefinition:
    """Training rows, test rows without the target, and the target that was kept from them."""

    pipeline = chain.pipeline

    @dg.multi_asset(
        name=f"{pipeline.name}__split",
        outs={
            "train": chain.out("train", "Rows that the model learns from, target included."),
            "test": chain.out("test", "Held-out rows without the target: what the model is asked to predict."),
            "actuals": chain.out(
                "actuals",
                "The target of the held-out rows (real y), by row number.",
                columns({ROW: ("Int64", ROW_DESCRIPTION), "actual": ("Float64", "The target, as uploaded")}),
            ),
        },
        ins={"enriched": dg.AssetIn(chain.key("enriched"))},
        partitions_def=chain.partitions,
        group_name=pipeline.name,
        backfill_policy=ONE_RUN_A_DATASET,
    )
    @plain_failures
    def split(
        context: dg.AssetExecutionContext, enriched: pl.LazyFrame, catalog: Catalog
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        options = chain.record(context, catalog).options
        train, test = pipeline.split(enriched.collect(), options)
        target = pl.lit(None) if options.target is None else pl.col(options.target)
        actuals = test.select(ROW, actual=target.cast(pl.Float64))
        asked = test.drop(_given(options.target), *pipeline.hidden)
        key = chain.key("enriched")
        for name, table in (("train", train), ("test", asked)):
            context.add_output_metadata(lineage(as_they_are(table.columns, key)), output_name=name)
        answered = {ROW: [(key, ROW)], "actual": [(key, name) for name in _given(options.target)]}
        context.add_output_metadata(lineage(answered), output_name="actuals")
        return train, asked, actuals

    return split


def _given(column: str | None) -> list[str]:
    return [] if column is None else [column]

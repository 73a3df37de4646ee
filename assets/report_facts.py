"""What a run knows for its report without looking at an error: counts, periods, series, columns, the job."""

import json
from datetime import UTC, datetime

import polars as pl

from optiflow.encoding import FeatureEncoder
from optiflow.learners.training_log import best_round
from optiflow.report.model import LeftOut, Period, RejectedRows, RowCounts, RunFacts, SeriesUsed, TrainingJob
from resources.catalog.records import DatasetRecord, JobRecord
from resources.fred import FredResource
from resources.storage import Storage


def gather_facts(
    record: DatasetRecord,
    job: JobRecord,
    encoder: FeatureEncoder,
    train: pl.DataFrame,
    test: pl.DataFrame,
    storage: Storage,
    fred: FredResource,
) -> RunFacts:
    """The facts of one revision, from its tables in the lake."""
    rejected = storage.scan_parquet(record.key("rejected")).collect()
    rejected_rows = rejected["row"].n_unique()
    folder = f"lake/{record.pipeline}/model/{record.dataset}/{job.name}"
    curve = json.loads(storage.read_bytes(f"{folder}/learning_curve.json"))
    left_out = json.loads(storage.read_bytes(f"{folder}/left_out.json"))
    published = storage.scan_parquet(record.key("series")).collect()
    days = train[encoder.date_column].cast(pl.Date)
    rules = rejected.group_by("column", "reason").agg(pl.col("row").n_unique().alias("rows")).sort("column", "reason")
    return RunFacts(
        pipeline=record.pipeline,
        dataset=record.dataset,
        version=record.version,
        target=encoder.target,
        options=record.options.model_dump(mode="json"),
        created_at=datetime.now(UTC),
        rows=RowCounts(train.height + test.height + rejected_rows, rejected_rows, train.height, test.height),
        split_strategy=record.options.split.strategy,
        train_period=Period(days.min(), days.max()),  # pyright: ignore[reportArgumentType]  # dates of a Date column
        features=tuple(encoder.names),
        left_out=tuple(LeftOut(**column) for column in left_out),
        rejected=tuple(RejectedRows(**rule) for rule in rules.iter_rows(named=True)),
        series=tuple(_series(series_id, published, train, test, fred) for series_id in record.options.fred_series),
        unseen_categories=encoder.unseen(test),
        job=TrainingJob(job.name, _rounds(curve), best_round(curve), _frozen(curve)),
    )


def _series(
    series_id: str, published: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame, fred: FredResource
) -> SeriesUsed:
    values = pl.concat([train[series_id], test[series_id]])
    vintage = published.filter(pl.col("series_id") == series_id)["vintage"].first()
    return SeriesUsed(series_id, str(vintage), 1 - values.null_count() / len(values), fred.title(series_id))


def _rounds(curve: dict[str, dict[str, list[float]]]) -> int:
    return max((len(values) for metrics in curve.values() for values in metrics.values()), default=0)


def _frozen(curve: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, tuple[float | None, ...]]]:
    return {channel: {name: tuple(values) for name, values in metrics.items()} for channel, metrics in curve.items()}

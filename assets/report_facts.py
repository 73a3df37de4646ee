"""What a run knows for its report without looking at an error: counts, periods, series, columns, the job."""

import json
from datetime import UTC, datetime

import polars as pl

from assets.tables import MERGED, NOTES
from optiflow.days import first_and_last
from optiflow.learners.training_log import best_round
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.pipelines.forecasting.gaps import in_file
from optiflow.report.model import Period, RejectedRows, RowCounts, RunFacts, SeriesUsed, TrainingJob
from optiflow.upload.left_out import count_left_out
from resources.catalog.records import DatasetRecord, JobRecord
from resources.fred import FredResource
from resources.storage import Storage


def gather_facts(
    record: DatasetRecord, job: JobRecord, learned: Learned, run: FinishedRun, storage: Storage, fred: FredResource
) -> RunFacts:
    """The facts of one revision, from its tables in the lake."""
    rejected = storage.scan_parquet(record.key("rejected")).collect()
    left_out = count_left_out(rejected)
    rejected_rows = rejected["row"].n_unique() - left_out
    said = record.key("upload", NOTES)
    notes = json.loads(storage.read_bytes(said)) if storage.exists(said) else ()
    merges = record.key("upload", MERGED)
    merged = json.loads(storage.read_bytes(merges)) if storage.exists(merges) else 0
    curve = json.loads(run.kept("learning_curve.json"))
    published = storage.scan_parquet(record.key("series")).collect()
    days, tested = (rows[str(record.options.date_column)].cast(pl.Date) for rows in (run.train, run.test))
    rules = rejected.group_by("column", "reason").agg(pl.col("row").n_unique().alias("rows")).sort("column", "reason")
    series = record.options.fred_series
    return RunFacts(
        pipeline=record.pipeline,
        dataset=record.dataset,
        version=record.version,
        target=record.options.target or "",
        options=record.options.model_dump(mode="json"),
        created_at=datetime.now(UTC),
        rows=RowCounts(
            in_file(run.train).height + in_file(run.test).height + rejected_rows + left_out + merged,
            rejected_rows,
            run.train.height,
            run.test.height,
            merged,
        ),
        split_strategy=record.options.split.strategy,
        train_period=Period(*first_and_last(days)),
        test_period=Period(*first_and_last(tested)),
        features=tuple(learned.features),
        left_out=tuple(learned.left_out),
        rejected=tuple(RejectedRows(**rule) for rule in rules.iter_rows(named=True)),
        series=tuple(_series(series_id, published, run.train, run.test, fred) for series_id in series),
        unseen_categories=dict(learned.unseen_categories),
        job=TrainingJob(job.name, _rounds(curve), best_round(curve), _frozen(curve)),
        tables_at={name: storage.uri_for(record.key(name)) for name in run.results},
        notes=tuple(dict.fromkeys((*learned.notes, *notes))),
    )


def _series(
    series_id: str, published: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame, fred: FredResource
) -> SeriesUsed:
    values = pl.concat([in_file(rows)[series_id] for rows in (train, test)])
    vintage = published.filter(pl.col("series_id") == series_id)["vintage"].first()
    return SeriesUsed(series_id, str(vintage), 1 - values.null_count() / len(values), fred.title(series_id))


def _rounds(curve: dict[str, dict[str, list[float]]]) -> int:
    return max((len(values) for metrics in curve.values() for values in metrics.values()), default=0)


def _frozen(curve: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, tuple[float | None, ...]]]:
    return {channel: {name: tuple(values) for name, values in metrics.items()} for channel, metrics in curve.items()}

"""What a run knows for its report without looking at an error: counts, periods, series, columns, the job.

What belongs here: how they follow from a run's tables, whoever keeps those. What does not: where the tables lie.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from optiflow.days import first_and_last
from optiflow.learners.training_log import best_round
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.pipelines.forecasting.gaps import in_file
from optiflow.report.model import Period, RejectedRows, RowCounts, RunFacts, SeriesUsed, TrainingJob
from optiflow.split import ROW
from optiflow.upload.left_out import count_left_out


@dataclass(frozen=True)
class ReadRows:
    """What reading left behind: the faults, as `optiflow.upload.faults.SCHEMA`, rows added to others, and sentences."""

    rejected: pl.DataFrame
    merged: int = 0
    notes: Sequence[str] = ()


def run_facts(
    pipeline: str,
    dataset: str,
    version: str,
    read: ReadRows,
    learned: Learned,
    run: FinishedRun,
    series: pl.DataFrame,
    job_name: str,
    series_title: Callable[[str], str],
) -> RunFacts:
    """The facts of one run.

    Args:
        pipeline: The pipeline's name.
        dataset: The dataset id.
        version: sha256 hex of what was read.
        read: What reading left behind.
        learned: What the pipeline says of its model.
        run: The run's tables, options and kept files.
        series: The published figures, as `optiflow.fred.series.SERIES_SCHEMA`.
        job_name: The training job's name.
        series_title: Series id -> its title, empty if nobody knows it.
    """
    left_out = count_left_out(read.rejected)
    rejected = read.rejected[ROW].n_unique() - left_out
    rules = read.rejected.group_by("column", "reason").agg(pl.col(ROW).n_unique().alias("rows"))
    train, test = in_file(run.train), in_file(run.test)
    days, tested = (rows[str(run.options.date_column)].cast(pl.Date) for rows in (run.train, run.test))
    curve = json.loads(run.kept("learning_curve.json"))
    return RunFacts(
        pipeline=pipeline,
        dataset=dataset,
        version=version,
        target=run.options.target or "",
        options=run.options.model_dump(mode="json"),
        created_at=datetime.now(UTC),
        rows=RowCounts(
            train.height + test.height + rejected + left_out + read.merged,
            rejected,
            run.train.height,
            run.test.height,
            read.merged,
        ),
        split_strategy=run.options.split.strategy,
        train_period=Period(*first_and_last(days)),
        test_period=Period(*first_and_last(tested)),
        features=tuple(learned.features),
        left_out=tuple(learned.left_out),
        rejected=tuple(RejectedRows(**rule) for rule in rules.sort("column", "reason").iter_rows(named=True)),
        series=tuple(_series(name, series, (train, test), series_title) for name in run.options.fred_series),
        unseen_categories=dict(learned.unseen_categories),
        job=TrainingJob(job_name, _rounds(curve), best_round(curve), _frozen(curve)),
        notes=tuple(dict.fromkeys((*learned.notes, *read.notes))),
    )


def _series(
    name: str, published: pl.DataFrame, parts: Sequence[pl.DataFrame], title: Callable[[str], str]
) -> SeriesUsed:
    values = pl.concat([rows[name] for rows in parts])
    vintage = published.filter(pl.col("series_id") == name)["vintage"].first()
    return SeriesUsed(name, str(vintage), 1 - values.null_count() / len(values), title(name))


def _rounds(curve: dict[str, dict[str, list[float]]]) -> int:
    return max((len(values) for metrics in curve.values() for values in metrics.values()), default=0)


def _frozen(curve: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, tuple[float | None, ...]]]:
    return {channel: {name: tuple(values) for name, values in metrics.items()} for channel, metrics in curve.items()}

"""A pipeline's run from a table to its report, in this process: no Dagster, no jobs, no pages."""

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.days import first_and_last
from optiflow.fred import snapshot
from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich
from optiflow.fred.series import with_publication_lag
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.xgboost import MODEL_FILE, Matrix, predict, save, train
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.spec import Pipeline
from optiflow.report.build import build_report
from optiflow.report.model import Report, RowCounts, RunFacts
from optiflow.upload.reading import read_upload


def report_of(pipeline: Pipeline, uploaded: pl.DataFrame, options: DatasetOptions, **parameters: float) -> Report:
    """Read the table as an upload, split, train, score and judge; `parameters` are laid over the options'.

    FRED series come from the bundled snapshot.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = finished_run(pipeline, uploaded, options, Path(folder), **parameters)
        facts = RunFacts(
            pipeline=pipeline.name,
            dataset="table",
            version="",
            target=str(run.options.target),
            options=run.options.model_dump(mode="json"),
            created_at=datetime.now(UTC),
            rows=RowCounts(uploaded.height, 0, run.train.height, run.test.height),
            split_strategy=run.options.split.strategy,
            unseen_categories={},
        )
        return build_report(facts, pipeline.judged(run), pipeline.baselines(run), {}, pipeline.extras(run))


def finished_run(
    pipeline: Pipeline, uploaded: pl.DataFrame, options: DatasetOptions, folder: Path, **parameters: float
) -> FinishedRun:
    """What the pipeline has of a table when it comes to judge its model; files go to `folder`."""
    uploaded.write_csv(folder / "table.csv")
    read = read_upload(folder / "table.csv", "table.csv", options, pipeline)
    options = options.model_copy(update={"target": read.target, "date_column": read.date_column})
    enriched = _enriched(read.accepted, options)
    fit, held = pipeline.split(enriched, options)
    target = str(options.target)
    sets = {
        "train": fit,
        "test": held.drop(target, *pipeline.hidden),
        "actuals": held.select("row", actual=pl.col(target).cast(pl.Float64)),
    }
    made = _built_in if pipeline.learner is None else _learned
    return made(pipeline, sets, enriched, options, folder, parameters)


def _enriched(rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
    if not options.fred_series:
        return rows
    frequencies = {name: snapshot.SNAPSHOT_SERIES[name].frequency for name in options.fred_series}
    series = pl.concat(with_publication_lag(snapshot.load(name), kind) for name, kind in frequencies.items())
    days = rows[str(options.date_column)].cast(pl.Date)
    return enrich(rows.lazy(), asof_calendar(series, *first_and_last(days)), str(options.date_column)).collect()


def _learned(
    pipeline: Pipeline,
    sets: Mapping[str, pl.DataFrame],
    enriched: pl.DataFrame,
    options: DatasetOptions,
    folder: Path,
    parameters: Mapping[str, float],
) -> FinishedRun:
    learner = pipeline.learner
    assert learner is not None
    inputs = pipeline.training(sets["train"], options)
    channels = {name: table.to_arrow() for name, table in inputs.channels.items()}
    named = {} if pipeline.dataset_parameter is None else {pipeline.dataset_parameter: "table"}
    chosen = parse_hyperparameters(learner.PARAMETERS, {**pipeline.hyperparameters(options), **inputs.decided, **named})
    summary = learner.train(channels, {**chosen, **parameters}, folder, lambda _line: None)
    (folder / SUMMARY_FILE).write_text(json.dumps(summary))
    results = {}
    for name, asked in pipeline.scoring({**sets, "enriched": enriched}, options, str).tables.items():
        pl.DataFrame(learner.score(folder, asked.to_arrow())).write_parquet(folder / f"{name}.parquet.out")
        results[name] = pipeline.read_result(name, folder, None)
    return FinishedRun(options=options, **sets, results=results, model=folder, kept=str)


def _built_in(
    pipeline: Pipeline,
    sets: Mapping[str, pl.DataFrame],
    enriched: pl.DataFrame,
    options: DatasetOptions,
    folder: Path,
    parameters: Mapping[str, float],
) -> FinishedRun:
    made = pipeline.training(sets["train"], options)
    fit, watched = (
        Matrix(table[:, 1:].to_numpy(), table[:, 0].to_numpy())
        for table in (made.channels["train"], made.channels["validation"])
    )
    chosen = {**pipeline.check_hyperparameters(pipeline.hyperparameters(options)), **parameters}
    booster, _ = train(chosen, fit, watched)
    save(booster, folder / MODEL_FILE)
    kept = made.files.__getitem__
    asked = pipeline.scoring({**sets, "enriched": enriched}, options, kept)
    values = predict(booster, asked.tables["predictions"].to_numpy())
    (folder / "predictions.out").write_text("\n".join(map(str, values)))
    results = {"predictions": pipeline.read_result("predictions", folder, asked.rows)}
    return FinishedRun(options=options, **sets, results=results, model=folder, kept=kept)

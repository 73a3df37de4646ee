"""A forecasting pipeline's run from a file to its results, as the chain would have it, without Dagster and without jobs."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.forecasting.pipeline import Forecasting
from optiflow.upload.reading import read_upload


@dataclass
class Finished:
    """The run, and the rows of the file that it was made from."""

    run: FinishedRun
    rows: pl.DataFrame


def finished_run(
    pipeline: Forecasting, uploaded: pl.DataFrame, options: DatasetOptions, folder: Path, **parameters: int
) -> Finished:
    """Read, split, train, score; `parameters` are laid over those of the options."""
    path = folder / "sample.csv"
    uploaded.write_csv(path)
    table = read_upload(path, path.name, options, pipeline).accepted
    train, test = pipeline.split(table, options)
    tables = {"train": train, "test": test.drop("sales"), "actuals": test.select("row", actual="sales")}
    learner = pipeline.learner
    assert learner is not None
    inputs = pipeline.training(train, options)
    channels = {name: frame.to_arrow() for name, frame in inputs.channels.items()}
    chosen = parse_hyperparameters(learner.PARAMETERS, {**pipeline.hyperparameters(options), **inputs.decided})
    summary = learner.train(channels, {**chosen, **parameters}, folder, lambda line: None)
    (folder / SUMMARY_FILE).write_text(json.dumps(summary))
    results = {}
    for name, asked in pipeline.scoring(tables, options, str).tables.items():
        pl.DataFrame(learner.score(folder, asked.to_arrow())).write_parquet(folder / f"{name}.parquet.out")
        results[name] = pipeline.read_result(name, folder, None)
    return Finished(FinishedRun(options=options, **tables, results=results, model=folder, kept=str), table)

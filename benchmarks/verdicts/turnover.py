"""The verdict of `turnover` on its sample, whose items' price, description, category and brand are laid on other items.

What is left is when an item was put on sale. The genuine sample, as seed None, must keep its verdict.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.learners import turnover as learner
from optiflow.options import merge_options
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.turnover import TURNOVER
from optiflow.samples.turnover import turnover
from optiflow.upload import read_upload

SEEDS = (None, 1, 2, 3, 4, 5)
PERMUTED = ("price", "description", "category", "brand")


def verdicts() -> list[tuple[int | None, str]]:
    """(seed, outcome) of the genuine sample and of five permuted ones, with the learner's own defaults."""
    return [(seed, outcome_of(_sample(seed))) for seed in SEEDS]


def outcome_of(table: pl.DataFrame) -> str:
    """`better`, `unclear` or `worse`, by the chain's own steps without Dagster and without jobs."""
    with tempfile.TemporaryDirectory() as folder:
        judgement = TURNOVER.extras(_finished(table, Path(folder))).judgement
    assert judgement is not None
    return judgement.outcome.value


def _sample(seed: int | None) -> pl.DataFrame:
    table = turnover()
    if seed is None:
        return table
    order = np.random.default_rng(seed).permutation(table.height)
    return table.with_columns(table.select(PERMUTED)[order])


def _finished(table: pl.DataFrame, folder: Path) -> FinishedRun:
    path = folder / "shop.csv"
    table.write_csv(path)
    options = merge_options(TURNOVER.default_options)
    upload = read_upload(path, path.name, options, TURNOVER)
    options = options.model_copy(update={"target": upload.target, "date_column": upload.date_column})
    train, held = TURNOVER.split(upload.accepted, options)
    channels = {name: rows.to_arrow() for name, rows in TURNOVER.training(train, options).channels.items()}
    parameters = TURNOVER.check_hyperparameters({**TURNOVER.hyperparameters(options), "retailer": "shop"})
    summary = learner.train(channels, parameters, folder, lambda _: None)
    (folder / SUMMARY_FILE).write_text(json.dumps(summary))
    test = held.drop("days", "sold")
    asked = TURNOVER.scoring({"test": test, "enriched": upload.accepted}, options, str).tables
    for name, rows in asked.items():
        pl.DataFrame(learner.score(folder, rows.to_arrow())).write_parquet(folder / f"{name}.parquet.out")
    return FinishedRun(
        options=options,
        train=train,
        test=test,
        actuals=held.select("row", actual="days"),
        results={name: TURNOVER.read_result(name, folder, None) for name in asked},
        model=folder,
        kept=str,
    )

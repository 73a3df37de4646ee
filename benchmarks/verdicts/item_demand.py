"""`item_demand`: its sample with each series shuffled in time, so that no date tells what is sold."""

from collections.abc import Iterable

import polars as pl

from benchmarks.verdicts.run import report_of
from optiflow.options import DatasetOptions
from optiflow.pipelines.item_demand.pipeline import ITEM_DEMAND, SERIES
from optiflow.pipelines.item_demand.sample import SAMPLE_OPTIONS, item_demand
from optiflow.report.model import Outcome, Report

SEEDS = (1, 2, 3, 4, 5)
GENUINE = 0
"""Stands for the sample as it is."""
FAST = {"num_round": 200, "learning_rate": 0.1, "early_stopping_rounds": 10}
"""Fewer and larger steps than the learner's own: the verdict is asked for, not the last per mille of the error."""


def verdicts(seeds: Iterable[int] = (GENUINE, *SEEDS)) -> list[tuple[int, Outcome, str]]:
    """The seed, the outcome and the report's sentence for each shuffle."""
    sample, made = item_demand(), []
    for seed in seeds:
        report = report_on(sample if seed == GENUINE else shuffled(sample, seed))
        made.append((seed, report.outcome, report.verdict))
    return made


def shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows with each series' sales in another order: its dates and its values stay."""
    return rows.with_columns(pl.col("sales").shuffle(seed=seed).over(SERIES))


def report_on(rows: pl.DataFrame, parameters: dict[str, float] = FAST) -> Report:
    """The report on `date`, `store`, `item`, `sales`; `parameters` are laid over the learner's own."""
    return report_of(ITEM_DEMAND, rows, DatasetOptions.model_validate(SAMPLE_OPTIONS), **parameters)

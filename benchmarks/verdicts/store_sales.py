"""`store_sales`: its sample with each store's sales shuffled in time, so that no season and no growth is left."""

import polars as pl

from benchmarks.verdicts.run import report_of
from optiflow.options import DatasetOptions
from optiflow.pipelines.store_sales.pipeline import STORE_SALES
from optiflow.pipelines.store_sales.sample import SAMPLE_OPTIONS, store_sales
from optiflow.report.model import Outcome

SEEDS = (1, 2, 3, 4, 5)
GENUINE = 0
"""Stands for the sample as it is."""


def verdicts(seeds: tuple[int, ...] = (GENUINE, *SEEDS)) -> list[tuple[int, Outcome, str]]:
    """The seed, the outcome and the report's sentence for each shuffle."""
    sample, made = store_sales(), []
    for seed in seeds:
        shuffled = sample.with_columns(pl.col("Weekly_Sales").shuffle(seed=seed).over("Store"))
        table = sample if seed == GENUINE else shuffled
        report = report_of(STORE_SALES, table, DatasetOptions.model_validate(SAMPLE_OPTIONS), nthread=1)
        made.append((seed, report.outcome, report.verdict))
    return made

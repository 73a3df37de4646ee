"""`orders`: its sample with everything but the dates permuted, so that no column tells the quantity."""

import polars as pl

from benchmarks.verdicts.run import report_of
from optiflow.options import DatasetOptions
from optiflow.pipelines.orders.pipeline import ORDERS
from optiflow.pipelines.orders.sample import SAMPLE_OPTIONS, orders
from optiflow.report.model import Outcome

SEEDS = (1, 2, 3, 4, 5)
GENUINE = 0
"""Stands for the sample as it is."""


def verdicts(seeds: tuple[int, ...] = (GENUINE, *SEEDS), rows: int = 6000) -> list[tuple[int, Outcome, str]]:
    """The seed, the outcome and the report's sentence for each permutation of the quantities."""
    sample, made = orders(rows), []
    for seed in seeds:
        table = sample if seed == GENUINE else sample.with_columns(pl.col("quantity").shuffle(seed=seed))
        report = report_of(ORDERS, table, DatasetOptions.model_validate(SAMPLE_OPTIONS), nthread=1)
        made.append((seed, report.outcome, report.verdict))
    return made

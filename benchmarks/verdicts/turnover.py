"""`turnover`: its sample with price, description, category and brand laid on other items.

What is left is when an item was put on sale.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from benchmarks.verdicts.run import report_of
from optiflow.options import merge_options
from optiflow.pipelines.turnover.pipeline import TURNOVER
from optiflow.pipelines.turnover.sample import turnover
from optiflow.report.model import Outcome

SEEDS = (1, 2, 3, 4, 5)
GENUINE = 0
"""Stands for the sample as it is."""
PERMUTED = ("price", "description", "category", "brand")


def verdicts(seeds: Iterable[int] = (GENUINE, *SEEDS)) -> list[tuple[int, Outcome, str]]:
    """The seed, the outcome and the report's sentence for each permutation, with the learner's own defaults."""
    sample, made = turnover(), []
    for seed in seeds:
        report = report_of(TURNOVER, sample if seed == GENUINE else permuted(sample, seed), _OPTIONS)
        made.append((seed, report.outcome, report.verdict))
    return made


def permuted(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The items, with what tells of them taken from others."""
    order = np.random.default_rng(seed).permutation(table.height)
    return table.with_columns(table.select(PERMUTED)[order])


_OPTIONS = merge_options(TURNOVER.default_options)

"""All candidates under their names, what is fitted once and kept, and the mean of several.

What belongs here: running candidates by name. What does not: judging them (`validation`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optiflow.learners.store_sales import per_store
from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.seasonal_growth import Growth, last_years, seasonal_growth, seasonal_naive
from optiflow.learners.store_sales.trees import Trees

NAIVE, GROWTH, TREES, MEAN = "seasonal_naive", "seasonal_growth", "forest_and_xgboost", "mean_of_candidates"
SINGLE = (*per_store.NAMES, TREES, GROWTH, NAIVE)


@dataclass(frozen=True)
class Fitted:
    """What was learned once: how growth is taken, and the trees. The other candidates fit themselves to the history."""

    growth: Growth
    trees: Trees | None


def run(names: Sequence[str], history: History, fitted: Fitted, at_once: int) -> dict[str, np.ndarray]:
    """Steps x stores for each name of `SINGLE` that can be fitted, logarithms with the calendar's effects ahead."""
    made = per_store.forecast(history, tuple(name for name in per_store.NAMES if name in names), at_once)
    if GROWTH in names:
        made[GROWTH] = seasonal_growth(history, fitted.growth)
    if TREES in names and fitted.trees is not None:
        made[TREES] = last_years(history, fitted.growth.older) + fitted.trees.forecast(history)
    with_calendar = {
        name: values if name in per_store.OWN else values + history.ahead[:, None] for name, values in made.items()
    }
    if NAIVE in names:
        with_calendar[NAIVE] = seasonal_naive(history)
    return {name: with_calendar[name] for name in SINGLE if name in with_calendar}


def mean(made: Mapping[str, np.ndarray], members: Sequence[str]) -> np.ndarray:
    """The geometric mean (the mean of their logarithms) of the members that could be fitted."""
    return np.mean([made[name] for name in members if name in made], axis=0)

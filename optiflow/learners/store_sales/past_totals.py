"""How far the total of all stores was off at past origins: what bands of totals are learned from.

The errors of a total cannot be had from those of its parts, since a shock that all stores share does not even out. So the
total itself is forecast from every past week that is a month from the next, also from late ones, after which only some
weeks are known. Most candidates take far too long for that. Where the champion was not run, it is stood in for by last
year's week times growth, and its errors are brought to the champion's size by the origins where both were run.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optiflow.learners.store_sales.all_stores import ahead
from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.names import SHORT_WEEKS
from optiflow.learners.store_sales.panel import Panel
from optiflow.learners.store_sales.seasonal_growth import Growth, seasonal_growth
from optiflow.learners.store_sales.validation import DENSE_STEP

SCALES = (0.5, 2.0)
"""Bounds of the champion's error over the stand-in's: a few origins say little."""


def past_totals(
    panel: Panel, horizon: int, date_is: str, growth: Growth, champions: Mapping[int, np.ndarray]
) -> list[dict[str, Any]]:
    """For each past origin its last known date and how far the totals after it were off.

    Args:
        panel: The history.
        horizon: Weeks ahead, at most.
        date_is: `week_end` or `week_start`.
        growth: How the stand-in takes growth.
        champions: The champion's forecasts where it was run, by origin: steps x stores with a season there, logarithms.

    Returns:
        `origin` (ISO date) and `off` (actual over predicted total less 1, one a week ahead; None where no store was
        known), the oldest origin first.
    """

    def stand_in(history: History) -> np.ndarray:
        return seasonal_growth(history, growth) + history.ahead[:, None]

    own = {
        origin: total_off(panel, origin, ahead(panel.until(origin), len(made), date_is, lambda _, made=made: made)[0])
        for origin, made in champions.items()
    }
    every = sorted({*own, *range(panel.weeks - DENSE_STEP, SHORT_WEEKS - 1, -DENSE_STEP)})
    others = {
        origin: total_off(
            panel, origin, ahead(panel.until(origin), min(horizon, panel.weeks - origin), date_is, stand_in)[0]
        )
        for origin in every
    }
    scale = _scale(own, others)
    return [told(panel, origin, own.get(origin, scale * others[origin])) for origin in every]


def total_off(panel: Panel, origin: int, made: np.ndarray) -> np.ndarray:
    """Actual over predicted total less 1, one a step, over the stores that are known in the week; NaN where none is.

    Args:
        panel: The history, with the weeks after the origin.
        origin: The first week that is forecast.
        made: Steps x stores of `panel.until(origin)`, logarithms.
    """
    before = panel.until(origin).stores
    columns = [panel.stores.index(store) for store in before]
    after = slice(origin, origin + len(made))
    known = panel.known[after][:, columns]
    actual = np.where(known, np.exp(panel.logs[after][:, columns]), 0.0).sum(axis=1)
    predicted = np.where(known, np.exp(made), 0.0).sum(axis=1)
    return np.divide(actual, predicted, out=np.full(len(made), np.nan), where=known.any(axis=1)) - 1


def told(panel: Panel, origin: int, off: np.ndarray) -> dict[str, Any]:
    """As the summary has it: plain data."""
    return {
        "origin": panel.day(origin - 1).isoformat(),
        "off": [None if np.isnan(one) else round(float(one), 6) for one in off],
    }


def _scale(own: Mapping[int, np.ndarray], others: Mapping[int, np.ndarray]) -> float:
    """How much larger the champion's errors are than the stand-in's, by the root of their mean squares."""
    squares = [np.nanmean(np.concatenate([of[origin] for origin in own]) ** 2) for of in (own, others)]
    return float(np.clip(np.sqrt(squares[0] / max(squares[1], 1e-12)), *SCALES))

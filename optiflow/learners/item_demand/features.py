"""What LightGBM sees of a series and a day ahead: everything as known at the origin, so that no step sees its future.

What belongs here: the features. What does not: which origins are learned from (`boosting`).
"""

import numpy as np

from optiflow.learners.item_demand.grid import YEAR, Array, Grid
from optiflow.learners.item_demand.multiplicative import Multiplicative

FEATURES = (
    *("store", "item", "weekday", "day of month", "month", "day of year", "days ahead", "expected rate", "variation"),
    *("last 2 weeks", "last 8 weeks", "last half year", "growth within a year", "same weeks last year"),
    *("share of days with a sale", "days of history"),
)
CATEGORIES = (0, 1)
"""Places in `FEATURES` of what is a code."""

AROUND = 7
PRIOR_UNITS = 5.0
"""Ratios of sold to expected units are pulled to 1 as if so many units had sold just as expected."""


def features(grid: Grid, model: Multiplicative, steps: int) -> tuple[Array, Array]:
    """The features of the days after the grid's last, and the rate that the multiplicative model expects on them.

    Levels are ratios of what was sold to what the model expects, over days up to the origin: the last weeks, and the two
    weeks around the same day a year (364 days, the same weekday) earlier.

    Args:
        grid: What is known at the origin.
        model: Fitted on this grid.
        steps: Days ahead.

    Returns:
        series x steps x len(FEATURES), float32; series x steps, units a day.
    """
    end = grid.days
    start = max(end - YEAR - AROUND, 0)
    rate = model.rate(grid, end, end + steps)
    expected = _running(model.rate(grid, start, end) * grid.seen[:, start:])
    sold = _running(grid.sales[:, start:])

    def ratio(low: Array, high: Array) -> Array:
        low, high = (np.clip(np.asarray(day) - start, 0, end - start) for day in (low, high))
        n, e = sold[:, high] - sold[:, low], expected[:, high] - expected[:, low]
        return np.log((n + PRIOR_UNITS) / (e + PRIOR_UNITS))

    def last(days: int) -> Array:
        return ratio(np.array([end - days]), np.array([end]))

    ahead = np.arange(end, end + steps)
    known = np.maximum(grid.seen.sum(axis=1), 1)
    dates = grid.calendar(end, end + steps)
    columns = (
        *(grid.store[:, None], grid.item[:, None]),
        *(dates.weekday, dates.day_of_month, dates.month, dates.day_of_year, np.arange(1, steps + 1)),
        *(np.log(np.maximum(rate, 1e-6)), np.log(np.maximum(model.dispersion, 1e-6))[:, None]),
        *(last(14), last(56), last(182), last(182) - last(364)),
        ratio(ahead - YEAR - AROUND, ahead - YEAR + AROUND + 1),
        ((grid.sales > 0).sum(axis=1) / known)[:, None],
        known[:, None],
    )
    made = np.empty((grid.series, steps, len(FEATURES)), dtype=np.float32)
    for place, column in enumerate(columns):
        made[:, :, place] = column
    return made, rate


def _running(values: Array) -> Array:
    """Sums of the days before each day: one column more than `values`."""
    return np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)

"""How far the total of all series was off at past origins: what bands of totals are learned from.

The errors of a total cannot be had from those of its parts, since a shock that all series share does not even out. So the
total itself is forecast from past days that are four weeks apart, by the closed-form model, which takes a moment; the
champion errs less, if anything.
"""

from typing import Any

import numpy as np

from optiflow.learners.item_demand.grid import Grid
from optiflow.learners.item_demand.multiplicative import fit_multiplicative

STEP, MOST, LEAST_DAYS = 28, 16, 56
"""Days between origins, how many there are at most, and the fewest days before one."""


def past_totals(grid: Grid, growth: str, horizon: int) -> list[dict[str, Any]]:
    """For each past origin its last known day and how far the totals after it were off.

    Returns:
        `origin` (ISO date) and `off` (actual over predicted total less 1, one a day ahead; None where no series was
        known), the oldest origin first.
    """
    made = []
    for origin in range(grid.days - STEP, LEAST_DAYS - 1, -STEP)[:MOST]:
        end = min(origin + horizon, grid.days)
        known = grid.until(origin)
        seen = grid.seen[:, origin:end]
        predicted = (fit_multiplicative(known, growth).rate(known, origin, end) * seen).sum(axis=0)
        actual = (grid.sales[:, origin:end] * seen).sum(axis=0)
        off = np.divide(actual, predicted, out=np.full(len(predicted), np.nan), where=predicted > 0) - 1
        day = np.datetime64(grid.first + origin - 1, "D")
        made.append({"origin": str(day), "off": [None if np.isnan(one) else round(float(one), 6) for one in off]})
    return made[::-1]

"""How far forecasts of a window were off, and the naive ones that every model is set beside.

What belongs here: figures on series x days. What does not: choosing by them.
"""

import numpy as np

from optiflow.learners.item_demand.grid import YEAR, Array, Grid

RECENT_DAYS = 28


def accuracy(sold: Array, predicted: Array, seen: Array) -> dict[str, float]:
    """`wape` (Σ|e| / Σ sold), `smape` (mean of 200 |e| / (sold + predicted), 0 where both are 0), `mape` (mean of |e| / sold over days with
    a sale, a share of 1), `rmse` and `bias` (mean of e) in units, `total` (Σ predicted / Σ sold - 1, a share of 1);
    e = predicted - sold, over the days that are known.
    """
    at = seen > 0
    truth, guess = sold[at], predicted[at]
    off, both, some = np.abs(guess - truth), truth + guess, truth > 0
    return {
        "wape": float(off.sum() / max(truth.sum(), 1e-9)),
        "smape": float(200 * np.mean(np.divide(off, both, out=np.zeros_like(off), where=both > 0))),
        "mape": float(np.mean(off[some] / truth[some])) if some.any() else 0.0,
        "rmse": float(np.sqrt(np.mean((guess - truth) ** 2))),
        "bias": float(np.mean(guess - truth)),
        "total": float(guess.sum() / max(truth.sum(), 1e-9) - 1),
    }


def recent_mean(grid: Grid, steps: int) -> Array:
    """The mean of the last 28 days, every day alike, 0 for series without one that is known: series x steps."""
    known, sold = (values[:, -RECENT_DAYS:].sum(axis=1) for values in (grid.seen, grid.sales))
    return np.repeat((sold / np.maximum(known, 1))[:, None], steps, axis=1)


def seasonal_naive(grid: Grid, steps: int) -> Array:
    """The sales of 364 days earlier, or of the last same weekday where that is not known: series x steps."""
    day = grid.days + np.arange(steps)
    made = np.zeros((grid.series, steps))
    filled = np.zeros((grid.series, steps), dtype=bool)
    weeks_ago = [day - YEAR, *(day - 7 * (np.arange(steps) // 7 + back) for back in range(1, 5))]
    for then in weeks_ago:
        there = (then >= 0) & (then < grid.days)
        take = np.zeros_like(filled)
        take[:, there] = (grid.seen[:, then[there]] > 0) & ~filled[:, there]
        values = grid.sales[:, np.clip(then, 0, grid.days - 1)]
        made[take], filled = values[take], filled | take
    return made

"""Last year's same week times recent growth: the simplest candidate that knows the season, and hard to beat.

Growth over a year is the median of the last weeks, of all stores and of the store itself; how many weeks, how far a store
goes its own way, and how much the year before last counts, is chosen on rolling origins.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.misses import mean_miss
from optiflow.learners.store_sales.names import YEAR


@dataclass(frozen=True)
class Growth:
    """`weeks`: how many of the last ones growth is taken from; `own`: share of a store's own deviation that is kept;
    `older`: weight of the year before last."""

    weeks: int = 8
    own: float = 0.7
    older: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


GRID = tuple(Growth(*values) for values in product((4, 8, 13, 26), (0.5, 0.7, 0.85, 1.0), (0.0, 0.25, 0.5)))


def seasonal_naive(history: History) -> np.ndarray:
    """Steps x stores: last year's same week, with nothing cleared or pooled."""
    return history.same_week(history.panel.logs)


def seasonal_growth(history: History, growth: Growth) -> np.ndarray:
    """Steps x stores, logarithms without the calendar's effects."""
    yearly = history.yearly()
    common = np.nanmedian(yearly, axis=1)
    recent = yearly[-growth.weeks :]
    own = np.nanmedian(recent - common[-growth.weeks :, None], axis=0)
    return last_years(history, growth.older) + np.median(common[-growth.weeks :]) + growth.own * own


def last_years(history: History, older: float) -> np.ndarray:
    """Steps x stores: last year's same week, averaged with that of the year before, brought to last year's level.

    One year's week holds that year's chance; two years' mean holds less of it. Where there is no year before last, last
    year stands alone.
    """
    base = history.same_week(history.pooled)
    if older == 0 or len(history.pooled) < 2 * YEAR:
        return base
    before = history.same_week(history.pooled, years=2) + _growth_then(history, history.yearly())
    return np.where(np.isnan(before), base, (1 - older) * base + older * before)


def choose_growth(histories: Sequence[tuple[History, np.ndarray]]) -> Growth:
    """The best of `GRID` by mean MAPE over past origins.

    Args:
        histories: Each with the actual logarithms, steps x stores, NaN where none is known.
    """

    def loss(growth: Growth) -> float:
        errors = [mean_miss(seasonal_growth(past, growth) + past.ahead[:, None] - actual) for past, actual in histories]
        return float(np.mean(errors))

    return min(GRID, key=loss) if histories else Growth()


def _growth_then(history: History, yearly: np.ndarray) -> np.ndarray:
    """How far sales had grown from the year before last to last year around each week: medians of 13 weeks."""
    centres = [len(yearly) - YEAR + step % YEAR for step in range(history.steps)]
    return np.stack([np.nanmedian(yearly[max(0, centre - 6) : centre + 7], axis=0) for centre in centres])

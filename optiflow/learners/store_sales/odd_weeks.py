"""Weeks that say nothing of what a store usually sells: closed ones, and values that cannot be right.

What belongs here: telling them from all others, by what the store sold at other times and the other stores in the same
week. What does not: how they are filled (`panel`), and what is forecast for a store that is closed (`scoring`).

Both would do great harm in logarithms: a zero taken for 1 % of the usual is an error of 10,000 %, and the mean of 6,435
errors of 3 % with two such ones is over 40 %.
"""

from dataclasses import dataclass

import numpy as np

from optiflow.learners.store_sales.names import YEAR

NEARLY_NOTHING = 1e-3
"""Sales below this share of the store's median are those of a closed store: a refund, a voucher, a corrected till."""

ABSURD_FACTOR = 5.0
"""A week off by less than this factor may be a sale, a festival or a strike."""

NO_SEASON = 1000.0
"""No season is by such a factor, however many years have it."""

ABSURD_SPREADS = 6.0
"""It is also off by so many times the store's spread, which is told by the median absolute deviation."""

MAD = 1.4826
FEWEST = 8
"""With fewer weeks a store has no usual week to be far from."""

FEWEST_STORES = 3
"""With so many others, what most of them have in the same week is no fault of one: a lockdown."""


@dataclass(frozen=True)
class OddWeeks:
    """Weeks x stores each: `closed` sold nothing or nearly so, `absurd` has a value that cannot be right."""

    closed: np.ndarray
    absurd: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Both."""
        return self.closed | self.absurd


def find_odd_weeks(sales: np.ndarray) -> OddWeeks:
    """Tell closed and absurd weeks.

    A week is absurd if it is off from the store's usual level by a factor of `ABSURD_FACTOR` and `ABSURD_SPREADS` of its
    spreads, after what most stores share in that week, unless the same week of every other year is like it.

    Args:
        sales: Weeks x stores, NaN where a store has no row; not below 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(sales > 0, sales, np.nan)
        logs = np.log(positive)
    closed = (sales == 0) | (logs < _median(logs) + np.log(NEARLY_NOTHING))
    logs = np.where(closed, np.nan, logs)
    off = logs - _median(logs)
    off -= _shared(off)
    spread = MAD * _median(np.abs(off))
    limit = np.maximum(np.log(ABSURD_FACTOR), ABSURD_SPREADS * spread)
    absurd = (np.abs(off) > limit) & ((~np.isnan(logs)).sum(axis=0) >= FEWEST)
    for week, store in zip(*np.nonzero(absurd), strict=True):
        others = [off[year, store] for year in _other_years(week, len(sales)) if not np.isnan(off[year, store])]
        if (
            abs(off[week, store]) < np.log(NO_SEASON)
            and others
            and all(abs(off[week, store] - other) < np.log(ABSURD_FACTOR) for other in others)
        ):
            absurd[week, store] = False
    return OddWeeks(closed, absurd)


def closed_every_year(closed: np.ndarray, known: np.ndarray, week: int) -> np.ndarray:
    """Which stores were closed in this week of the year in every year that they have a row of, two at least.

    Args:
        closed: Weeks x stores.
        known: Weeks x stores: where there is a row, closed or not.
        week: Counted like the rows of `closed`; may lie after them.
    """
    years = [year for year in range(week % YEAR, len(closed), YEAR) if year != week]
    rows = known[years]
    return (rows.sum(axis=0) >= 2) & (closed[years] | ~rows).all(axis=0)


GIVEN_UP_WEEKS = 8
"""A store without a sale in so many weeks has none left of those that a level is taken from."""


def given_up(odd: OddWeeks, known: np.ndarray) -> np.ndarray:
    """Which stores have been closed for `GIVEN_UP_WEEKS` up to the end, and were not at the same time a year before.

    Args:
        odd: Of weeks x stores.
        known: Weeks x stores: where a week tells of usual sales.
    """
    stores = known.shape[1]
    found = np.zeros(stores, bool)
    for store in range(stores):
        last = int(np.flatnonzero(known[:, store])[-1])
        after = np.flatnonzero(odd.closed[last + 1 :, store]) + last + 1
        year_before = after[after >= YEAR] - YEAR
        seasonal = len(year_before) > 0 and bool(odd.closed[year_before, store].all())
        found[store] = len(after) >= GIVEN_UP_WEEKS and not seasonal
    return found


def _other_years(week: int, weeks: int) -> list[int]:
    return [year for year in range(week % YEAR, weeks, YEAR) if year != week]


def _shared(off: np.ndarray) -> np.ndarray:
    """Weeks x 1: what most stores are off by in the same week; 0 where there are too few."""
    enough = (~np.isnan(off)).sum(axis=1) > FEWEST_STORES
    return np.where(enough, _median(off.T), 0.0)[:, None]


def _median(matrix: np.ndarray) -> np.ndarray:
    """Medians of the columns, NaN for one without a number."""
    out = np.full(matrix.shape[1], np.nan)
    has = ~np.isnan(matrix).all(axis=0)
    out[has] = np.nanmedian(matrix[:, has], axis=0)
    return out

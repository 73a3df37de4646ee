"""The panel: sales as a matrix, weeks x stores, in logarithms, without gaps.

What belongs here: from rows to the matrix, and how a missing week is filled. What does not: any forecast.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from optiflow.errors import UserError
from optiflow.learners.store_sales.names import YEAR

SMALLEST_SHARE = 0.01
"""Sales below this share of the store's median are taken for that much: a logarithm needs a positive number."""


@dataclass(frozen=True)
class Panel:
    """`logs` is weeks x stores, NaN before a store's first week only; `known` says which cells were in the file.

    Week `i` is the seven days named by `first + 7 i`, for a date anywhere in the seven days from there.
    """

    first: date
    stores: tuple[str, ...]
    logs: np.ndarray
    known: np.ndarray

    @property
    def weeks(self) -> int:
        """Number of weeks, up to the newest one of any store."""
        return self.logs.shape[0]

    def day(self, week: int) -> date:
        """The date that names a week, also one after the panel's end."""
        return self.first + timedelta(weeks=week)

    def lengths(self) -> np.ndarray:
        """Weeks from each store's first one to the panel's end."""
        return (~np.isnan(self.logs)).sum(axis=0)

    def filled(self) -> int:
        """Weeks that had to be filled: gaps, and weeks after a store's last row in which others have rows."""
        return int((~np.isnan(self.logs) & ~self.known).sum())

    def until(self, week: int) -> "Panel":
        """What was known before week number `week`, its gaps filled from that alone; the stores that had a row by then."""
        known = self.known[:week]
        there = np.flatnonzero(known.any(axis=0))
        logs = np.where(known, self.logs[:week], np.nan)
        filled = [_fill(logs[:, store]) for store in there]
        return Panel(self.first, tuple(self.stores[i] for i in there), np.column_stack(filled), known[:, there])

    def columns(self, chosen: np.ndarray) -> "Panel":
        """Some of the stores."""
        stores = tuple(np.array(self.stores, dtype=object)[chosen])
        return replace(self, stores=stores, logs=self.logs[:, chosen], known=self.known[:, chosen])


def read_panel(rows: pa.Table) -> Panel:
    """The rows that have sales as a panel; missing weeks are filled by `_fill`.

    Raises:
        UserError: there is none, or a store has two rows for one week.
    """
    rows = rows.filter(rows["sales"].is_valid())
    if rows.num_rows == 0:
        raise UserError("no row has sales: there is no history to forecast from.")
    days = rows["date"].cast(pa.date32()).cast(pa.int32()).to_numpy()
    names = rows["store"].cast(pa.string()).to_numpy(zero_copy_only=False)
    stores, column = np.unique(names.astype(str), return_inverse=True)
    week = (days - days.min()) // 7
    first = date(1970, 1, 1) + timedelta(days=int(days.min()))
    place = week * len(stores) + column
    if len(np.unique(place)) < len(place):
        places, counts = np.unique(place, return_counts=True)
        at = int(places[counts > 1][0])
        day = first + timedelta(weeks=at // len(stores))
        raise UserError(
            f"store {str(stores[at % len(stores)])!r} has two rows for the week of {day}: leave one, or set duplicates: sum."
        )
    sales = np.full((int(week.max()) + 1, len(stores)), np.nan)
    sales[week, column] = rows["sales"].cast(pa.float64()).to_numpy()
    known = ~np.isnan(sales)
    floor = SMALLEST_SHARE * np.array([np.median(np.maximum(sales[known[:, s], s], 0)) for s in range(len(stores))])
    logs = np.log(np.maximum(sales, np.maximum(floor, 1e-6)))
    return Panel(first, tuple(stores.tolist()), np.column_stack([_fill(logs[:, s]) for s in range(len(stores))]), known)


def week_of(panel: Panel, day: date) -> int:
    """The number of the week that a date is in."""
    return (day - panel.first).days // 7


def _fill(series: np.ndarray) -> np.ndarray:
    """A gap gets the straight line between its neighbours; weeks missing at the end, last year's same week (or the last one)."""
    there = np.flatnonzero(~np.isnan(series))
    first, last = there[0], there[-1]
    filled = series.copy()
    filled[first:last] = np.interp(np.arange(first, last), there, series[there])
    for week in range(last + 1, len(series)):
        filled[week] = filled[week - YEAR] if week - YEAR >= first else filled[last]
    return filled

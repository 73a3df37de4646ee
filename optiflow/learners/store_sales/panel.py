"""The panel: sales as a matrix, weeks x stores, in logarithms, without gaps.

What belongs here: from rows to the matrix, and how a missing week is filled. What does not: any forecast.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa

from optiflow.errors import UserError
from optiflow.learners.store_sales.names import YEAR
from optiflow.learners.store_sales.odd_weeks import OddWeeks, find_odd_weeks


@dataclass(frozen=True)
class Panel:
    """`logs` is weeks x stores, NaN before a store's first week only; `known` says which cells the file tells of.

    `odd` are the cells that were in the file, but say nothing of what the store usually sells; they are filled like missing
    ones. `never` are stores that have rows, and sold nothing in any.

    Week `i` is the seven days named by `first + 7 i`, for a date anywhere in the seven days from there.
    """

    first: date
    stores: tuple[str, ...]
    logs: np.ndarray
    known: np.ndarray
    odd: OddWeeks
    never: tuple[str, ...] = ()

    @property
    def weeks(self) -> int:
        """Number of weeks, up to the newest one of any store."""
        return self.logs.shape[0]

    @property
    def rows(self) -> np.ndarray:
        """Weeks x stores: where the file has a row, whatever it tells."""
        return self.known | self.odd.any

    def day(self, week: int) -> date:
        """The date that names a week, also one after the panel's end."""
        return self.first + timedelta(weeks=week)

    def lengths(self) -> np.ndarray:
        """Weeks from each store's first one to the panel's end."""
        return (~np.isnan(self.logs)).sum(axis=0)

    def filled(self) -> int:
        """Weeks that had to be filled: gaps, odd weeks, and weeks after a store's last row in which others have rows."""
        return int((~np.isnan(self.logs) & ~self.known).sum())

    def until(self, week: int) -> "Panel":
        """What was known before week number `week`, its gaps filled from that alone; the stores that had a row by then."""
        known = self.known[:week]
        there = np.flatnonzero(known.any(axis=0))
        logs = np.where(known, self.logs[:week], np.nan)
        filled = [_fill(logs[:, store]) for store in there]
        odd = OddWeeks(self.odd.closed[:week][:, there], self.odd.absurd[:week][:, there])
        return Panel(self.first, tuple(self.stores[i] for i in there), np.column_stack(filled), known[:, there], odd)

    def columns(self, chosen: np.ndarray) -> "Panel":
        """Some of the stores."""
        stores = tuple(np.array(self.stores, dtype=object)[chosen])
        odd = OddWeeks(self.odd.closed[:, chosen], self.odd.absurd[:, chosen])
        return replace(self, stores=stores, logs=self.logs[:, chosen], known=self.known[:, chosen], odd=odd)


def read_panel(rows: pa.Table) -> Panel:
    """The rows that have sales as a panel; missing and odd weeks are filled by `_fill`.

    Raises:
        UserError: there is none, no store ever sold anything, or a store has two rows for one week.
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
    odd = find_odd_weeks(sales)
    sales[odd.any] = np.nan
    known = ~np.isnan(sales)
    there = known.any(axis=0)
    if not there.any():
        raise UserError("every row has 0 sales: there is nothing to forecast from. Check the export.")
    logs = np.log(sales)
    filled = [_fill(logs[:, store]) for store in np.flatnonzero(there)]
    named = np.array(stores.tolist(), dtype=object)
    odd = OddWeeks(odd.closed[:, there], odd.absurd[:, there])
    return Panel(first, tuple(named[there]), np.column_stack(filled), known[:, there], odd, tuple(named[~there]))


def week_of(panel: Panel, day: date) -> int:
    """The number of the week that a date is in."""
    return (day - panel.first).days // 7


def _fill(series: np.ndarray) -> np.ndarray:
    """Gaps and weeks missing at the end, without a look at any other store.

    A gap gets what the year before sold in the same weeks, or else the year after, brought to the level on both sides; the
    straight line between its neighbours where neither year is known. Weeks missing at the end get last year's same week
    (or the last one).
    """
    there = np.flatnonzero(~np.isnan(series))
    first, last = there[0], there[-1]
    filled = series.copy()
    filled[first:last] = np.interp(np.arange(first, last), there, series[there])
    for before, after in pairwise(there.tolist()):
        if after > before + 1:
            filled[before + 1 : after] = _gap(series, filled, before, after)
    for week in range(last + 1, len(series)):
        filled[week] = filled[week - YEAR] if week - YEAR >= first else filled[last]
    return filled


def _gap(series: np.ndarray, line: np.ndarray, before: int, after: int) -> np.ndarray:
    for year in (-YEAR, YEAR):
        if before + year < 0 or after + year >= len(series):
            continue
        other = series[before + year : after + year + 1]
        if not np.isnan(other).any():
            level = np.linspace(series[before] - other[0], series[after] - other[-1], len(other))
            return (other + level)[1:-1]
    return line[before + 1 : after]

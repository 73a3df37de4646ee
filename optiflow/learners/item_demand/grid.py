"""Sales as a grid of series x days, which every part of the learner works on.

What belongs here: turning a table into the grid, what a day without a row means, the calendar. What does not: models.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optiflow.errors import UserError
from optiflow.learners.item_demand import gaps_mean_zero

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray
YEAR = 364
"""Days. 52 weeks, so that weekdays stay in place."""


@dataclass(frozen=True)
class Calendar:
    """The weekday (0 is Monday), month (0 to 11), year, day of month and day of year of days: one number each."""

    weekday: Array
    month: Array
    year: Array
    day_of_month: Array
    day_of_year: Array


@dataclass(frozen=True)
class Grid:
    """Daily sales of stores' items, one series for each pair of store and item.

    `sales` and `seen` are series x days, float64: units sold, 0 where unknown; and 1 where they are known. `store` and
    `item` are the codes of each series, places in `stores` and `items`. `first` is the first day, since 1970-01-01.
    `zero_gaps` says whether days without a row count as days without sales.
    """

    sales: Array
    seen: Array
    store: Array
    item: Array
    stores: tuple[str, ...]
    items: tuple[str, ...]
    first: int
    zero_gaps: bool
    gaps: int

    @property
    def series(self) -> int:
        """Number of series."""
        return self.sales.shape[0]

    @property
    def days(self) -> int:
        """Number of days."""
        return self.sales.shape[1]

    def until(self, end: int) -> "Grid":
        """The first `end` days: all that is known at an origin."""
        return replace(self, sales=self.sales[:, :end], seen=self.seen[:, :end])

    def calendar(self, start: int, stop: int) -> Calendar:
        """The calendar of the days `start` to `stop` (not included), counted from the grid's first."""
        return calendar(self.first + np.arange(start, stop))


def calendar(days: Array) -> Calendar:
    """The calendar of days since 1970-01-01, a Thursday."""
    dates = days.astype("datetime64[D]")
    months, years = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    return Calendar(
        weekday=(days + 3) % 7,
        month=months.astype(int) % 12,
        year=years.astype(int) + 1970,
        day_of_month=(dates - months).astype(int) + 1,
        day_of_year=(dates - years).astype(int) + 1,
    )


def to_days(rows: "pa.Table") -> Array:
    """The column `date` as days since 1970-01-01."""
    import pyarrow as pa

    dates = rows["date"].cast(pa.date32()).combine_chunks()
    return dates.cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)


def read_grid(rows: "pa.Table", gaps: str) -> tuple[Grid, Array]:
    """The grid of a table, and the series of each of its rows.

    Rows with null sales make a series known by name and are not in the grid otherwise. A series' days count from its
    first row. Sales of item-days that come twice are added up; returns (negative sales) count as none.

    Args:
        rows: `date`, `store`, `item`, `sales`.
        gaps: `zero`, `unknown`, or `auto`, which decides by `gaps_mean_zero`.

    Raises:
        UserError: no row has sales.
    """
    sales = rows["sales"].to_numpy().astype(float)
    known = np.isfinite(sales)
    if not known.any():
        raise UserError("no row has sales: upload the history of sales with at least some weeks of days.")
    stores, store = _codes(rows, "store")
    items, item = _codes(rows, "item")
    pairs, series = np.unique(store * len(items) + item, return_inverse=True)
    day = to_days(rows)
    first = int(day[known].min())
    shape = (len(pairs), int(day[known].max()) - first + 1)
    cell = series[known] * shape[1] + day[known] - first
    size = shape[0] * shape[1]
    sold = np.bincount(cell, np.maximum(sales[known], 0), size).reshape(shape)
    seen = (np.bincount(cell, minlength=size) > 0).reshape(shape)
    begun = np.maximum.accumulate(seen, axis=1)
    missing = int(begun.sum() - seen.sum())
    zero = gaps_mean_zero(gaps, missing, int(begun.sum()), int((seen & (sold == 0)).sum()))
    grid = Grid(
        sales=sold,
        seen=(begun if zero else seen).astype(float),
        store=pairs // len(items),
        item=pairs % len(items),
        stores=stores,
        items=items,
        first=first,
        zero_gaps=zero,
        gaps=missing,
    )
    return grid, series


def _codes(rows: "pa.Table", name: str) -> tuple[tuple[str, ...], Array]:
    encoded = rows[name].combine_chunks().dictionary_encode()
    labels = encoded.dictionary.to_pylist()
    order = sorted(labels)
    place = {label: code for code, label in enumerate(order)}
    return tuple(order), np.array([place[label] for label in labels], dtype=np.int64)[encoded.indices.to_numpy()]

"""Cells that are what their column holds, but cannot be true: days that no export has, numbers beyond all trade.

What does not belong here: rules of one pipeline. A wrong unit of time (`epoch_s` for milliseconds) shows here too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import cast

import polars as pl

from optiflow.split import ROW
from optiflow.upload.faults import cell_faults, no_faults

EARLIEST = date(1980, 1, 1)
"""Programs write 1900-01-01 and 1970-01-01 where they have no date."""

LEEWAY = timedelta(days=7)
"""A week may be named by its last day, and elsewhere it is tomorrow already."""

LARGEST = 1e15
"""The square of a larger number, and sums of them, are not safe in 32 or 64 bits."""

CORE = (0.05, 0.95)
REACH, APART = timedelta(days=365), timedelta(days=90)
"""Nothing for a year or, if longer, for as long as the middle nine tenths of the rows last, and a date beyond is far outside
and no true one; nothing for a quarter of that, and the date is worth a look."""


def implausible_cells(rows: pl.DataFrame, dates: Iterable[str], numbers: Iterable[str], today: date) -> pl.DataFrame:
    """A fault for every cell of a date before 1980 or over a week after `today`, or of a number beyond 1e15.

    Args:
        rows: `row`, and the columns that are named.
        dates: Columns of dates.
        numbers: Columns of numbers.
        today: The day of the check.
    """
    found = [no_faults()]
    for name in dates:
        day = pl.col(name).cast(pl.Date)
        rules = {
            f"is before {EARLIEST}, too early to be true": day < EARLIEST,
            f"is after today ({today})": day > today + LEEWAY,
        }
        found += [_faults(rows, name, rule, reason) for reason, rule in rules.items()]
    for name in numbers:
        rule = pl.col(name).abs() > LARGEST
        found.append(_faults(rows, name, rule, f"is beyond {LARGEST:.0e}, too large to be true"))
    return pl.concat(found)


@dataclass(frozen=True)
class Apart:
    """Rows whose date has nothing near it: `far` are faults, `told` is a sentence on those that may be true."""

    far: pl.DataFrame
    told: tuple[str, ...] = ()


def dates_apart(rows: pl.DataFrame, column: str) -> Apart:
    """Find rows dated far from all others, of which there are at most a twentieth on either side.

    Args:
        rows: `row` and `column` (Date or Datetime).
        column: The date by which rows follow one another.
    """
    days = rows[column].cast(pl.Date)
    ordered = days.drop_nulls().sort()
    known = ordered.unique(maintain_order=True)
    if len(known) < 2:
        return Apart(no_faults())
    low, high = (cast(date, ordered[int(share * (len(ordered) - 1))]) for share in CORE)
    reach = max(high - low, REACH)
    before = [day for day in reversed(known.to_list()) if day <= low]
    after = [day for day in known.to_list() if day >= high]
    early = [_edge(before, gap) for gap in (reach, max(reach / 4, APART))]
    late = [_edge(after, gap) for gap in (reach, max(reach / 4, APART))]
    first, last = early[1], late[1]
    day = pl.col(column).cast(pl.Date)
    far = _faults(
        rows, column, (day < early[0]) | (day > late[0]), f"lies years from the other dates ({first} to {last})"
    )
    near = rows.filter(((day < first) & (day >= early[0])) | ((day > last) & (day <= late[0])))
    if near.is_empty():
        return Apart(far)
    shown = ", ".join(f"{found:%Y-%m-%d} in row {row}" for row, found in near.select(ROW, day).head(3).iter_rows())
    return Apart(
        far,
        (
            f"{column}: {near.height:,} {'row is' if near.height == 1 else 'rows are'} dated apart from the others "
            f"({first} to {last}), such as {shown}. Mend the file if they are wrong.",
        ),
    )


def _edge(days: list[date], gap: timedelta) -> date:
    """The last of `days`, which lead away from the others, before the first gap of more than `gap`."""
    for one, following in pairwise(days):
        if abs(following - one) > gap:
            return one
    return days[-1]


def _faults(rows: pl.DataFrame, column: str, rule: pl.Expr, reason: str) -> pl.DataFrame:
    bad = rows.select(rule.fill_null(False)).to_series()
    return cell_faults(rows, column, bad, reason) if bad.any() else no_faults()

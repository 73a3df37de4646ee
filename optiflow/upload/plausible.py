"""Cells that are what their column holds, but cannot be true: days that no export has, numbers beyond all trade.

What does not belong here: rules of one pipeline. A wrong unit of time (`epoch_s` for milliseconds) shows here too.
"""

from collections.abc import Iterable
from datetime import date, timedelta

import polars as pl

from optiflow.roles import Role
from optiflow.upload.faults import cell_faults, no_faults

EARLIEST = date(1980, 1, 1)
"""Programs write 1900-01-01 and 1970-01-01 where they have no date."""

LEEWAY = timedelta(days=7)
"""A week may be named by its last day, and elsewhere it is tomorrow already."""

LARGEST = 1e15
"""The square of a larger number, and sums of them, are not safe in 32 or 64 bits."""


def implausible_cells(rows: pl.DataFrame, roles: Iterable[Role], today: date) -> pl.DataFrame:
    """A fault for every cell of a date before 1980 or over a week after `today`, or of a number beyond 1e15.

    Args:
        rows: `row`, and columns by the names of their roles.
        roles: Those that `rows` has.
        today: The day of the check.
    """
    found = [no_faults()]
    for role in roles:
        cell = pl.col(role.name)
        if role.kind == "date":
            day = cell.cast(pl.Date)
            rules = {
                f"is before {EARLIEST}, too early to be true": day < EARLIEST,
                f"is after today ({today})": day > today + LEEWAY,
            }
        elif role.kind == "number":
            rules = {f"is beyond {LARGEST:.0e}, too large to be true": cell.abs() > LARGEST}
        else:
            continue
        for reason, rule in rules.items():
            bad = rows.select(rule.fill_null(False)).to_series()
            if bad.any():
                found.append(cell_faults(rows, role.name, bad, reason))
    return pl.concat(found)

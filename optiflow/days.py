"""The days that a table spans."""

from datetime import date
from typing import cast

import polars as pl


def first_and_last(days: pl.Series) -> tuple[date, date]:
    """The first and the last of some days (Date), of which there is at least one."""
    return cast(date, days.min()), cast(date, days.max())


def days_spanned(days: pl.Series) -> int:
    """The days from the first to the last, both included."""
    first, last = first_and_last(days)
    return (last - first).days + 1

"""The days that a table spans, and the year between a day and the same one of last year."""

from datetime import date, timedelta
from typing import cast

import polars as pl

YEAR = timedelta(weeks=52)
"""364 days, so that weekdays and most holidays stay in place."""


def first_and_last(days: pl.Series) -> tuple[date, date]:
    """The first and the last of some days (Date), of which there is at least one."""
    return cast(date, days.min()), cast(date, days.max())


def periods_spanned(days: pl.Series, length: int = 1) -> int:
    """The periods of `length` days from the first day to the last, the last one's included."""
    first, last = first_and_last(days)
    return (last - first).days // length + 1

"""Daily rows as weeks: which files hold days, which week a day is in, and weeks that lack days at either end.

What belongs here: from days to weeks. What does not: weekly rows (`weeks`).
"""

from datetime import timedelta

import polars as pl

from optiflow.days import first_and_last
from optiflow.split import ROW
from optiflow.upload.faults import SCHEMA
from optiflow.upload.left_out import REASON

MOST = 0.6
"""Over so many of the steps between a store's dates are shorter than a week in a file of days."""

USUAL = 0.5
"""A weekday on which shops open has rows in at least so many weeks."""

STOPPED_DAYS = 14


def are_days(rows: pl.DataFrame) -> bool:
    """Whether the rows (`store`, `date`) are days rather than weeks: most stores' dates follow in under a week."""
    dates = rows.select("store", pl.col("date").cast(pl.Date)).unique().sort("store", "date")
    steps = dates.select(pl.col("date").diff().over("store").dt.total_days()).to_series().drop_nulls()
    return len(steps) > 0 and float((steps < 7).mean()) > MOST  # pyright: ignore[reportArgumentType]


def with_calendar_weeks(rows: pl.DataFrame, date_is: str) -> pl.DataFrame:
    """The rows with whole days, and `week`: the Sunday (`week_end`) or Monday (`week_start`) of each one's week."""
    rows = rows.with_columns(pl.col("date").cast(pl.Date))
    return rows.with_columns(
        week=pl.col("date").dt.truncate("1w") + pl.duration(days=6 if date_is == "week_end" else 0)
    )


def to_weeks(rows: pl.DataFrame, date_is: str) -> pl.DataFrame:
    """One row for each store and week, named by the week's own day: sales added up, the rest as on its first day."""
    weekly = with_calendar_weeks(rows, date_is).sort("store", "date", ROW)
    others = [name for name in rows.columns if name not in (ROW, "store", "date", "sales")]
    return (
        weekly.group_by("store", "week", maintain_order=True)
        .agg(pl.col(ROW).min(), pl.col("sales").sum(), pl.col(others).first())
        .rename({"week": "date"})
        .select(rows.columns)
        .sort(ROW)
    )


def broken_weeks(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of weeks at either end that lack days on which shops are usually open, as `optiflow.upload.faults.SCHEMA`.

    Those are the file's first and last week, and a store's own where it opened or closed for good in between.

    Args:
        rows: `row`, `store`, `date`, `sales` of days.
    """
    days = with_calendar_weeks(rows, "week_start").with_columns(weekday=pl.col("date").dt.weekday())
    first, last = first_and_last(days["date"])
    open_first, open_last = _open_weekdays(days)
    at_begin = (pl.col("week") == pl.lit(first).dt.truncate("1w")) & pl.lit(first.isoweekday() > open_first)
    at_end = (pl.col("week") == pl.lit(last).dt.truncate("1w")) & pl.lit(last.isoweekday() < open_last)
    opened, closed = pl.col("date").min().over("store"), pl.col("date").max().over("store")
    # A day without a row in the middle may be a holiday, or a day on which nothing was sold.
    own_begin = (opened > first + timedelta(7)) & (pl.col("week") == opened.dt.truncate("1w"))
    own_begin &= opened.dt.weekday() > open_first
    own_end = (closed < last - timedelta(STOPPED_DAYS)) & (pl.col("week") == closed.dt.truncate("1w"))
    own_end &= closed.dt.weekday() < open_last
    keep = "If it is whole, say so: `unfinished: keep`"
    reason = (
        pl.when(at_end)
        .then(pl.lit(f"the last week of the file is not whole, it ends on {last:%A}, {last}. {keep}"))
        .when(at_begin)
        .then(pl.lit(f"the first week of the file is not whole, it begins on {first:%A}, {first}. {keep}"))
        .when(own_begin | own_end)
        .then(pl.lit(f"the first or last week of a store that opened or closed is not whole. {keep}"))
    )
    return (
        days.with_columns(reason=reason)
        .drop_nulls("reason")
        .select(
            pl.col(ROW).cast(pl.Int64),
            column=pl.lit(None, pl.String),
            reason=pl.lit(REASON) + pl.col("reason"),
            value=pl.col("date").cast(pl.String),
        )
        .select(*SCHEMA)
    )


def _open_weekdays(days: pl.DataFrame) -> tuple[int, int]:
    """The first and the last weekday (1 is Monday) on which shops usually are open."""
    weeks = days["week"].n_unique()
    counts = days.group_by("weekday").agg(weeks=pl.col("week").n_unique())
    usual = counts.filter(pl.col("weeks") >= USUAL * weeks)["weekday"].to_list() or counts["weekday"].to_list()
    return min(usual), max(usual)

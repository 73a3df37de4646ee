"""Totals of series of which some days are not known: what counts for such a day, so that totals are of all series.

What belongs here: values for sums that people look at. What does not: rows that a model learns from or is judged by, where
an unknown day is left out, and days without a row that count as zero (`gaps`).
"""

from collections.abc import Sequence

import polars as pl

from optiflow.days import first_and_last

LONGEST_WEEKS = 4
"""A longer gap is a season off sale or a store given up; both count as nothing sold."""


def with_means(rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, period: int = 1) -> pl.DataFrame:
    """The rows, and one for each period without a row, in gaps of up to four weeks, with the mean of those around it.

    The mean is of the same weekday's known days within four weeks, or of all days' where it has none. Gaps reach from each
    series' first row to the table's last date.

    Args:
        rows: `keys`, `date` (Date), `value`, nothing missing; one row a series and period.
        keys: What tells the series apart.
        date: The date column.
        value: What is summed up.
        period: Days in a period: 7 or 1.

    Returns:
        `keys`, `date`, `value` (Float64), by series and in order of time.
    """
    known = rows.select(*keys, date, pl.col(value).cast(pl.Float64))
    _, last = first_and_last(known[date])
    number = (pl.col(date) - pl.col(date).min().over(keys)).dt.total_days() // period
    known = known.with_columns(number=number)
    periods = (pl.lit(last) - pl.col("start")).dt.total_days() // period + 1
    spans = known.group_by(keys).agg(start=pl.col(date).min()).with_columns(periods=periods)
    every = spans.with_columns(number=pl.int_ranges("periods")).explode("number")
    added = every.join(known, on=[*keys, "number"], how="anti").with_columns(
        (pl.col("start") + pl.duration(days=pl.col("number") * period)).alias(date)
    )
    grid = pl.concat([known, added.select(*keys, date, "number")], how="diagonal").sort(*keys, "number")
    at = pl.when(pl.col(value).is_not_null()).then("number")
    grid = grid.join(spans.select(*keys, "periods"), on=list(keys), maintain_order="left").with_columns(
        before=at.forward_fill().over(keys), after=at.backward_fill().over(keys).fill_null(pl.col("periods"))
    )
    short = (pl.col("after") - pl.col("before") - 1) * period <= 7 * LONGEST_WEEKS
    kept = grid.filter(pl.col(value).is_not_null() | short)
    return _filled(kept, keys, date, value, period).select(*keys, date, value)


def on_rows_of(
    whole: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, period: int = 1
) -> pl.DataFrame:
    """`value` of `rows` on every series and date of `whole`, with the means around it where `rows` has none.

    Args:
        whole: `keys`, `date`, as `with_means` gives them.
        rows: `keys`, `date`, `value`; some of them.
        keys: As in `with_means`, and so the others.
        date: The date column.
        value: What is summed up.
        period: Days in a period.
    """
    grid = whole.select(*keys, date).join(rows.select(*keys, date, value), on=[*keys, date], how="left")
    return _filled(grid.sort(*keys, date), keys, date, value, period).drop_nulls(value)


def in_words(whole: pl.DataFrame, rows: pl.DataFrame, unit: str) -> str:
    """What was added to the rows, as a sentence for the report; empty if nothing was. `unit` is `item-day` or `store-week`."""
    added = whole.height - rows.height
    if not added:
        return ""
    return (
        f"{added:,} {unit}s without a row are not known; each counts as the mean of those around it, of the same series. Gaps "
        f"of over {LONGEST_WEEKS} weeks count as nothing sold."
    )


def _filled(grid: pl.DataFrame, keys: Sequence[str], date: str, value: str, period: int) -> pl.DataFrame:
    """The rows, which follow one another in each series, with the means around them for nulls of `value`."""
    by_weekday = pl.col(value).rolling_mean(2 * LONGEST_WEEKS + 1, center=True, min_samples=1)
    of_all = pl.col(value).rolling_mean(2 * LONGEST_WEEKS * 7 // period + 1, center=True, min_samples=1)
    # Weeks of one series may be named by different weekdays.
    weekday = pl.col(date).dt.weekday() if period == 1 else pl.lit(1)
    grid = grid.with_columns(weekday=weekday)
    return grid.with_columns(
        pl.coalesce(value, by_weekday.over(*keys, "weekday"), of_all.over(keys)).alias(value)
    ).drop("weekday")

"""The as-of calendar: what was known of every series on every day. Pure; no orders and no FRED here."""

from datetime import date

import polars as pl

DAY = "day"


def asof_calendar(series: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """The newest published value of every series on every day from `start` to `end`, both included.

    A value is that of the newest observation among those with `available_at <= day`. Missing values do not count: the
    last published one holds. A revision or a late release of an older observation never replaces a newer one.

    Args:
        series: Rows of `optiflow.fred.series.SERIES_SCHEMA`, of any number of series, in any order. Of two rows of
            the same observation, the one that became available later counts from then on.
        start: The first day.
        end: The last day.

    Returns:
        One row per day, sorted: `day` (Date) and one Float64 column per series id, in order of first appearance; null
        before a series' first publication.
    """
    calendar = pl.DataFrame({DAY: pl.date_range(start, end, eager=True)})
    for series_id in series["series_id"].unique(maintain_order=True):
        steps = _steps(series.filter(pl.col("series_id") == series_id), str(series_id))
        calendar = calendar.join_asof(steps, on=DAY)
    return calendar


def _steps(one_series: pl.DataFrame, name: str) -> pl.DataFrame:
    """Days (sorted, unique) and the value that is the newest one from that day on."""
    published = one_series.drop_nulls(["available_at", "observation_date", "value"])
    by_release = published.sort("available_at", "observation_date", maintain_order=True)
    newest = by_release.filter(pl.col("observation_date") >= pl.col("observation_date").cum_max())
    latest_of_day = newest.unique("available_at", keep="last", maintain_order=True)
    return latest_of_day.select(pl.col("available_at").alias(DAY), pl.col("value").cast(pl.Float64).alias(name))

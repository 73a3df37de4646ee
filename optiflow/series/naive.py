"""Naive forecasts, which a model must beat: what was sold a year before, what was sold lately, and flat means."""

from collections.abc import Sequence

import polars as pl

LEAST_DAYS = 14


def year_before(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    """The value of 364 days (52 weeks, the same weekday) earlier, or `lately` where that day is not known.

    Args:
        history: What is known: `keys`, `date` (Date), `value`; one row a series and day.
        rows: The rows to forecast: `keys` and `date`.
        keys: What tells the series apart.
        date: The date column.
        value: The column to forecast.

    Returns:
        Float64 of `rows.height`, in its order, nothing missing.
    """
    moved = history.select(*keys, pl.col(date).dt.offset_by("364d"), naive=pl.col(value).cast(pl.Float64))
    found = rows.select(*keys, date).join(moved, on=[*keys, date], how="left", maintain_order="left")["naive"]
    return found.fill_null(lately(history, rows, keys, date, value)).rename(value)


def lately(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    """The mean of the series' values over the last 8 weeks of the history, by weekday.

    Where a weekday has none, the series' mean; where the series has none, the mean of all. Arguments and result as in
    `year_before`.
    """
    known = history.select(*keys, date, weekday=pl.col(date).dt.weekday(), naive=pl.col(value).cast(pl.Float64))
    recent = known.filter(pl.col(date) > pl.col(date).max() - pl.duration(days=56))
    wanted = rows.select(*keys, weekday=pl.col(date).dt.weekday())
    guess = pl.Series("naive", [None] * rows.height, dtype=pl.Float64)
    for part, by in ((recent, [*keys, "weekday"]), (recent, keys), (known, keys)):
        means = part.group_by(by).agg(pl.col("naive").mean())
        guess = guess.fill_null(wanted.join(means, on=by, how="left", maintain_order="left")["naive"])
    return guess.fill_null(known["naive"].mean()).rename(value)


def flat_mean(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, days: int
) -> pl.Series:
    """The mean of the series' values over the last `days` of the history, every day alike.

    A mean of fewer than 14 values is noise that no user would go by: there that of all series with its last key (the
    item) is taken instead, and where there is none, the mean of all. Arguments and result as in `year_before`.
    """
    known = history.select(*keys, date, naive=pl.col(value).cast(pl.Float64))
    recent = known.filter(pl.col(date) > pl.col(date).max() - pl.duration(days=days))
    guess = pl.Series("naive", [None] * rows.height, dtype=pl.Float64)
    for part, by, least in ((recent, keys, LEAST_DAYS), (known, keys, LEAST_DAYS), (known, keys[-1:], 1)):
        means = part.group_by(by).agg(pl.col("naive").mean(), size=pl.len()).filter(pl.col("size") >= least)
        found = rows.select(keys).join(means, on=list(by), how="left", maintain_order="left")
        guess = guess.fill_null(found["naive"])
    return guess.fill_null(known["naive"].mean()).rename(value)

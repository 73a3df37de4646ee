"""Naive forecasts, which a model must beat: what was sold a year before, what was sold lately, what is usual, and flat means."""

from collections.abc import Mapping, Sequence

import polars as pl

from optiflow.days import periods_spanned

YEAR, LATELY_WEEKS = "364d", 8
FLAT_DAYS, LEAST_DAYS = (28, 364), 14


def naive_forecasts(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, *, period: int
) -> Mapping[str, pl.Series]:
    """The naive forecasts that the history allows, each under a name that says what it is.

    Where no row has a year before, there is no forecast by it; where some have none, the name says what they got. `the
    mean of all weeks` is there since sales without a season are told best by it.

    Args:
        history: As in `year_before`.
        rows: As in `year_before`.
        keys: As in `year_before`.
        date: The date column.
        value: The column to forecast.
        period: Days in a period: 7 or 1. Days are told apart by weekday.

    Returns:
        Name -> Float64 of `rows.height`, in its order, nothing missing.
    """
    by_weekday = "" if period == 7 else " by weekday"
    weeks = min(LATELY_WEEKS, periods_spanned(history[date], 7))
    recent = f"mean of the last {weeks} weeks{by_weekday}" if weeks > 1 else f"mean of the last week{by_weekday}"
    named = {
        recent: lately(history, rows, keys, date, value),
        f"mean of all weeks{by_weekday}": usual(history, rows, keys, date, value),
    }
    found = _a_year_before(history, rows, keys, date, value)
    missing = found.null_count()
    if missing == rows.height:
        return named
    same = "the same week a year before" if period == 7 else "the same weekday a year before"
    name = f"{same}, or the {recent}" if missing else same
    return {name: found.fill_null(named[recent]), **named}


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
    found = _a_year_before(history, rows, keys, date, value)
    return found.fill_null(lately(history, rows, keys, date, value)).rename(value)


def lately(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    """The mean of the series' values over the last 8 weeks of the history, by weekday.

    Where a weekday has none, the series' mean; where the series has none, the mean of all. Arguments and result as in
    `year_before`.
    """
    known = _with_weekday(history, keys, date, value)
    recent = known.filter(pl.col(date) > pl.col(date).max() - pl.duration(weeks=LATELY_WEEKS))
    return _first_known(known, rows, date, [(recent, [*keys, "weekday"]), (recent, keys), (known, keys)]).rename(value)


def usual(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    """The mean of all the series' values, by weekday; otherwise as `lately`."""
    known = _with_weekday(history, keys, date, value)
    return _first_known(known, rows, date, [(known, [*keys, "weekday"]), (known, keys)]).rename(value)


def _a_year_before(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    moved = history.select(*keys, pl.col(date).dt.offset_by(YEAR), naive=pl.col(value).cast(pl.Float64))
    return rows.select(*keys, date).join(moved, on=[*keys, date], how="left", maintain_order="left")["naive"]


def _with_weekday(history: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.DataFrame:
    return history.select(*keys, date, weekday=pl.col(date).dt.weekday(), naive=pl.col(value).cast(pl.Float64))


def _first_known(
    known: pl.DataFrame, rows: pl.DataFrame, date: str, parts: Sequence[tuple[pl.DataFrame, Sequence[str]]]
) -> pl.Series:
    """The mean of each row's group in the first part that has it, else the mean of all."""
    wanted = rows.with_columns(weekday=pl.col(date).dt.weekday())
    guess = pl.Series("naive", [None] * rows.height, dtype=pl.Float64)
    for part, by in parts:
        means = part.group_by(by).agg(pl.col("naive").mean().alias("mean"))
        guess = guess.fill_null(wanted.select(by).join(means, on=by, how="left", maintain_order="left")["mean"])
    return guess.fill_null(known["naive"].mean())


def flat_means(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str
) -> Mapping[str, pl.Series]:
    """The mean of the last 28 and of the last 364 days, every day alike, each named after the days that there are.

    Arguments and result as in `naive_forecasts`.
    """
    known = periods_spanned(history[date])
    return {
        f"mean of the last {days} days": flat_mean(history, rows, keys, date, value, days)
        for days in dict.fromkeys(min(days, known) for days in FLAT_DAYS)
    }


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

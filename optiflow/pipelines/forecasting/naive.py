"""Naive forecasts, which a model must beat: what was sold a year before, what was sold lately, what is usual, and flat means."""

from collections.abc import Mapping, Sequence

import polars as pl

from optiflow.days import YEAR, periods_spanned

LATELY_WEEKS = 8
FLAT_DAYS, LEAST = (28, 364), 4
"""The days of flat means, and the fewest values that one is taken of. Of rows on two days a week, 28 days have eight."""

Part = tuple[pl.DataFrame, Sequence[str], int]
"""Rows with a value `naive`, the columns that tell their groups, and the fewest values that a group's mean is taken of."""


def naive_forecasts(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, *, period: int
) -> Mapping[str, pl.Series]:
    """The naive forecasts that the history allows, each under a name that says what it is.

    Where no row has a year before, there is no forecast by it; where some have none, or their series nothing in the last
    weeks, the name says what they got. `the mean of all weeks` is there since sales without a season are told best by it.

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
    last_weeks, from_them = _lately(history, rows, keys, date, value)
    recent = recent if from_them else f"{recent}, or of all weeks"
    named = {
        recent: last_weeks,
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

    Where a weekday has none, the series' mean over them; where the series has none there, its mean over all weeks; else the
    mean of all. Arguments and result as in `year_before`.
    """
    return _lately(history, rows, keys, date, value)[0].rename(value)


def usual(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    """The mean of all the series' values, by weekday; otherwise as `lately`."""
    known = _with_weekday(history, keys, date, value)
    return _first_known(known, rows, date, [(known, [*keys, "weekday"], 1), (known, keys, 1)]).rename(value)


def _a_year_before(history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.Series:
    moved = history.select(*keys, pl.col(date) + YEAR, naive=pl.col(value).cast(pl.Float64))
    return rows.select(*keys, date).join(moved, on=[*keys, date], how="left", maintain_order="left")["naive"]


def _with_weekday(history: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.DataFrame:
    return history.select(*keys, date, weekday=pl.col(date).dt.weekday(), naive=pl.col(value).cast(pl.Float64))


def _lately(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str
) -> tuple[pl.Series, bool]:
    """As `lately`, and whether all of it is from the last 8 weeks."""
    known = _with_weekday(history, keys, date, value)
    recent = known.filter(pl.col(date) > pl.col(date).max() - pl.duration(weeks=LATELY_WEEKS))
    parts: list[Part] = [(recent, [*keys, "weekday"], 1), (recent, keys, 1), (known, keys, 1)]
    return _first_known(known, rows, date, parts), _all_in(recent, rows, keys, 1)


def _first_known(known: pl.DataFrame, rows: pl.DataFrame, date: str, parts: Sequence[Part]) -> pl.Series:
    """The mean of each row's group in the first part that has enough of it, else the mean of all."""
    wanted = rows.with_columns(weekday=pl.col(date).dt.weekday()) if date in rows.columns else rows
    guess = pl.Series("naive", [None] * rows.height, dtype=pl.Float64)
    for part, by, least in parts:
        means = part.group_by(by).agg(pl.col("naive").mean().alias("mean"), size=pl.len())
        found = means.filter(pl.col("size") >= least)
        guess = guess.fill_null(wanted.select(by).join(found, on=by, how="left", maintain_order="left")["mean"])
    return guess.fill_null(known["naive"].mean())


def _all_in(known: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], least: int) -> bool:
    """Whether each row's series has so many values."""
    enough = known.group_by(keys).len().filter(pl.col("len") >= least)
    return rows.join(enough, on=list(keys), how="anti").is_empty()


def flat_means(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str
) -> Mapping[str, pl.Series]:
    """The mean of the last 28 and of the last 364 days, every day alike, each named after the days that there are.

    Where series have under four values in them, the name says that they got a mean of all days. Arguments and result as in
    `naive_forecasts`.
    """
    known, named = periods_spanned(history[date]), {}
    for days in dict.fromkeys(min(days, known) for days in FLAT_DAYS):
        own = _all_in(_last_days(history, date, days), rows, keys, LEAST)
        name = f"mean of the last {days} days" + (
            "" if own else f", or of all days where they have under {LEAST} values"
        )
        named[name] = flat_mean(history, rows, keys, date, value, days)
    return named


def flat_mean(
    history: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[str], date: str, value: str, days: int
) -> pl.Series:
    """The mean of the series' values over the last `days` of the history, every day alike.

    A mean of fewer than four values is noise: there that of all the series' days is taken instead, where it has so many,
    else that of all series with its last key (the item), and where there is none, the mean of all. Arguments and result as
    in `year_before`.
    """
    known = history.select(*keys, date, naive=pl.col(value).cast(pl.Float64))
    recent = _last_days(known, date, days)
    parts: list[Part] = [(recent, keys, LEAST), (known, keys, LEAST), (known, keys[-1:], 1)]
    return _first_known(known, rows, date, parts).rename(value)


def _last_days(history: pl.DataFrame, date: str, days: int) -> pl.DataFrame:
    return history.filter(pl.col(date) > pl.col(date).max() - pl.duration(days=days))

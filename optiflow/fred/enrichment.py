"""Orders meet macro series: the join by day, how far the series cover the orders, and the proof that nothing leaked.

What belongs here: pure functions on polars frames. What does not: where series come from (`resources.fred`) and what
was known when (`optiflow.fred.calendar`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

import polars as pl

from optiflow.errors import UserError
from optiflow.fred.calendar import DAY
from optiflow.fred.series import infer_frequency, lag_days

_JOIN_KEY = "__optiflow_day"


@dataclass(frozen=True)
class SeriesCoverage:
    """How far one series covers a set of orders.

    `rows_before` orders are older than the first published value and have none. `rows_stale` orders are newer than
    the last published value by more than two publication lags: they all see that same old value.
    """

    first_available: date
    last_available: date
    rows_before: int
    rows_stale: int


def enrich(orders: pl.LazyFrame, calendar: pl.DataFrame, date_column: str) -> pl.LazyFrame:
    """The orders with the value of every series that was known on the order's day.

    One equi-join by day, streamed, so that its cost barely grows with the number of series. Rows and their order stay
    as they are; a row whose date is null or outside the calendar gets nulls.

    Args:
        orders: Any columns, among them `date_column` (Date or Datetime).
        calendar: As from `optiflow.fred.calendar.asof_calendar`.
        date_column: The orders' date.

    Returns:
        The orders' columns, then one Float64 column per series.

    Raises:
        UserError: no such date column, it holds no dates, or a series has the name of an orders column.
    """
    schema = orders.collect_schema()
    if date_column not in schema:
        raise UserError(f"No column {date_column!r} to join FRED series on. Columns: {', '.join(schema)}.")
    dtype = schema[date_column]
    if not isinstance(dtype, pl.Date | pl.Datetime):
        raise UserError(f"Column {date_column!r} holds {dtype}, not dates: set `date_column` to the order date.")
    refuse_taken_names(schema, [name for name in calendar.columns if name != DAY])
    keyed = orders.with_columns(pl.col(date_column).dt.date().alias(_JOIN_KEY))
    days = calendar.lazy().rename({DAY: _JOIN_KEY})
    # Rows must stay in order (a run over the same file gives the same bytes); costs a fifth over an unordered join.
    return keyed.join(days, on=_JOIN_KEY, how="left", maintain_order="left").drop(_JOIN_KEY)


def refuse_taken_names(columns: Iterable[str], series_ids: Iterable[str]) -> None:
    """Refuse a series that is called like a column of the orders.

    Raises:
        UserError: one is.
    """
    names = set(columns)
    if taken := [series_id for series_id in series_ids if series_id in names]:
        raise UserError(
            f"The orders already have a column {', '.join(taken)}, the name of a FRED series: "
            "rename the column in the file, or take the series out of `fred_series`."
        )


def series_coverage(series: pl.DataFrame, order_dates: pl.Series) -> dict[str, SeriesCoverage]:
    """How far each series covers the orders; no row is ever dropped for it.

    Args:
        series: Rows of `optiflow.fred.series.SERIES_SCHEMA`, of any number of series.
        order_dates: The orders' date column (Date or Datetime), any length; nulls are left out.

    Raises:
        UserError: a series has no value for any order, since it begins after the last one or holds no value at all.
    """
    days = order_dates.cast(pl.Date).drop_nulls()
    coverage = {}
    for series_id in series["series_id"].unique(maintain_order=True):
        published = series.filter(pl.col("series_id") == series_id).drop_nulls("value")
        if published.is_empty():
            raise UserError(f"FRED series {series_id} holds no value at all: take it out of `fred_series`.")
        begin = cast(date, published["available_at"].min())
        end = cast(date, published["available_at"].max())
        before = int((days < begin).sum())
        if before and before == len(days):
            raise UserError(
                f"FRED series {series_id} was first published on {begin}, after every order "
                f"({days.min()} to {days.max()}): choose a series that begins earlier, or take it out of `fred_series`."
            )
        patience = timedelta(days=2 * lag_days(infer_frequency(published["observation_date"])))
        coverage[str(series_id)] = SeriesCoverage(begin, end, before, int((days > end + patience).sum()))
    return coverage


def values_by_day(
    enriched: pl.LazyFrame, series: pl.DataFrame, date_column: str, *, most: int = 100_000
) -> pl.LazyFrame:
    """The distinct days and values of an enriched table, which `future_violations` looks at: a few thousand as a rule.

    Args:
        enriched: `date_column` and a column for every series id in `series`.
        series: Rows of `optiflow.fred.series.SERIES_SCHEMA`.
        date_column: The orders' date, Date or Datetime.
        most: At most so many are given.
    """
    ids = series["series_id"].unique(maintain_order=True)
    return enriched.select(pl.col(date_column).dt.date().alias(DAY), *ids).drop_nulls(DAY).unique().head(most)


def future_violations(seen: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Values of an enriched table that are not the newest ones published by their day.

    Shares no code with the calendar: a plain sweep over days and releases in Python. Rows of the same day and the same
    values are looked at once, so that a sound table of any size is checked whole.

    Args:
        seen: As from `values_by_day`.
        series: Rows of `optiflow.fred.series.SERIES_SCHEMA`.

    Returns:
        `day`, `series_id`, `found`, `expected`, one row per wrong value; empty if all is well.
    """
    ids = [str(series_id) for series_id in series["series_id"].unique(maintain_order=True)]
    rows = seen.sort(DAY)
    wrong = []
    for series_id in ids:
        expected = _newest_by_day(series.filter(pl.col("series_id") == series_id), rows[DAY].to_list())
        pairs = rows.select(
            DAY, series_id=pl.lit(series_id), found=series_id, expected=pl.Series(expected, dtype=pl.Float64)
        )
        wrong.append(pairs.filter(pl.col("found").ne_missing(pl.col("expected"))))
    schema = {DAY: pl.Date, "series_id": pl.String, "found": pl.Float64, "expected": pl.Float64}
    return pl.concat([pl.DataFrame(schema=schema), *wrong])


def _newest_by_day(releases: pl.DataFrame, sorted_days: Sequence[date]) -> list[float | None]:
    """For each day the value of the newest observation among the releases up to it."""
    columns = releases.drop_nulls("value").select("available_at", "observation_date", "value")
    waiting = sorted(columns.rows(), key=lambda row: (row[0], row[1]), reverse=True)
    newest: tuple[date, float] | None = None
    values = []
    for day in sorted_days:
        while waiting and waiting[-1][0] <= day:
            _, observed, value = waiting.pop()
            if newest is None or observed >= newest[0]:
                newest = (observed, value)
        values.append(newest[1] if newest else None)
    return values

"""Weeks of weekly rows: which week a row is of, and what there is and is not."""

import re
from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

STALE_WEEKS = 4


def with_weeks(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with whole days in `date`, and `week`, the first day of each one's week counted from the first date."""
    rows = rows.with_columns(pl.col("date").cast(pl.Date))
    first = rows["date"].min()
    days = (pl.col("date") - pl.lit(first)).dt.total_days()
    return rows.with_columns(week=pl.lit(first) + pl.duration(days=days // 7 * 7))


def week_date_of(header: str) -> str | None:
    """What the header of a week's date says of it: `week_ending`, `Week commencing`; None where it says nothing."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header).casefold())
    ends = any(word in ("end", "ends", "ending", "ended") for word in words)
    begins = any(
        word in ("begin", "begins", "beginning", "start", "starts", "starting", "commencing") for word in words
    )
    return None if ends == begins else "ends" if ends else "begins"


def week_in_words(day: date, week_date: str | None) -> str:
    """The days of the week that a date names: `2016-07-02 to 2016-07-08`; the date alone where it may be the first or the last."""
    if week_date is None:
        return str(day)
    first = day - timedelta(6) if week_date == "ends" else day
    return f"{first} to {first + timedelta(6)}"


def naming_in_words(day: date, week_date: str | None) -> str:
    """How the file names its weeks, in a sentence."""
    weekday = f"{day:%A}"
    if week_date is None:
        return (
            f"Weeks go by their {weekday}; whether a week begins or ends with it the file does not say: set the option "
            "`week_date: begins` or `week_date: ends`."
        )
    return f"Weeks go by their {weekday}, with which they {week_date.removesuffix('s')}."


def count_weeks(rows: pl.DataFrame, key: str, value: str, short: int) -> Mapping[str, int]:
    """Series, their gaps, and which are new or have stopped.

    Args:
        rows: `date`, `key` and `value`.
        key: What tells the series apart.
        value: What is sold.
        short: A history of fewer weeks is short.
    """
    weekly = with_weeks(rows)
    series = weekly.group_by(key).agg(weeks=pl.len(), first=pl.col("week").min(), last=pl.col("week").max())
    span = (pl.col("last") - pl.col("first")).dt.total_days() // 7 + 1
    stale = pl.col("last") <= pl.lit(series["last"].max()) - pl.duration(weeks=STALE_WEEKS)
    return {
        f"{key}s": series.height,
        "weeks": weekly["week"].n_unique(),
        f"missing_{key}_weeks": int(series.select((span - pl.col("weeks")).sum()).item()),
        "zero_sales_rows": int((rows[value] == 0).sum()),
        f"{key}s_with_short_history": series.filter(span < short).height,
        f"{key}s_without_row_in_4_weeks": series.filter(stale).height,
    }

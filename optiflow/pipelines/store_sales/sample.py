"""The sample of `store_sales`: a seeded generator of a garden-centre chain's weekly sales, whose causes are known.

What belongs here: the stores that the sample comes from. What does not: any knowledge of how an upload is read or a model
is trained; the sample goes through the same door as a user's own file.
"""

import math
from datetime import date
from typing import Any

import numpy as np
import polars as pl

FILE_NAME = "sample-weekly-sales.csv"
FIRST_DAY, WEEKS = date(2013, 9, 6), 148
SAMPLE_OPTIONS: dict[str, Any] = {"horizon": 8, "hyperparameters": {"trials": "2", "origins": "2", "trees": "60"}}
"""Few trials and small trees, so that the sample is through in seconds."""

EASTER_LIFT, PAYDAY_LIFT, NOISE = 1.35, 1.12, 0.02
EASTERS = (date(2014, 4, 20), date(2015, 4, 5), date(2016, 3, 27))
"""Easter Sundays of the sample's years."""

NEW_FOR, MISSING = 40, 0.01
"""Weeks since the last store opened, and the share of store-weeks that nobody recorded."""

_STORES = pl.DataFrame(
    [
        ("Riverside", 82000.0, 1.06, 0.35),
        ("Old Town", 41000.0, 0.97, 0.25),
        ("North Gate", 120000.0, 1.02, 0.45),
        ("Airport", 60000.0, 1.10, 0.30),
    ],
    ["Store", "level", "growth", "season"],
    orient="row",
)


def store_sales(weeks: int = WEEKS, seed: int = 5) -> pl.DataFrame:
    """Nearly three years of weekly sales of 4 garden centres; a week is named by its last day, a Friday.

    Sales in dollars are a product of:

    - store: 41,000 to 120,000 a week, growing by -3 to 10 % a year;
    - season: a yearly wave with its top in May, 1.6 to 2.5 times from trough to peak;
    - the week before Easter: 1.35 times, which moves through the weeks from year to year;
    - the first days of a month: a week that holds five of them sells 1.12 times;
    - noise of 2 %.

    `Temperature` follows the season and has no effect of its own; `Holiday_Flag` is 1 in the week before Easter. The
    store `Airport` opened 40 weeks before the end, too late for a season of its own. Of the rows 1 % are missing.

    Args:
        weeks: Number of weeks, the first of them 2013-09-06.
        seed: Equal seeds give equal tables.

    Returns:
        `Store` (String), `Date` (Date), `Weekly_Sales` (Float64, dollars), `Holiday_Flag` (Int64), `Temperature` (Float64,
        °F).
    """
    rng = np.random.default_rng(seed)
    calendar = pl.DataFrame({"week": range(weeks)}).with_columns(Date=FIRST_DAY + pl.duration(weeks="week"))
    calendar = calendar.with_columns(
        Holiday_Flag=pl.any_horizontal(
            *((pl.lit(day) - pl.col("Date")).dt.total_days().is_between(1, 7) for day in EASTERS)
        ).cast(pl.Int64),
        phase=((pl.col("Date").dt.ordinal_day() - 135) * (2 * math.pi / 365.25)).cos(),
        month_start=sum((pl.col("Date").dt.offset_by(f"-{i}d").dt.day() <= 5).cast(pl.Int64) for i in range(7)) / 5,
    )
    rows = _STORES.join(calendar, how="cross")
    sales = pl.col("level") * pl.col("growth").pow(pl.col("week") / 52.18) * (pl.col("season") * pl.col("phase")).exp()
    lifts = pl.lit(EASTER_LIFT).pow(pl.col("Holiday_Flag")) * pl.lit(PAYDAY_LIFT).pow(pl.col("month_start"))
    noise = pl.Series(rng.lognormal(0.0, NOISE, rows.height))
    temperature = 55 + 22 * pl.col("phase") + pl.Series(rng.normal(0.0, 4.0, rows.height))
    rows = rows.with_columns(Weekly_Sales=(sales * lifts * noise).round(2), Temperature=temperature.round(1))
    open_by = (pl.col("Store") != "Airport") | (pl.col("week") >= weeks - NEW_FOR)
    kept = rows.select(x=open_by & pl.Series(rng.random(rows.height) >= MISSING))["x"]
    return rows.filter(kept).select("Store", "Date", "Weekly_Sales", "Holiday_Flag", "Temperature")

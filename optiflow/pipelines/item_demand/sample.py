"""The sample of `item_demand`: a seeded generator of a bakery chain's daily sales, whose causes are known.

What belongs here: the shops that the sample comes from. What does not: any knowledge of how an upload is read or a model
is trained; the sample goes through the same door as a user's own file.
"""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

FILE_NAME = "sample-daily-demand.csv"
FIRST_DAY, DAYS = date(2014, 7, 1), 731
SAMPLE_OPTIONS: dict[str, Any] = {"horizon": 28}

YEARLY_GROWTH = 1.06
PAYDAY_LIFT, PAYDAYS = 1.35, 3
"""Sweet goods sell 35 % more on the first three days of a month, which no product of weekday and month can tell."""

MISSING, CLOSED_FOR, SHORT_FOR = 0.01, 60, 30

_STORES = pl.DataFrame(
    [("Harbour", 1.3), ("Market", 1.0), ("Station", 1.6), ("Hillside", 0.6)], ["store", "size"], orient="row"
)
_ITEMS = pl.DataFrame(
    [
        ("Rye bread", 24.0, 0.00, 1, 1.0),
        ("Baguette", 30.0, 0.10, 7, 1.0),
        ("Butter croissant", 40.0, 0.05, 10, PAYDAY_LIFT),
        ("Apple cake", 9.0, 0.25, 10, PAYDAY_LIFT),
        ("Ice cream", 14.0, 0.90, 7, 1.0),
        ("Pumpkin soup", 8.0, 0.70, 11, 1.0),
        ("Birthday cake", 0.25, 0.00, 1, 1.0),
        ("Oat cookie", 12.0, 0.05, 2, PAYDAY_LIFT),
    ],
    ["item", "level", "season", "peak_month", "payday"],
    orient="row",
)
_WEEKDAYS = [0.9, 0.88, 0.92, 1.0, 1.12, 1.35, 0.83]  # Monday first


def item_demand(days: int = DAYS, seed: int = 3) -> pl.DataFrame:
    """Two years of a bakery chain: 4 stores x 8 items, one row for each day that was recorded.

    Units sold are Poisson around a product of:

    - item: 0.25 (birthday cake, which sells every fourth day) to 40 a day; store: 0.6 to 1.6 times;
    - weekday: 0.83 (Sunday) to 1.35 (Saturday) times; growth: 6 % a year;
    - season: a yearly wave by item, from none to 6 times from trough to peak (ice cream);
    - payday: sweet goods 1.35 times on the first three days of a month.

    Store `Hillside` is closed for the last 60 days: no rows. `Oat cookie` is new in the last 30 days. Of the other rows 1 %
    are missing.

    Args:
        days: Number of days, the last of them the file's last.
        seed: Equal seeds give equal tables.

    Returns:
        `date` (Date), `store`, `item` (String), `sales` (Int64, units).
    """
    rng = np.random.default_rng(seed)
    first = FIRST_DAY + timedelta(days=DAYS - days)
    calendar = pl.DataFrame({"day": range(days)}).with_columns(date=first + pl.duration(days="day"))
    rows = _STORES.join(_ITEMS, how="cross").join(calendar, how="cross")
    phase = (pl.col("date").dt.ordinal_day() / 30.44 - pl.col("peak_month")) * (2 * math.pi / 12)
    weekday = pl.col("date").dt.weekday().replace_strict(dict(enumerate(_WEEKDAYS, start=1)), return_dtype=pl.Float64)
    payday = pl.when(pl.col("date").dt.day() <= PAYDAYS).then("payday").otherwise(1.0)
    growth = pl.lit(YEARLY_GROWTH).pow(pl.col("day") / 365.25)
    rate = pl.col("level") * pl.col("size") * (pl.col("season") * phase.cos()).exp() * weekday * payday * growth
    rows = rows.with_columns(sales=pl.Series(rng.poisson(rows.select(rate.alias("rate"))["rate"].to_numpy())))
    closed = (pl.col("store") == "Hillside") & (pl.col("day") >= days - CLOSED_FOR)
    not_yet = (pl.col("item") == "Oat cookie") & (pl.col("day") < days - SHORT_FOR)
    kept = pl.Series(rng.random(rows.height) >= MISSING) & ~rows.select(x=closed | not_yet)["x"]
    return rows.filter(kept).select("date", "store", "item", "sales").sort("date", "store", "item")

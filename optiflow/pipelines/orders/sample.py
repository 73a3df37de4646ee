"""The bundled sample: a seeded generator of an orders table whose demand has known causes."""

import math
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from optiflow.fred import snapshot
from optiflow.fred.calendar import DAY, asof_calendar
from optiflow.fred.series import with_publication_lag

FILE_NAME = "sample-orders.csv"
FIRST_DAY = date(2009, 1, 1)
LAST_DAY = date(2016, 6, 30)
SAMPLE_OPTIONS: dict[str, Any] = {
    "target": "quantity",
    "date_column": "order_date",
    "fred_series": ["DCOILWTICO", "CPILFESL", "UNRATE"],
}

OIL_ELASTICITY = -0.8
OIL_REFERENCE = 75.0
PROMOTION_LIFT = 1.15
NOISE = 0.22
BAD_FRACTION = 0.003

_CATEGORIES = pl.DataFrame(
    [("Camping", -1.6, 7, 0.45), ("Cycling", -1.3, 5, 0.35), ("Winter", -1.2, 1, 0.60), ("Travel", -1.9, 6, 0.25)],
    schema=["category", "elasticity", "peak_month", "season"],
    orient="row",
)
_PRODUCTS = pl.DataFrame(
    [
        ("Trail Tent 2P", "Camping", 189.0, 14.0),
        ("Gas Stove", "Camping", 49.0, 32.0),
        ("Sleeping Bag", "Camping", 99.0, 24.0),
        ("Camping Chair", "Camping", 39.0, 40.0),
        ("City Helmet", "Cycling", 59.0, 28.0),
        ("Bike Rack", "Cycling", 149.0, 12.0),
        ("Repair Kit", "Cycling", 19.0, 55.0),
        ("Snow Boots", "Winter", 119.0, 20.0),
        ("Ski Gloves", "Winter", 45.0, 36.0),
        ("Roof Box", "Travel", 349.0, 8.0),
        ("Cooler 40L", "Travel", 79.0, 30.0),
        ("Travel Bag", "Travel", 69.0, 26.0),
    ],
    schema=["product", "category", "list_price", "units"],
    orient="row",
).join(_CATEGORIES, on="category", maintain_order="left")
_REGIONS = pl.DataFrame({"region": ["North", "South", "East", "West"], "region_factor": [1.0, 0.85, 1.15, 1.3]})
_CHANNELS = pl.DataFrame(
    {"channel": ["Store", "Online", "Wholesale"], "channel_factor": [1.0, 1.25, 1.8], "margin": [1.0, 1.0, 0.9]}
)
_WEEKDAYS = [0.95, 0.92, 0.95, 1.0, 1.12, 1.25, 0.85]  # Monday first
_SALE_MONTHS = [1, 7, 11]
_DISCOUNTS = [0.05, 0.10, 0.20, 0.30]
_FIRST_NAMES = np.array(["Ada", "Ben", "Carla", "David", "Elena", "Femi", "Grace", "Hugo", "Ines", "Jonas"])
_LAST_NAMES = np.array(["Adler", "Brooks", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jensen"])
_NOTES = np.array(["Leave the parcel at gate", "Please call before delivery, door", "Invoice to cost centre"])
_COLUMNS = [
    *("order_id", "order_date", "product", "category", "region", "channel", "unit_price", "discount"),
    *("customer_name", "customer_email", "customer_phone", "note", "quantity"),
]
_IMPOSSIBLE_DATES = ("2014-02-30", "2015-11-31", "0000-00-00")


def orders(rows: int = 6000, seed: int = 7, *, bad_rows: bool = True) -> pl.DataFrame:
    """An outdoor shop's orders from 2009-01 to 2016-06, in the order of their dates.

    The expected quantity is a product of what a real shop's demand hangs on:

    - product: 8 to 55 units an order; channel: wholesale 1.8 times a store; region: 0.85 to 1.3 times;
    - price after discount, deflated by the core CPI: elasticity -1.2 to -1.9 by category;
    - promotion: any discount lifts demand by 15 % beyond what the lower price does;
    - month: a yearly wave by category, 1.6 (Travel) to 3.3 (Winter) times from trough to peak;
    - weekday: 0.85 (Sunday) to 1.25 (Saturday) times;
    - the oil price: elasticity -0.8, so that 45 dollars instead of 100 mean 1.9 times the demand (dear fuel, few trips).

    Oil and CPI are those published by the order's date. Log-normal noise of 22 % and Poisson counts come on top, so that
    no model can be perfect. `UNRATE`, the third series of `SAMPLE_OPTIONS`, has no effect. Prices follow the core CPI
    each January and differ by region and quarter (15 %) and from order to order (4 %).

    Args:
        rows: Number of orders.
        seed: Equal seeds give equal tables.
        bad_rows: Spoil 0.3 % of the rows (at least two): half have no quantity, half a date that does not exist.

    Returns:
        `rows` rows, 13 columns: `order_id`, `order_date` (String, ISO), `product`, `category`, `region`, `channel`,
        `unit_price` (Float64, dollars), `discount` (Float64, 0 to 0.3), `customer_name`, `customer_email`,
        `customer_phone`, `note` (null in 60 %), `quantity` (Int64, units).
    """
    rng = np.random.default_rng(seed)
    drawn = _priced(rng, _baskets(rng, rows))
    rate = drawn.select(_expected_quantity()).to_series().to_numpy() * rng.lognormal(-(NOISE**2) / 2, NOISE, rows)
    frame = drawn.with_columns(
        order_id=pl.format("ORD-{}", pl.int_range(1, rows + 1).cast(pl.String).str.zfill(6)),
        order_date=pl.col(DAY).dt.to_string("iso"),
        quantity=pl.Series(np.maximum(rng.poisson(rate), 1), dtype=pl.Int64),
    )
    frame = pl.concat([frame, _customers(rng, rows)], how="horizontal").select(_COLUMNS)
    return _spoil(rng, frame) if bad_rows else frame


def _baskets(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """When, what, where: one row an order with its product's, region's and channel's numbers and the macro values."""
    macro = _known_by_day()
    day = np.sort(rng.integers(0, macro.height, rows))
    product = rng.integers(0, _PRODUCTS.height, rows)
    region = rng.choice(_REGIONS.height, rows, p=[0.3, 0.2, 0.3, 0.2])
    channel = rng.choice(_CHANNELS.height, rows, p=[0.5, 0.35, 0.15])
    return pl.concat([macro[day], _PRODUCTS[product], _REGIONS[region], _CHANNELS[channel]], how="horizontal")


def _priced(rng: np.random.Generator, baskets: pl.DataFrame) -> pl.DataFrame:
    """The baskets with `unit_price` and `discount`."""
    quarter = (pl.col(DAY).dt.year() - FIRST_DAY.year) * 4 + pl.col(DAY).dt.quarter()
    # Without prices that move by region and time, price could not be told apart from product.
    grid = _PRODUCTS.select("product").join(_REGIONS.select("region"), how="cross")
    grid = grid.join(pl.DataFrame({"quarter": range(1, 4 * (LAST_DAY.year - FIRST_DAY.year + 1) + 1)}), how="cross")
    grid = grid.with_columns(setting=rng.normal(0.0, 0.15, grid.height), quarter=pl.col("quarter").cast(pl.Int32))
    frame = baskets.with_columns(quarter=quarter.cast(pl.Int32)).join(
        grid, on=["product", "region", "quarter"], how="left", maintain_order="left"
    )
    drift = (pl.col("setting") + pl.Series(rng.normal(0.0, 0.04, frame.height))).exp()
    sale_chance = pl.when(pl.col(DAY).dt.month().is_in(_SALE_MONTHS)).then(0.5).otherwise(0.2)
    on_sale = pl.Series(rng.random(frame.height)) < sale_chance
    return frame.with_columns(
        unit_price=(pl.col("list_price") * pl.col("january_level") * pl.col("margin") * drift).round(2),
        discount=pl.when(on_sale).then(pl.Series(rng.choice(_DISCOUNTS, frame.height))).otherwise(0.0),
    )


def _expected_quantity() -> pl.Expr:
    real_price = pl.col("unit_price") * (1.0 - pl.col("discount")) / pl.col("price_level") / pl.col("list_price")
    phase = (pl.col(DAY).dt.month().cast(pl.Float64) - pl.col("peak_month")) * (2 * math.pi / 12)
    weekday = pl.col(DAY).dt.weekday().replace_strict(dict(enumerate(_WEEKDAYS, start=1)), return_dtype=pl.Float64)
    promotion = pl.when(pl.col("discount") > 0).then(PROMOTION_LIFT).otherwise(1.0)
    fuel = (pl.col("DCOILWTICO") / OIL_REFERENCE).pow(OIL_ELASTICITY)
    place = pl.col("region_factor") * pl.col("channel_factor")
    price = real_price.pow(pl.col("elasticity"))
    return pl.col("units") * place * price * promotion * (pl.col("season") * phase.cos()).exp() * weekday * fuel


def _known_by_day() -> pl.DataFrame:
    """One row a day: the oil price, and the core CPI as a level (1 on the first day), as published by then."""
    loaded = [(snapshot.load(i), snapshot.SNAPSHOT_SERIES[i].frequency) for i in ("DCOILWTICO", "CPILFESL")]
    series = pl.concat([with_publication_lag(frame, frequency) for frame, frequency in loaded])
    known = asof_calendar(series, FIRST_DAY, LAST_DAY)
    known = known.with_columns(price_level=pl.col("CPILFESL") / pl.col("CPILFESL").first())
    return known.with_columns(january_level=pl.col("price_level").first().over(pl.col(DAY).dt.year()))


def _customers(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    number = rng.integers(0, max(rows // 6, 1), rows)
    drawn = {"number": number, "area": 200 + number // 100 % 800, "line": 100 + number % 100}
    drawn |= {"first": _FIRST_NAMES[number % 10], "last": _LAST_NAMES[number // 10 % 10]}
    drawn |= {"phrase": _NOTES[rng.integers(0, len(_NOTES), rows)], "place": rng.integers(10, 9999, rows)}
    # example.com and 555-01xx are reserved for fiction: nobody is written to or called.
    return pl.DataFrame(drawn).select(
        customer_name=pl.format("{} {}", "first", "last"),
        customer_email=pl.format("{}.{}{}@example.com", "first", "last", "number").str.to_lowercase(),
        customer_phone=pl.format("+1 {}-555-0{}", "area", "line"),
        note=pl.when(pl.Series(rng.random(rows) < 0.4)).then(pl.format("{} {}", "phrase", "place")),
    )


def _spoil(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    count = min(max(round(frame.height * BAD_FRACTION), 2), frame.height)
    chosen = rng.choice(frame.height, count, replace=False).tolist()
    no_quantity, no_date = chosen[: count // 2], chosen[count // 2 :]
    dates = {row: _IMPOSSIBLE_DATES[turn % len(_IMPOSSIBLE_DATES)] for turn, row in enumerate(no_date)}
    row = pl.int_range(pl.len())
    return frame.with_columns(
        order_date=row.replace_strict(dates, default=pl.col("order_date"), return_dtype=pl.String),
        quantity=pl.when(~row.is_in(no_quantity)).then(pl.col("quantity")),
    )

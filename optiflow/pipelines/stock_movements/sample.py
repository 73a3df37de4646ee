"""The sample of `stock_movements`: a hardware wholesaler's stock movements, with known wrong ones among them.

What belongs here: the warehouses, their usual traffic, and what goes wrong in it. What does not: how it is found.
"""

from datetime import date
from typing import Any

import numpy as np
import polars as pl

FILE_NAME = "sample-movements.csv"
SAMPLE_OPTIONS: dict[str, Any] = {}

FIRST_DAY, DAYS = date(2025, 1, 1), 180
ITEMS = 80
ANOMALIES_PER_CAUSE = 0.0015
BAD_FRACTION = 0.002
BAD_KINDS = 4
PRICE_NOISE, QUANTITY_NOISE = 0.03, 0.45

_TYPES = ["out", "in", "transfer", "adjust"]
_TYPE_SHARES = [0.72, 0.16, 0.08, 0.04]
_TYPE_SIZES = np.array([1.0, 12.0, 5.0, 0.4])
_WAREHOUSES = ["WH-NORTH", "WH-SOUTH", "WH-PORT"]
_CATEGORIES = [("Fasteners", 0.08, 400.0), ("Tools", 35.0, 6.0), ("Paint", 18.0, 14.0), ("Timber", 9.0, 40.0)]
_WEEKDAYS = np.array([1.1, 1.0, 1.0, 1.0, 1.15, 0.35, 0.02])  # Monday first
_HOURS = np.array([0.3, 0.8, 1.0, 1.0, 1.0, 0.8, 0.6, 1.0, 1.0, 0.9, 0.6, 0.2])  # from 6 o'clock
_OPENING, _NIGHT = 6, (1, 4)
CAUSES = ("wrong unit price", "ten-fold quantity", "night booking", "large write-down")


def stock_movements(rows: int = 20_000, seed: int = 7, *, bad_rows: bool = True) -> pl.DataFrame:
    """Half a year of movements in three warehouses, in the order of their times, in an ERP's export form.

    80 items in four categories. An item's quantity is log-normal around its own size, times 12 for a delivery, 5 for a
    transfer, 0.4 for a correction, which goes either way; its price moves by 3 %. Warehouses work from 6 to 18 o'clock,
    with a peak in the morning, half as much on Saturdays and next to nothing on Sundays. The wrong movements are those
    of `wrong_movements`.

    Args:
        rows: Number of movements.
        seed: Equal seeds give equal tables.
        bad_rows: Spoil 0.2 % of the rows (at least four): an unknown type, a price of 0, a total that does not fit, a
            transaction number used twice.

    Returns:
        `rows` rows: `transaction_id`, `item_id`, `warehouse_id`, `transaction_type` (String), `quantity` (Int64, units,
        negative only for a correction), `unit_price`, `total_amount` (Float64), `item_category`, `created_at_ts`
        (String, ISO, to the second).
    """
    rng = np.random.default_rng(seed)
    frame = _drawn(rng, rows).drop("cause")
    return _spoil(rng, frame) if bad_rows else frame


def wrong_movements(rows: int = 20_000, seed: int = 7) -> pl.DataFrame:
    """The movements of the same table that are wrong: `transaction_id` and `cause`, one of `CAUSES`.

    0.15 % of the rows each: a price 8 to 12 times too high or low; ten times the quantity; a booking between 1 and 4
    at night; a correction that takes 15 to 30 usual quantities off the stock.
    """
    drawn = _drawn(np.random.default_rng(seed), rows)
    return drawn.filter(pl.col("cause").is_not_null()).select("transaction_id", "cause")


def _drawn(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    category = np.arange(ITEMS) % len(_CATEGORIES)
    prices = np.array([price for _, price, _ in _CATEGORIES])[category] * rng.lognormal(0, 0.5, ITEMS)
    sizes = np.array([size for _, _, size in _CATEGORIES])[category] * rng.lognormal(0, 0.4, ITEMS)
    popularity = rng.pareto(1.5, ITEMS) + 0.2

    item = rng.choice(ITEMS, rows, p=popularity / popularity.sum())
    kind = rng.choice(len(_TYPES), rows, p=_TYPE_SHARES)
    quantity = np.maximum(np.rint(sizes[item] * _TYPE_SIZES[kind] * rng.lognormal(0, QUANTITY_NOISE, rows)), 1)
    price = np.maximum(prices[item] * rng.lognormal(0, PRICE_NOISE, rows), 0.01)
    seconds = _times(rng, rows)
    sign = np.where((kind == _TYPES.index("adjust")) & (rng.random(rows) < 0.5), -1, 1)

    cause = np.full(rows, -1)
    chosen = rng.permutation(rows)[: len(CAUSES) * max(1, round(rows * ANOMALIES_PER_CAUSE))]
    cause[chosen] = np.arange(len(chosen)) % len(CAUSES)
    factor = rng.uniform(8, 12, rows)
    price = np.where(cause == 0, np.where(rng.random(rows) < 0.5, price * factor, price / factor), price)
    quantity = np.where(cause == 1, quantity * 10, quantity)
    night = seconds // 86400 * 86400 + rng.integers(_NIGHT[0] * 3600, _NIGHT[1] * 3600, rows)
    seconds = np.where(cause == 2, night, seconds)
    kind = np.where(cause == 3, _TYPES.index("adjust"), kind)
    quantity = np.where(cause == 3, np.rint(sizes[item] * rng.uniform(15, 30, rows)), quantity)
    sign = np.where(cause == 3, -1, sign)

    price = np.maximum(np.round(price, 2), 0.01)
    signed = (sign * quantity).astype(np.int64)
    start = np.datetime64(FIRST_DAY, "us")
    frame = pl.DataFrame(
        {
            "item_id": [f"SKU-{number:04d}" for number in item + 1],
            "warehouse_id": np.array(_WAREHOUSES)[rng.choice(len(_WAREHOUSES), rows, p=[0.5, 0.3, 0.2])].tolist(),
            "transaction_type": np.array(_TYPES)[kind].tolist(),
            "quantity": signed,
            "unit_price": price,
            "total_amount": np.round(signed * price, 2),
            "item_category": [_CATEGORIES[number][0] for number in category[item]],
            "created_at_ts": start + (seconds * 1_000_000).astype("timedelta64[us]"),
            "cause": [None if number < 0 else CAUSES[number] for number in cause],
        },
        schema_overrides={"cause": pl.String},
    ).sort("created_at_ts", maintain_order=True)
    return frame.select(
        pl.format("TX-{}", pl.int_range(1, rows + 1).cast(pl.String).str.zfill(7)).alias("transaction_id"),
        pl.exclude("created_at_ts", "cause"),
        pl.col("created_at_ts").dt.to_string("%Y-%m-%d %H:%M:%S"),
        "cause",
    )


def _times(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Seconds since the first day's midnight."""
    busy = _WEEKDAYS[(np.arange(DAYS) + FIRST_DAY.weekday()) % 7]
    day = rng.choice(DAYS, rows, p=busy / busy.sum())
    hour = _OPENING + rng.choice(len(_HOURS), rows, p=_HOURS / _HOURS.sum())
    return day * 86400 + hour * 3600 + rng.integers(0, 3600, rows)


def _spoil(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    count = min(max(round(frame.height * BAD_FRACTION), BAD_KINDS), frame.height)
    chosen = rng.choice(np.arange(1, frame.height), min(count, frame.height - 1), replace=False)
    unknown, free, unfit, repeated = (
        pl.int_range(pl.len()).is_in(chosen[kind::BAD_KINDS].tolist()) for kind in range(4)
    )
    return frame.with_columns(
        transaction_type=pl.when(unknown).then(pl.lit("misc")).otherwise("transaction_type"),
        unit_price=pl.when(free).then(0.0).otherwise("unit_price"),
        total_amount=pl.when(unfit).then(pl.col("total_amount") * 1.5).otherwise("total_amount").round(2),
        transaction_id=pl.when(repeated).then(pl.col("transaction_id").shift(1)).otherwise("transaction_id"),
    )

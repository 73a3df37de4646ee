"""The sample of `turnover`: a seeded generator of a retailer's catalogue whose days until sale have known causes.

What belongs here: the shop that the sample comes from. What does not: any knowledge of how an upload is read or a
model is trained; the sample goes through the same door as a user's own file.
"""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

FILE_NAME = "sample-outdoor-outlet.csv"
FIRST_DAY = date(2014, 1, 1)
EXPORT_DAY = date(2016, 6, 30)
"""The day of the export: what sells later is not in the file."""

SAMPLE_OPTIONS: dict[str, Any] = {}

PRICE_ELASTICITY = 1.6
"""Days grow with (price / usual price of the category) to this power."""

NOISE = 0.5
"""Standard deviation of the logarithm of the days that no column explains."""

NO_DESCRIPTION, NO_BRAND, BAD_FRACTION = 0.03, 0.05, 0.003

_CATEGORIES = pl.DataFrame(
    [
        ("Tents", 240.0, 30.0, 6, 0.5),
        ("Bicycles", 650.0, 38.0, 5, 0.4),
        ("Boots", 110.0, 20.0, 10, 0.3),
        ("Jackets", 150.0, 24.0, 11, 0.5),
        ("Rucksacks", 90.0, 16.0, 7, 0.2),
    ],
    schema=["category", "usual_price", "usual_days", "peak_month", "season"],
    orient="row",
)
_BRANDS = pl.DataFrame(
    [
        ("Northway", -0.5),
        ("Alpenrot", -0.3),
        ("Fjordline", -0.1),
        ("Pathwise", 0.0),
        ("Campo", 0.2),
        ("Basecraft", 0.5),
    ],
    schema=["brand", "brand_effect"],
    orient="row",
)
_CONDITIONS = pl.DataFrame(
    [("brand new in box", -0.4), ("as good as new", -0.15), ("used, well kept", 0.15), ("used with scratches", 0.5)],
    schema=["condition", "condition_effect"],
    orient="row",
)
_EXTRAS = pl.DataFrame(
    [
        ("", 0.0),
        ("limited edition", -0.35),
        ("with original bill", -0.1),
        ("colour may differ", 0.0),
        ("last size", 0.25),
    ],
    schema=["extra", "extra_effect"],
    orient="row",
)
_FILLERS = np.array(["ideal for beginners", "light and robust", "for the whole family", "tested outdoors", "see photo"])


def turnover(items: int = 3000, seed: int = 11, *, pace: float = 1.0, bad_rows: bool = True) -> pl.DataFrame:
    """An outdoor outlet's items, in the order in which they were put on sale, up to the day of the export.

    The days until an item sells are log-normal. Their middle value is a product of:

    - category: 16 days (rucksacks) to 38 days (bicycles);
    - price: (price / usual price of the category) to the power 1.6, so that a third more than usual takes 1.6 times as long;
    - brand: 0.6 (Northway) to 1.65 times (Basecraft); no brand counts as an average one;
    - words of the description: "new" 0.67, "used with scratches" 1.65, "limited edition" 0.7, "last size" 1.3 times;
      the other words mean nothing; a missing description hides these causes;
    - month of creation: a yearly wave by category, 1.5 to 2.7 times from peak to trough.

    Log-normal noise of 0.5 comes on top. What would sell after the export has no sold date.

    Args:
        items: Number of items.
        seed: Equal seeds give equal tables.
        pace: Multiplies all days; 3 makes a slow retailer.
        bad_rows: Spoil 0.3 % of the rows (at least two): half are sold before they were created, half have a price of 0.

    Returns:
        `items` rows, 6 columns: `item_created_date`, `item_sold_date` (Date, null = not sold by the export), `price`
        (Float64), `description`, `category`, `brand` (String; description and brand sometimes null).
    """
    rng = np.random.default_rng(seed)
    drawn = _items(rng, items)
    phase = (pl.col("day").dt.month().cast(pl.Float64) - pl.col("peak_month")) * (2 * math.pi / 12)
    effects = pl.col("brand_effect") + pl.col("condition_effect") + pl.col("extra_effect")
    log_days = pl.col("usual_days").log() + PRICE_ELASTICITY * pl.col("relative_price").log() + effects
    log_days = log_days - pl.col("season") * phase.cos() + pl.Series(rng.normal(math.log(pace), NOISE, items))
    sold = pl.col("day") + pl.duration(days=log_days.exp().clip(0, 5000).round(0))
    words = pl.concat_str(["condition", "extra", "filler"], separator=", ").str.replace(", , ", ", ", literal=True)
    frame = drawn.select(
        item_created_date="day",
        item_sold_date=pl.when(sold <= EXPORT_DAY).then(sold),
        price=(pl.col("usual_price") * pl.col("relative_price")).round(2),
        description=pl.when(pl.Series(rng.random(items) >= NO_DESCRIPTION)).then(words),
        category="category",
        brand=pl.when(pl.Series(rng.random(items) >= NO_BRAND)).then("brand"),
    )
    return _spoil(rng, frame) if bad_rows else frame


def _items(rng: np.random.Generator, items: int) -> pl.DataFrame:
    days = np.sort(rng.integers(0, (EXPORT_DAY - FIRST_DAY).days + 1, items))
    drawn = {
        "day": [FIRST_DAY + timedelta(days=int(day)) for day in days],
        "relative_price": rng.lognormal(0.0, 0.3, items),
        "filler": _FILLERS[rng.integers(0, len(_FILLERS), items)],
    }
    kinds = [_CATEGORIES[rng.integers(0, _CATEGORIES.height, items)], _BRANDS[rng.integers(0, _BRANDS.height, items)]]
    kinds += [_CONDITIONS[rng.integers(0, _CONDITIONS.height, items)], _EXTRAS[rng.integers(0, _EXTRAS.height, items)]]
    return pl.concat([pl.DataFrame(drawn), *kinds], how="horizontal")


def _spoil(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    count = min(max(round(frame.height * BAD_FRACTION), 2), frame.height)
    chosen = rng.choice(frame.height, count, replace=False).tolist()
    row = pl.int_range(pl.len())
    too_early = pl.col("item_created_date") - pl.duration(days=7)
    return frame.with_columns(
        item_sold_date=pl.when(row.is_in(chosen[: count // 2])).then(too_early).otherwise("item_sold_date"),
        price=pl.when(row.is_in(chosen[count // 2 :])).then(0.0).otherwise("price"),
    )

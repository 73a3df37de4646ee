"""What a buyer should do about a daily forecast, in sentences.

What belongs here: choosing what is worth a sentence. What does not: the tables that it is chosen from.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import polars as pl

from optiflow.pipelines.forecasting.tables import FORECAST_FILE
from optiflow.report.wording import MINUS, listed, percent

WORTH_A_WORD = 0.2
"""A change from last week to next that is worth changing an order for."""


def what_to_do(rows: pl.DataFrame, keys: Sequence[str], first: date, days: int, unit: str) -> Iterator[str]:
    """Sentences, most urgent first.

    Args:
        rows: As `coming_days` gives them.
        keys: The columns that name a series, the store first.
        first: The next day.
        days: How many days of the next week are forecast.
        unit: What sales are counted in.
    """
    yield (
        f"Fill the shelves for {first:%A}, {first}: {rows['predicted'].sum():,.0f} {unit} in all. The table Tomorrow and next "
        f"week has each {' and '.join(keys)}, with the range to prepare for."
    )
    by = pl.col("coming") - pl.col("before")
    for word, sign in (("more", 1), ("less", -1)):
        far = rows.filter(sign * pl.col("change") > WORTH_A_WORD).sort(
            sign * by, *keys, descending=[True, False, False]
        )
        if far.height:
            named = [
                f"{item} in {store} ({'+' if sign > 0 else ''}{percent(change)}, {_signed(moved)} {unit})"
                for store, item, change, moved in far.select(*keys, "change", by.alias("moved")).rows()
            ]
            yield f"Order {word} for the next {days} days than was sold in the last {days}: {listed(named, 5)}."
    yield f"Take {FORECAST_FILE} for every {', '.join(keys)} and day, with its range."


def _signed(moved: float) -> str:
    return f"{moved:+,.0f}".replace("-", MINUS)

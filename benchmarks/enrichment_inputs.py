"""The orders and series that enrichment is measured on. Run as a program: `… FOLDER ROWS` writes them.

A process of its own, so that the one that measures stays small: a child's peak memory counts from its parent's size.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich
from optiflow.fred.series import with_publication_lag
from optiflow.parquet import write_parquet

SERIES_IDS = tuple(f"SERIES{number:02d}" for number in range(12))
FIRST_DAY, DAYS = date(2015, 1, 1), 1826
FREQUENCIES = (("1d", "D"), ("1w", "W"), ("1mo", "M"))


def orders(rows: int) -> pl.DataFrame:
    """`rows` x 8 columns of a shop, on days over five years in no order."""
    generator = np.random.default_rng(7)
    day = np.datetime64(FIRST_DAY) + generator.integers(0, DAYS, rows).astype("timedelta64[D]")
    products = pl.Series([f"SKU-{number:05d}" for number in range(2000)])
    return pl.DataFrame(
        {
            "order_id": np.arange(rows),
            "order_date": day,
            "store": generator.integers(0, 50, rows).astype(np.int32),
            "product": products.gather(generator.integers(0, len(products), rows)),
            "channel": pl.Series(["web", "store", "phone"]).gather(generator.integers(0, 3, rows)),
            "price": generator.gamma(3, 10, rows).round(2),
            "discount": generator.uniform(0, 0.4, rows).round(2),
            "quantity": generator.poisson(6, rows).astype(np.int32),
        }
    )


def series() -> pl.DataFrame:
    """12 series since 2005, daily, weekly and monthly, with the day on which each figure came out."""
    generator = np.random.default_rng(8)
    tables = []
    for number, series_id in enumerate(SERIES_IDS):
        interval, frequency = FREQUENCIES[number % len(FREQUENCIES)]
        observed = pl.date_range(date(2005, 1, 1), date(2020, 6, 1), interval, eager=True)
        values = (100 + generator.normal(0, 1, len(observed)).cumsum()).round(3)
        table = pl.DataFrame({"observation_date": observed, "value": values}).with_columns(series_id=pl.lit(series_id))
        tables.append(with_publication_lag(table, frequency))
    return pl.concat(tables)


def main(folder: Path, rows: int) -> None:
    """Write `orders.parquet`, `series.parquet`, and `enriched.parquet`, which the copy starts from."""
    write_parquet(orders(rows), folder / "orders.parquet")
    write_parquet(series(), folder / "series.parquet")
    calendar = asof_calendar(series(), FIRST_DAY, FIRST_DAY + timedelta(days=DAYS))
    write_parquet(
        enrich(pl.scan_parquet(folder / "orders.parquet"), calendar, "order_date"), folder / "enriched.parquet"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

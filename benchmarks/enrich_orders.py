"""Our side of the enrichment, as a program: `… FOLDER` reads orders and series there and writes `ours.parquet`."""

import sys
from pathlib import Path

import polars as pl

from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich
from optiflow.parquet import write_parquet


def main(folder: Path) -> None:
    """What `orders/enriched` does between its input and its output."""
    orders = pl.scan_parquet(folder / "orders.parquet")
    series = pl.read_parquet(folder / "series.parquet")
    first, last = orders.select(first=pl.min("order_date"), last=pl.max("order_date")).collect().row(0)
    write_parquet(enrich(orders, asof_calendar(series, first, last), "order_date"), folder / "ours.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

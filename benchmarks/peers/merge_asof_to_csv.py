"""The plain way to enrich orders: pandas, `merge_asof` per series, then `to_csv`. `… FOLDER` writes `plain.csv`."""

import sys
from pathlib import Path

import pandas as pd


def main(folder: Path) -> None:
    """As far as a careful pandas user goes: sorted once, joined on the day of publication, missing values dropped."""
    orders = pd.read_parquet(folder / "orders.parquet").sort_values("order_date", kind="stable")
    orders["order_date"] = orders["order_date"].astype("datetime64[ns]")
    series = pd.read_parquet(folder / "series.parquet").dropna(subset="value")
    series["available_at"] = series["available_at"].astype("datetime64[ns]")
    for name, published in series.groupby("series_id", sort=False):
        values = published.filter(["available_at", "value"]).sort_values("available_at")
        values = values.rename(columns={"value": str(name)})
        orders = pd.merge_asof(orders, values, left_on="order_date", right_on="available_at")
        orders = orders.drop(columns="available_at")
    orders.to_csv(folder / "plain.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How well weekly store sales are forecast, several weeks ahead, on Walmart's 45 stores.

Nothing after an origin is used: no sales, no temperature, no CPI. Candidates, tuning and the champion are chosen on rolling
origins inside the training rows. Beside it: last year's same week, and a plain random forest and XGBoost, averaged, on
lags of the sales, the calendar and the store, which go on from their own forecasts (untuned).
"""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.accuracy.figure import Accuracy
from optiflow.learners import store_sales as learner
from optiflow.learners.hyperparameters import parse_hyperparameters

DATA_SET = "walmart"
FILE = Path("walmart/Walmart_Sales.csv")
ORIGINS = ((date(2012, 8, 3), 12, 0.034), (date(2012, 4, 13), 28, 0.044))
"""Last week known, weeks ahead, and the highest MAPE allowed."""

SEED = 42


def figures(data: Path) -> Iterator[Accuracy]:
    """MAPE over all store-weeks at both origins, with the share of actuals inside the 80 and 95 % intervals."""
    sales = read_sales(data / FILE)
    for origin, weeks, target in ORIGINS:
        horizon = f"{weeks} weeks from {origin}"
        train = sales.filter(pl.col("date") <= origin)
        test = sales.filter(pl.col("date") > origin, pl.col("date") <= origin + timedelta(weeks=weeks))
        scored = test.join(forecast(train, test, weeks), on=["store", "date"], how="left", validate="1:1")
        yield Accuracy(DATA_SET, "optiflow", horizon, "MAPE", mape(scored), high=target)
        for coverage in (80, 95):
            inside = scored["sales"].is_between(scored[f"lo_{coverage}"], scored[f"hi_{coverage}"]).mean()
            yield Accuracy(DATA_SET, "optiflow", horizon, f"coverage {coverage} %", float(str(inside)))
        yield Accuracy(DATA_SET, "seasonal naive", horizon, "MAPE", mape(_seasonal_naive(train, test)))
        yield Accuracy(DATA_SET, "plain recursive RF + XGB", horizon, "MAPE", mape(_plain_trees(train, test, weeks)))


def read_sales(path: Path) -> pl.DataFrame:
    """The file's stores, dates and sales, in order."""
    rows = pl.read_csv(path, schema_overrides={"Store": pl.String})
    day = pl.col("Date").str.to_date("%d-%m-%Y")
    return rows.select(store="Store", date=day, sales="Weekly_Sales").sort("store", "date")


def forecast(train: pl.DataFrame, test: pl.DataFrame, weeks: int) -> pl.DataFrame:
    """The learner's forecast of the test rows."""
    raw = {**learner.DEFAULTS, "horizon": str(weeks), "seed": str(SEED)}
    parameters = parse_hyperparameters(learner.PARAMETERS, raw)
    with tempfile.TemporaryDirectory() as folder:
        learner.train({"train": train.to_arrow()}, parameters, Path(folder), lambda _line: None)
        rows = pl.concat([train, test.with_columns(sales=pl.lit(None, pl.Float64))]).with_row_index("row")
        made = learner.score(Path(folder), rows.with_columns(pl.col("row").cast(pl.Int64)).to_arrow())
    return pl.DataFrame(pl.from_arrow(made)).drop("row")


def mape(scored: pl.DataFrame) -> float:
    """Mean over all store-weeks of the absolute error as a share of the actual sales."""
    return float(np.mean(np.abs(scored["predicted"] - scored["sales"]).to_numpy() / scored["sales"].to_numpy()))


def _seasonal_naive(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    last_year = train.select("store", pl.col("date") + pl.duration(weeks=52), predicted="sales")
    return test.join(last_year, on=["store", "date"], how="left", validate="1:1")


def _plain_trees(train: pl.DataFrame, test: pl.DataFrame, weeks: int) -> pl.DataFrame:
    from mlforecast import MLForecast
    from sklearn.ensemble import RandomForestRegressor
    from xgboost import XGBRegressor

    table = train.select(unique_id="store", ds="date", y="sales", code=pl.col("store").cast(pl.Int64)).to_pandas()
    table["ds"] = pd.to_datetime(table["ds"])
    models = {
        "forest": RandomForestRegressor(200, random_state=SEED, n_jobs=2),
        "boosted": XGBRegressor(random_state=SEED, n_jobs=2),
    }
    features = MLForecast(models, freq="7D", lags=[1, 2, 3, 4, 52], date_features=["week", "month", "year"])
    made = features.fit(table, static_features=["code"]).predict(weeks)
    day = pl.col("ds").cast(pl.Date)
    averaged = pl.from_pandas(made).select(
        store="unique_id", date=day, predicted=(pl.col("forest") + pl.col("boosted")) / 2
    )
    return test.join(averaged, on=["store", "date"], how="left", validate="1:1")

"""Daily demand on Store Item Demand (913,000 rows): 90 days from one origin, nothing after it used.

Candidates were chosen by the learner itself, on days before the origin. Beside it stand LightGBM on the calendar alone,
the sales of 364 days earlier, and the closed-form model alone. What does not belong here: the learner.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.accuracy.figure import Accuracy
from benchmarks.measuring import fresh_python
from optiflow.container import sklearn
from optiflow.learners import item_demand
from optiflow.learners.item_demand.grid import read_grid
from optiflow.learners.item_demand.multiplicative import STEPS, fit_multiplicative

ORIGIN = date(2017, 10, 2)
HORIZON = 90
LEAK = 12.0
"""Sales are Poisson noise around a product of factors: no honest forecast of these days gets a SMAPE below 12.07."""

SMAPE, MAPE, SECONDS = 12.25, 0.1285, 60.0
DATA_SET, SPAN = "store_item", f"{HORIZON} days from {ORIGIN + timedelta(1)}"


def figures(data: Path) -> Iterator[Accuracy]:
    """SMAPE (0 to 200) and MAPE (a share of 1) of all methods, how often the intervals held, and the training's time."""
    rows = read(data)
    known = rows.filter(pl.col("date") <= ORIGIN)
    test = rows.filter(pl.col("date").is_between(ORIGIN, ORIGIN + timedelta(HORIZON), closed="right"))

    with tempfile.TemporaryDirectory() as folder:
        item_demand.train({"train": known.to_arrow()}, {"horizon": HORIZON}, Path(folder), _in_silence)
        asked = pl.concat([known, test.with_columns(sales=pl.lit(None, pl.Float64))])
        scored = pl.DataFrame(item_demand.score(Path(folder), asked.to_arrow()))
    scored = scored.join(test, on=["store", "item", "date"], validate="1:1")
    smape, mape = errors(scored, scored["predicted"])
    yield Accuracy(DATA_SET, "optiflow", SPAN, "SMAPE", smape, LEAK, SMAPE)
    yield Accuracy(DATA_SET, "optiflow", SPAN, "MAPE", mape, None, MAPE)
    for level in (80, 95):
        held = scored.select(pl.col("sales").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
        yield Accuracy(DATA_SET, "optiflow", SPAN, f"coverage {level} %", held, level / 100 - 0.02, level / 100 + 0.02)

    peers = {
        "multiplicative": multiplicative(known, test),
        "LightGBM on the calendar": calendar_only(known, test),
        "364 days earlier": year_earlier(known, test),
    }
    for method, predicted in peers.items():
        smape, mape = errors(test, predicted)
        yield Accuracy(DATA_SET, method, SPAN, "SMAPE", smape)
        yield Accuracy(DATA_SET, method, SPAN, "MAPE", mape)
    seconds = float(fresh_python("-m", "benchmarks.accuracy.item_demand", data).output)
    yield Accuracy(DATA_SET, "optiflow", f"train on {rows.height:,} rows", "seconds", seconds, None, SECONDS)


def read(data: Path) -> pl.DataFrame:
    """The data set as the learner takes it: `date`, `store`, `item`, `sales`."""
    rows = pl.read_parquet(data / "store_item" / "train.parquet")
    return rows.select("date", pl.col("store", "item").cast(pl.String), pl.col("sales").cast(pl.Float64))


def errors(test: pl.DataFrame, predicted: pl.Series) -> tuple[float, float]:
    """SMAPE (mean of 200 |e| / (sold + predicted)) and MAPE (mean of |e| / sold, over days with a sale)."""
    sold, guess = test["sales"].to_numpy(), predicted.to_numpy()
    off, some = np.abs(guess - sold), sold > 0
    return float(200 * np.mean(off / np.maximum(guess + sold, 1e-9))), float(np.mean(off[some] / sold[some]))


def multiplicative(known: pl.DataFrame, test: pl.DataFrame) -> pl.Series:
    """The closed-form model's rate."""
    grid, _ = read_grid(known.to_arrow(), "auto")
    rate = fit_multiplicative(grid, STEPS).rate(grid, grid.days, grid.days + HORIZON)
    place = pl.struct("store", "item")
    series = [(grid.stores[s], grid.items[i]) for s, i in zip(grid.store, grid.item, strict=True)]
    order = {pair: at for at, pair in enumerate(series)}
    rows = [order[(pair["store"], pair["item"])] for pair in test.select(place).to_series()]
    return pl.Series(rate[rows, (test["date"] - ORIGIN).dt.total_days().to_numpy() - 1])


def calendar_only(known: pl.DataFrame, test: pl.DataFrame) -> pl.Series:
    """LightGBM as many would start: store, item and the calendar as features, absolute error, no level of any kind."""
    import lightgbm

    def features(rows: pl.DataFrame) -> np.ndarray:
        day = pl.col("date").dt
        parts = {"year": day.year(), "month": day.month(), "weekday": day.weekday(), "day": day.ordinal_day()}
        return rows.select(pl.col("store", "item").cast(pl.Int32), **parts).to_numpy()

    settings = {"objective": "l1", "num_leaves": 63, "learning_rate": 0.15, "max_bin": 127, "num_threads": 2}
    settings |= {"seed": 42, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    data = lightgbm.Dataset(features(known), label=known["sales"].to_numpy(), categorical_feature=[0, 1])
    return pl.Series(np.asarray(lightgbm.train(settings, data, num_boost_round=250).predict(features(test))))


def year_earlier(known: pl.DataFrame, test: pl.DataFrame) -> pl.Series:
    """The same weekday's sales a year before."""
    moved = known.with_columns(pl.col("date").dt.offset_by("364d"))
    return test.join(moved, on=["store", "item", "date"], how="left", maintain_order="left")["sales_right"]


def train_seconds(data: Path) -> float:
    """How long the learner takes for all rows in a job's process, LightGBM's import included, reading the rows not."""
    sklearn.leave_out()
    table = read(data).to_arrow()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        item_demand.train({"train": table}, {"horizon": HORIZON}, Path(folder), _in_silence)
        return time.perf_counter() - start


def _in_silence(_line: str) -> None:
    """Takes what the learner says of its progress."""


if __name__ == "__main__":
    print(train_seconds(Path(sys.argv[1])))

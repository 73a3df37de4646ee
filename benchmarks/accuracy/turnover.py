"""How well days until sale and the chance to sell within 30 days are foretold, on the sample only.

There is no public data set of turnover days with descriptions and prices, so these figures say that the learner finds
causes that are there; they say nothing of a real shop. For each origin the learner gets the file as it was on that day,
with later sales unknown, and is judged on the items of the 60 days after it by what became of them. Targets: better than
naive, no more.
"""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.accuracy.figure import Accuracy
from optiflow.learners import turnover as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.turnover.measures import chance_figures, concordance, day_errors
from optiflow.options import merge_options
from optiflow.pipelines.turnover import TURNOVER
from optiflow.samples.turnover import turnover

DATA_SET = "sample"
ITEMS, SEED = 3000, 11
ORIGINS = (date(2015, 4, 30), date(2015, 8, 31), date(2015, 12, 31))
AHEAD = timedelta(days=60)
HORIZON = f"60 days, {len(ORIGINS)} origins"
SKILL = "skill"


def figures(data: Path) -> Iterator[Accuracy]:
    """Errors in days, of the chance, and skill, over all origins; `data` is not read."""
    del data
    rows = pl.concat([_judged(origin) for origin in ORIGINS])
    sold = rows.drop_nulls("sold")
    days = sold["took"].to_numpy()
    methods = {
        "optiflow": "expected_days",
        "the same, unsold items dropped": "dropped_days",
        "mean of the category": "naive_days",
    }
    errors = {name: day_errors(days, sold[column].to_numpy()) for name, column in methods.items()}
    for name, error in errors.items():
        for metric, value in error.items():
            yield Accuracy(DATA_SET, name, HORIZON, f"{metric.upper()}, days", value)
    skill = {metric: 1 - error / errors["mean of the category"][metric] for metric, error in errors["optiflow"].items()}
    for metric, value in skill.items():
        yield Accuracy(DATA_SET, "optiflow", HORIZON, f"{metric.upper()} {SKILL}", value, low=0.0)
    pairs = concordance(
        rows["watched"].to_numpy(), rows["sold"].is_not_null().to_numpy(), rows["expected_days"].to_numpy()
    )
    assert pairs is not None
    yield Accuracy(DATA_SET, "optiflow", HORIZON, "concordance", pairs, low=0.5)
    quick = rows["quick"].to_numpy()
    threshold = float(rows["base_rate"].to_numpy().mean())
    chances = {"optiflow": "chance_30_days", "base rate": "base_rate"}
    told = {name: chance_figures(quick, rows[column].to_numpy(), threshold) for name, column in chances.items()}
    for metric in ("precision", "recall", "f1"):
        yield Accuracy(DATA_SET, "optiflow", HORIZON, metric, told["optiflow"][metric])
    for name, figure in told.items():
        yield Accuracy(DATA_SET, name, HORIZON, "log-loss", figure["log_loss"])
    gain = 1 - told["optiflow"]["log_loss"] / told["base rate"]["log_loss"]
    yield Accuracy(DATA_SET, "optiflow", HORIZON, f"log-loss {SKILL}", gain, low=0.0)


def _judged(origin: date) -> pl.DataFrame:
    """The items after one origin with what was said of them and what became of them."""
    truth = _items()
    known = truth.filter(pl.col("created") <= origin).with_columns(
        sold=pl.when(pl.col("sold") <= origin).then("sold"), as_of=pl.lit(origin)
    )
    took = (pl.col("sold") - pl.col("created")).dt.total_days()
    ahead = truth.filter((pl.col("created") > origin) & (pl.col("created") <= origin + AHEAD))
    past = known.with_columns(took=took)
    naive = past.group_by("category").agg(naive_days=pl.col("took").mean())
    base_rate = float((past.filter(_watched() >= 30)["took"] <= 30).fill_null(False).to_numpy().mean())
    said = ahead.join(_scored(known, ahead), on="row").join(
        _scored(known.drop_nulls("sold"), ahead).select("row", dropped_days="expected_days"), on="row"
    )
    return said.join(naive, on="category").with_columns(
        took=took,
        watched=pl.coalesce(took, _watched()).cast(pl.Float64),
        quick=(took <= 30).fill_null(False),
        base_rate=pl.lit(base_rate),
    )


def _items() -> pl.DataFrame:
    named = {"item_created_date": "created", "item_sold_date": "sold"}
    rows = turnover(ITEMS, SEED, bad_rows=False).rename(named).with_row_index("row", 2).cast({"row": pl.Int64})
    return rows.with_columns(as_of=pl.max_horizontal(pl.col("created").max(), pl.col("sold").max()))


def _watched() -> pl.Expr:
    return (pl.col("as_of") - pl.col("created")).dt.total_days()


def _scored(known: pl.DataFrame, ahead: pl.DataFrame) -> pl.DataFrame:
    options = merge_options(TURNOVER.default_options)
    channels = TURNOVER.training(known, options).channels
    parameters = parse_hyperparameters(learner.PARAMETERS, learner.DEFAULTS)
    with tempfile.TemporaryDirectory() as folder:
        tables = {name: table.to_arrow() for name, table in channels.items()}
        learner.train(tables, parameters, Path(folder), lambda _: None)
        scored = pl.from_arrow(learner.score(Path(folder), ahead.drop("sold").to_arrow()))
    assert isinstance(scored, pl.DataFrame)
    assert np.isfinite(scored["expected_days"].to_numpy()).all()
    return scored.select("row", "expected_days", "chance_30_days")

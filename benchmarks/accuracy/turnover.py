"""How well days until sale and the chance to sell soon are foretold, on the sample and on adverts of used cars.

The sample says that the learner finds causes that are there; it says nothing of a real shop. For each origin the learner
gets the file as it was on that day, with later sales unknown, and is judged on the items of the 60 days after it by what
became of them.

The adverts are the nearest to a real shop that is public: an advert that is gone stands for a sale. Most are under a month
old, so they are held out and judged as the pipeline does it, by chances within fewer days, and not by days. Targets: better
than naive, and chances that come true within chance's own reach.
"""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.accuracy.figure import Accuracy
from benchmarks.verdicts.run import finished_run
from optiflow.learners import turnover as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.turnover.concordance import concordance
from optiflow.learners.turnover.measures import calibration_bins, chance_figures, day_errors
from optiflow.options import merge_options
from optiflow.pipelines.turnover.pipeline import TURNOVER, with_chance
from optiflow.pipelines.turnover.sample import turnover

DATA_SET = "sample"
ITEMS, SEED = 3000, 11
ORIGINS = (date(2015, 4, 30), date(2015, 8, 31), date(2015, 12, 31))
AHEAD = timedelta(days=60)
SALE_DAYS = f"60 days, {len(ORIGINS)} origins"
SKILL = "skill"
CARS = "used_cars"
CARS_FILE = Path("used_cars/listings.csv")
FIFTHS = 5


def figures(data: Path) -> Iterator[Accuracy]:
    """The sample's, and those of the adverts where `data` has them."""
    yield from _of_sample()
    if (data / CARS_FILE).is_file():
        yield from _of_cars(data / CARS_FILE)


def _of_cars(path: Path) -> Iterator[Accuracy]:
    """The chance of a sale within the days that the file can be judged by, beside the best Kaplan-Meier curve."""
    with tempfile.TemporaryDirectory() as folder:
        table = pl.read_csv(path, infer_schema=False)
        run = finished_run(TURNOVER, table, merge_options(TURNOVER.default_options), Path(folder))
        metrics = {name: value for name, value in (TURNOVER.extras(run).metrics or {}).items() if value is not None}
        rows = with_chance(run)
    horizon = f"{rows['horizon'][0]} days, {rows.height} items"

    def line(method: str, metric: str, value: float, **bounds: float) -> Accuracy:
        return Accuracy(CARS, method, horizon, metric, value, **bounds)

    for name, metric, key in (
        ("optiflow", "log-loss", "log_loss"),
        ("best Kaplan-Meier curve", "log-loss", "base_log_loss"),
        ("optiflow", "Brier score", "brier"),
        ("best Kaplan-Meier curve", "Brier score", "base_brier"),
        ("best Kaplan-Meier curve", "concordance", "base_concordance"),
    ):
        yield line(name, metric, metrics[key])
    yield line("optiflow", "concordance", metrics["concordance"], low=0.5)
    yield line("optiflow", f"log-loss {SKILL}", 1 - metrics["log_loss"] / metrics["base_log_loss"], low=0.0)
    yield line("optiflow", "gain, low limit", metrics["log_loss_gain_low"], low=0.0)
    for number, part in enumerate(calibration_bins(rows["quick"].to_numpy(), rows["chance"].to_numpy(), FIFTHS), 1):
        reach = 3 * np.sqrt(part["chance"] * (1 - part["chance"]) / part["items"])
        bounds = {"low": round(part["chance"] - reach, 3), "high": round(part["chance"] + reach, 3)}
        yield line("optiflow", f"chance, fifth {number}", part["chance"])
        yield line("came true", f"share, fifth {number}", part["share"], **bounds)


def _of_sample() -> Iterator[Accuracy]:
    """Errors in days, of the chance, and skill, over all origins."""
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
            yield Accuracy(DATA_SET, name, SALE_DAYS, f"{metric.upper()}, days", value)
    skill = {metric: 1 - error / errors["mean of the category"][metric] for metric, error in errors["optiflow"].items()}
    for metric, value in skill.items():
        yield Accuracy(DATA_SET, "optiflow", SALE_DAYS, f"{metric.upper()} {SKILL}", value, low=0.0)
    pairs = concordance(
        rows["watched"].to_numpy(), rows["sold"].is_not_null().to_numpy(), rows["expected_days"].to_numpy()
    )
    assert pairs is not None
    yield Accuracy(DATA_SET, "optiflow", SALE_DAYS, "concordance", pairs, low=0.5)
    quick = rows["quick"].to_numpy()
    threshold = float(rows["base_rate"].to_numpy().mean())
    chances = {"optiflow": "chance_30_days", "base rate": "base_rate"}
    told = {name: chance_figures(quick, rows[column].to_numpy(), threshold) for name, column in chances.items()}
    for metric in ("precision", "recall", "f1"):
        yield Accuracy(DATA_SET, "optiflow", SALE_DAYS, metric, told["optiflow"][metric])
    for name, figure in told.items():
        yield Accuracy(DATA_SET, name, SALE_DAYS, "log-loss", figure["log_loss"])
        yield Accuracy(DATA_SET, name, SALE_DAYS, "Brier score", figure["brier"])
    gain = 1 - told["optiflow"]["log_loss"] / told["base rate"]["log_loss"]
    yield Accuracy(DATA_SET, "optiflow", SALE_DAYS, f"log-loss {SKILL}", gain, low=0.0)


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
    channels = TURNOVER.training(TURNOVER.tidy(known, options), options).channels
    parameters = parse_hyperparameters(learner.PARAMETERS, learner.DEFAULTS)
    with tempfile.TemporaryDirectory() as folder:
        tables = {name: table.to_arrow() for name, table in channels.items()}
        learner.train(tables, parameters, Path(folder), lambda _: None)
        scored = pl.from_arrow(learner.score(Path(folder), ahead.drop("sold").to_arrow()))
    assert isinstance(scored, pl.DataFrame)
    assert np.isfinite(scored["expected_days"].to_numpy()).all()
    return scored.select("row", "expected_days", "chance_30_days")

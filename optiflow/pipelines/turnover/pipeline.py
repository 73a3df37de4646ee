"""`turnover`: days until a retailer's items sell, and the chance to sell within 30 days; a dataset is a retailer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.errors import UserError
from optiflow.learners.turnover import survival
from optiflow.learners.turnover.model import COLUMNS, MODEL_FILES, contributions
from optiflow.learners.turnover.parameters import FEWEST_SOLD, SALE_DAYS
from optiflow.options import DatasetOptions, SplitOptions
from optiflow.pipelines.finished import EXPLAINED_ROWS, FinishedRun, Kept, Learned
from optiflow.pipelines.spec import Pipeline, Result, ScoringInputs, TrainingInputs
from optiflow.pipelines.turnover import findings
from optiflow.pipelines.turnover.baselines import Pace, fit_paces
from optiflow.pipelines.turnover.dates import (
    WATCHED,
    date_faults,
    hold_out_drawn,
    hold_out_newest,
    require_watched,
    unsold,
    watched_for,
    with_days,
)
from optiflow.pipelines.turnover.judging import judge_gain, measure_gain
from optiflow.pipelines.turnover.pricing import price_curves, price_grid, stock_grid, suggested_prices
from optiflow.pipelines.turnover.slow_items import STOCK_FILE, slow_table, what_to_do
from optiflow.report.extras import Download, Extras
from optiflow.roles import Role
from optiflow.split import ROW
from optiflow.upload.faults import cell_faults

TEXTS = ("description", "category", "brand")
TRAINED_ON = (ROW, "created", "sold", "as_of", "price", *TEXTS)
ALL_SOLD = (
    "No item of the file is unsold. If those that have not sold yet were left out, days come out too short and chances too "
    "high: upload them too, with an empty date of sale.",
)
ROW_COLUMN = ("Int64", "Number of the row in the uploaded file, the header being row 1")
CHANCE = ("Float64", "Chance of a sale within 30 days of creation, 0 to 1")
EXPECTED = ("Float64", "Days from creation by which half of such items have sold")


class Turnover(Pipeline):
    """Items with a date of creation and, once sold, of sale. Unsold ones are censored: learned from, never dropped."""

    name = "turnover"
    description = "Predicts how many days a retailer's items take to sell, and their chance to sell within 30 days."
    algorithm = "turnover"
    report = "turnover_report"
    target = "days"
    hidden = ("sold",)
    reckoned = ("horizon",)
    may_lack_target = True
    dataset_parameter = "retailer"
    report_reads = (SUMMARY_FILE, *MODEL_FILES)
    serving = "optiflow.learners.turnover.serving"
    after_report = ("endpoint",)
    scoring_reads = ("test", "enriched")
    default_options = {"split": {"strategy": "time", "test_fraction": 0.05}}
    roles = (
        Role("created", "date", ("item_created_date", "created_date", "created_at", "listed", "listing_date")),
        Role("sold", "date", ("item_sold_date", "sold_date", "sold_at", "sale_date"), nullable=True),
        Role("price", "number", ("item_price", "list_price")),
        Role("description", "text", ("item_description", "title", "text"), required=False, nullable=True),
        Role("category", "key", ("item_category",), required=False, nullable=True),
        Role("brand", "key", ("item_brand", "manufacturer"), required=False, nullable=True),
        Role("as_of", "date", ("export_date", "exported", "snapshot_date"), required=False),
    )
    results = {
        "predictions": Result(
            "What the model says of each held-out item, after what the file says of it.",
            {
                ROW: ROW_COLUMN,
                "predicted": EXPECTED,
                "expected_days": EXPECTED,
                "chance_30_days": CHANCE,
            },
        ),
        "stock": Result(
            "Every item that was unsold on the day of the export, and what is left for it. With what the file says of it.",
            {
                ROW: ROW_COLUMN,
                "age_days": ("Float64", "Days from creation to the export"),
                "expected_days": EXPECTED,
                "chance_30_days": CHANCE,
                "remaining_days": ("Float64", "Days from the export in which half of such unsold items sell"),
                **{
                    f"next_{n}_days": ("Float64", f"Chance of a sale within {n} days of the export")
                    for n in (30, 60, 90)
                },
                "suggested_price": (
                    "Float64",
                    "The price of those tried, 70 to 120 % of today's, with most takings within 30 days; null where none brings "
                    "in 5 % more, and for all but the 5,000 dearest items",
                ),
                "suggested_edge": (
                    "String",
                    "`lowest` or `highest` if it is an end of those tried: a better one may lie beyond",
                ),
            },
        ),
        "price_curve": Result(
            "Price times chance of a sale within 30 days over a grid of prices, per category.",
            {
                "group": ("String", "The category"),
                "usual_price": ("Float64", "Median price of the category"),
                "price": ("Float64", "A price of the grid"),
                "chance": ("Float64", "Mean chance of a sale within 30 days at this price, 0 to 1"),
                "takings": ("Float64", "Price x chance, per item"),
            },
        ),
    }

    def faults(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """Prices that are none, and dates in an order that cannot be."""
        free, dates = rows["price"] <= 0, date_faults(rows, datetime.now(UTC).date())
        return pl.concat([dates, cell_faults(rows, "price", free, "is not above 0")]) if free.any() else dates

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """With the day of the export, the days until sale, and every column of text, if only of nulls."""
        absent = [pl.lit(None, pl.String).alias(name) for name in TEXTS if name not in rows.columns]
        return with_days(rows.with_columns(absent), options.split.test_fraction)

    def counts(self, rows: pl.DataFrame, options: DatasetOptions) -> Mapping[str, int]:
        """Empty cells by column, unsold items, items younger than 30 days, and the days within which items are judged."""
        nulls = {f"no_{name}": rows[name].null_count() for name in TEXTS}
        young = rows.select((WATCHED < SALE_DAYS).sum()).item()
        unsold_items, judged_at = rows["sold"].null_count(), int(rows["horizon"][0])
        return {
            **nulls,
            "unsold_items": unsold_items,
            "items_of_the_last_30_days": young,
            "judged_within_days": judged_at,
        }

    def remarks(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[str, ...]:
        """That no item is unsold."""
        return ALL_SOLD if rows["sold"].null_count() == 0 else ()

    def split(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
        """By time, the newest items that were watched for the horizon; or drawn from those. Younger ones are learned from."""
        require_watched(rows)
        return _hold_out(rows, options.split)

    def must_be_older(self, train: pl.LazyFrame) -> pl.LazyFrame:
        """All but the items too young to be held out, sold or not: those are learned from although they are newer."""
        return train.filter(watched_for(pl.col("horizon")) | pl.col("days").is_not_null())

    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """As many items watch the training as test it, chosen in the same way."""
        fraction = options.split.test_fraction / (1 - options.split.test_fraction)
        split = options.split.model_copy(update={"test_fraction": min(fraction, 0.5)})
        fitted, watched = _hold_out(train, split)
        if (sold := fitted["sold"].count()) < FEWEST_SOLD:  # the job would refuse it too
            raise UserError(
                f"{sold} of {fitted.height} items to learn from {'was' if sold == 1 else 'were'} sold, at least {FEWEST_SOLD} are needed: add older items."
            )
        return TrainingInputs({"train": fitted.select(TRAINED_ON), "validation": watched.select(TRAINED_ON)})

    def scoring(self, tables: Mapping[str, pl.DataFrame], options: DatasetOptions, kept: Kept) -> ScoringInputs:
        """The held-out items as new ones, the stock at its age, and items at other prices than their own."""
        asked = {
            "predictions": tables["test"].select(ROW, *COLUMNS),
            "stock": stock_grid(unsold(tables["enriched"]).select(ROW, "age_days", *COLUMNS), tables["enriched"]),
            "price_curve": price_grid(tables["enriched"]),
        }
        return ScoringInputs(asked, shown={"rows_to_score": {name: rows.height for name, rows in asked.items()}})

    def read_result(self, name: str, outputs: Path, rows: pl.DataFrame | None) -> pl.DataFrame:
        """The job's table; its grid of prices as one row a category and price."""
        scored = super().read_result(name, outputs, rows)
        if name == "price_curve":
            return price_curves(scored)
        if name == "stock":
            return suggested_prices(scored).select(*self.results[name].columns)
        return scored.with_columns(predicted="expected_days") if name == "predictions" else scored

    def learned(self, run: FinishedRun) -> Learned:
        """With the categories and brands of the held-out items that the training items lack."""
        new = {
            name: run.test[name].drop_nulls().is_in(run.train[name].drop_nulls().unique().implode())
            for name in TEXTS[1:]
        }
        unseen = {name: run.test[name].drop_nulls().filter(~known).n_unique() for name, known in new.items()}
        notes = ALL_SOLD if run.results["stock"].is_empty() else ()
        return Learned(run.summary["features"], unseen_categories=unseen, notes=(*run.summary["notes"], *notes))

    def judged(self, run: FinishedRun) -> pl.DataFrame:
        """With days cut at the horizon, which are known of every held-out item, sold or not."""
        return run.held_out.with_columns(
            actual=pl.min_horizontal(pl.col("actual").fill_null(pl.col("horizon")), "horizon").cast(pl.Float64),
            predicted=pl.min_horizontal("predicted", "horizon"),
        )

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """Days by which half has sold, cut at the horizon as the model's are: of all, of the newest, and per group."""
        return {pace.name: pace.medians(run.held_out) for pace in _paces(run)}

    def contributions(self, run: FinishedRun) -> Mapping[str, float]:
        """Mean |SHAP| of the trees for the days, in days."""
        rows = run.test.sample(min(run.test.height, EXPLAINED_ROWS), seed=0)
        return contributions(run.model, rows.select(COLUMNS).to_arrow())

    def extras(self, run: FinishedRun) -> Extras:
        """How good the chances are, what of the stock turns over, and the best price by category."""
        paces, rows = _paces(run), with_chance(run)
        quick, chance = rows["quick"].to_numpy(), rows["chance"].to_numpy()
        naive = {pace.name: pace.shares(rows).to_numpy() for pace in paces}
        gain = measure_gain(quick, chance, naive, rows["created"])
        told = findings.Told(int(rows["horizon"][0]), paces[0].share, gain, naive)
        metrics = findings.chance_metrics(rows, told)
        stock = _told_stock(run)
        shares, curves = findings.stock_shares(stock), run.results["price_curve"]
        currency = run.options.currency or ""
        return Extras(
            headlines=findings.headlines(stock, shares, currency),
            tables=(
                *([slow_table(stock, currency), findings.stock_table(stock)] if shares else []),
                findings.price_table(curves, currency),
                findings.comparison_table(rows, told),
                findings.chance_table(metrics, told),
                findings.calibration_table(rows, told),
            ),
            figures=findings.price_figures(curves),
            metrics={**metrics, **shares},
            warnings=findings.horizon_warnings(run.train, told),
            judgement=judge_gain(gain, told.horizon),
            actions=tuple(what_to_do(stock, currency)),
            downloads=(Download(STOCK_FILE, "stock", "Every unsold item, what is left for it, and its price.", stock),),
            unit="days",
            per=f"item, counted up to {told.horizon} days",
        )


def _hold_out(rows: pl.DataFrame, split: SplitOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
    if split.strategy == "random":
        return hold_out_drawn(rows, split)
    return hold_out_newest(rows, split.test_fraction)


def _told_stock(run: FinishedRun) -> pl.DataFrame:
    """The stock with what the file says of each item first."""
    stock = run.results["stock"]
    for name in ("suggested_price", "suggested_edge"):  # older results have none
        if name not in stock.columns:
            stock = stock.with_columns(pl.lit(None, pl.Float64 if name == "suggested_price" else pl.String).alias(name))
    known = [name for name in run.test.columns if name in run.train.columns and name not in stock.columns]
    left_out = {*TURNOVER.reckoned, *run.options.fred_series, "as_of"}
    told = [ROW, *(name for name in known if name not in left_out)]
    rows = pl.concat([run.train.select(told), run.test.select(told)])
    named = stock.join(rows, on=ROW, how="left", maintain_order="left")
    return named.select(*told, *(name for name in stock.columns if name != ROW))


def _paces(run: FinishedRun) -> list[Pace]:
    return fit_paces(run.train, int(run.test["horizon"][0]), by_time=run.options.split.strategy == "time")


def with_chance(run: FinishedRun) -> pl.DataFrame:
    """The held-out rows with `quick`, sold within the horizon, and the `chance` of it that the model had said."""
    rows = run.held_out
    horizon = int(rows["horizon"][0])
    if horizon == SALE_DAYS:
        chance = rows["chance_30_days"]
    else:
        days = rows["expected_days"].to_numpy()
        chance = pl.Series(survival.chance_within(horizon, days, run.summary["spread"]))
    return rows.with_columns(quick=(pl.col("actual") <= horizon).fill_null(False), chance=chance)


TURNOVER = Turnover()

"""`item_demand`: daily sales per store and item, forecast for the next weeks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import polars as pl

from optiflow.days import first_and_last, periods_spanned
from optiflow.learners import item_demand as learner
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.pipelines.forecasting.gaps import Gaps, count_gaps, in_file, with_zeros
from optiflow.pipelines.forecasting.headers import DATES, ITEMS, REVENUES, STORES, UNITS
from optiflow.pipelines.forecasting.headers import SERIES as NAMED
from optiflow.pipelines.forecasting.holdout import last_days
from optiflow.pipelines.forecasting.naive import flat_means, naive_forecasts
from optiflow.pipelines.forecasting.pipeline import Forecasting, forecast_results
from optiflow.pipelines.forecasting.tables import (
    FORECAST_FILE,
    SOON_DAYS,
    accuracy_table,
    candidates_table,
    coming_days,
    coming_table,
    kinds_table,
    movers_table,
)
from optiflow.pipelines.forecasting.totals import forecast_totals, past_totals
from optiflow.pipelines.forecasting.totals import in_words as range_in_words
from optiflow.pipelines.forecasting.totals_figure import draw_totals
from optiflow.pipelines.forecasting.unfinished import unfinished_edges
from optiflow.pipelines.forecasting.unknown import in_words as unknown_in_words
from optiflow.pipelines.forecasting.unknown import on_rows_of, with_means
from optiflow.pipelines.item_demand.actions import what_to_do
from optiflow.pipelines.spec import TrainingInputs
from optiflow.report.extras import Download, Extras, Figure, Headline
from optiflow.report.wording import percent
from optiflow.roles import Role

SERIES = ("store", "item")
COLUMNS = ("date", *SERIES, "sales")
ITEM = ("item_id", "item_nbr", "sku", "product", "product_id", "article")
QUIET_DAYS, DAYS_COMPARED, DAYS_DRAWN = 28, 28, 56


class ItemDemand(Forecasting):
    """Daily sales: the last days are held out to judge the model, then all days forecast the next ones."""

    name = "item_demand"
    description = "Forecasts the daily sales of each item in each store, with intervals."
    algorithm = "item_demand"
    roles = (
        Role("date", "date", ("day", "sales_date", "ds"), also=DATES),
        Role(
            "store",
            "key",
            ("store_nbr", "store_id", "shop", "location"),
            also=STORES,
            instead=("item",),
            absent="all stores",
        ),
        Role("item", "key", ITEM, also=(*ITEMS, *NAMED), instead=("store",), absent="all items"),
        Role("sales", "number", ("quantity", "units", "units_sold", "demand", "qty", "y"), also=(*UNITS, *REVENUES)),
    )
    keys = SERIES
    row_keys = COLUMNS[:3]
    unit, unit_columns = "item-day", COLUMNS[:3]
    filled_unit = COLUMNS[:3]
    period_days, default_horizon = 1, 90
    results = forecast_results(
        {"store": ("String", "The store"), "item": ("String", "The item"), "date": ("Date", "The day")},
        "Units expected, the mean: sums of it are the expected sums",
        "What the held-out days were forecast to sell, by row number.",
        "The days after the file's last one, for each item in each store.",
    )

    def unfinished(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The rows of the first and of the last day, each if the file holds only a part of it."""
        return unfinished_edges(rows.with_columns(pl.col("date").cast(pl.Date)), SERIES, "date", "sales", 1)

    def counts(self, rows: pl.DataFrame, options: DatasetOptions) -> Mapping[str, int]:
        """Series, gaps, zeros, and what is new or has stopped."""
        _, end = first_and_last(rows["date"])
        sold = pl.col("sales") > 0
        series = rows.group_by(SERIES).agg(first=pl.col("date").min(), sold=pl.col("date").filter(sold).max())
        stores = rows.filter(sold).group_by("store").agg(pl.col("date").max())
        recent = pl.lit(end) - pl.duration(days=QUIET_DAYS)
        gaps = count_gaps(rows, SERIES, "date", "sales")
        quiet = (series["sold"].is_null() | (series["sold"] <= end - timedelta(QUIET_DAYS))).sum()
        return {
            "series": series.height,
            "stores": rows["store"].n_unique(),
            "items": rows["item"].n_unique(),
            "days": rows["date"].n_unique(),
            "missing_item_days": gaps.missing,
            "missing_item_days_as_zero": gaps.missing if self._mean_zero(gaps, options) else 0,
            "zero_sales_rows": gaps.zeros,
            "series_new_in_4_weeks": series.filter(pl.col("first") > recent).height,
            "series_without_sale_in_4_weeks": int(quiet),
            "stores_without_sale_in_4_weeks": rows["store"].n_unique() - stores.filter(pl.col("date") > recent).height,
        }

    def remarks(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[str, ...]:
        """That `gaps: auto` takes days without a row for days without sales."""
        gaps = count_gaps(rows, SERIES, "date", "sales")
        if self._gaps(options) != "auto" or not self._mean_zero(gaps, options):
            return ()
        return (
            f"{gaps.missing:,} of {gaps.days:,} item-days ({percent(gaps.missing / gaps.days)}) have no row. They count as "
            "zero sales, since the file has no zero at all. Where rows were left out for another reason, such as an empty "
            "shelf, the forecast would be far too low: set `hyperparameters: {gaps: unknown}` then.",
        )

    def split(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The last `horizon` days held out, at most a quarter of all; with a row for each day that counts as zero."""
        parts = last_days(rows, "date", self.horizon(options))  # of the file's own days, which may not be days at all
        if not self._mean_zero(count_gaps(rows, SERIES, "date", "sales"), options):
            return parts
        return last_days(with_zeros(rows, SERIES, "date", "sales"), "date", self.horizon(options))

    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """The sales before the hold-out; refused where they are too few or all 0, which the job would refuse too."""
        learner.check_history(periods_spanned(train["date"]), bool((train["sales"] > 0).any()))
        zeros = train.height - in_file(train).height
        # Decided on the whole file: the rows to learn from alone might say otherwise than those held out.
        decided = {"gaps": "zero" if zeros else "unknown"} if self._gaps(options) == "auto" else {}
        return TrainingInputs({"train": train.select(COLUMNS)}, shown={"zero_rows_added": zeros}, decided=decided)

    def learned(self, run: FinishedRun) -> Learned:
        """With a note on the days that count as zero."""
        learned = super().learned(run)
        every = pl.concat(
            [
                run.train.select("row", *COLUMNS),
                run.test.join(run.actuals, on="row").select("row", *COLUMNS[:3], sales="actual"),
            ]
        )
        noted = self.remarks(in_file(every), run.options)
        zeros = every.height - in_file(every).height
        if zeros and not noted:
            noted = (f"{zeros:,} item-days have no row and count as zero sales, as the hyperparameter `gaps` says.",)
        return replace(learned, notes=(*learned.notes, *noted))

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """What was sold 364 days earlier, what was sold lately, what is usual, and flat means, which are hard to beat for what sells rarely."""
        naive = (run.train, run.held_out, SERIES, "date", "sales")
        return {**naive_forecasts(*naive, period=1), **flat_means(*naive)}

    def _gaps(self, options: DatasetOptions) -> str:
        return self.hyperparameters(options)["gaps"]

    def _mean_zero(self, gaps: Gaps, options: DatasetOptions) -> bool:
        return learner.gaps_mean_zero(self._gaps(options), gaps.missing, gaps.days, gaps.zeros)

    def extras(self, run: FinishedRun) -> Extras:
        """What a store manager looks at: the coming weeks in total and by item, and how far to trust them."""
        forecast, held = run.results["forecast"], run.held_out
        sold = pl.concat([run.train.select(COLUMNS), held.select(*COLUMNS[:3], sales="actual")])
        _, last = first_and_last(run.train["date"])
        _, last_day = first_and_last(sold["date"])
        past = past_totals(run.summary.get("totals", ()), held, last, self.period_days)
        whole = with_means(sold, SERIES, "date", "sales")
        unknown = unknown_in_words(whole, sold, self.unit)
        totals = forecast_totals(forecast, whole, past, self.period_days)
        judged = on_rows_of(whole.filter(pl.col("date") > last), held, SERIES, "date", "predicted")
        shown = judged.group_by("date").agg(pl.col("predicted").sum()).sort("date")
        history = whole.group_by("date").agg(actual=pl.col("sales").sum()).sort("date").tail(shown.height + DAYS_DRAWN)
        days = forecast["date"].n_unique()
        within = {
            level: held.select(pl.col("actual").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
            for level in (80, 95)
        }
        both = pl.col("actual") + pl.col("predicted")
        smape = pl.when(both > 0).then(200 * (pl.col("actual") - pl.col("predicted")).abs() / both).otherwise(0.0)
        unit, first = run.options.unit or run.options.currency or "units", last_day + timedelta(1)
        soon, week = coming_days(whole, forecast, SERIES), min(days, SOON_DAYS)
        return Extras(
            headlines=(
                Headline(f"{unit.capitalize()} in the next {days} days", f"{forecast['predicted'].sum():,.0f}"),
                Headline(f"On {first:%A}, {first}", f"{soon['predicted'].sum():,.0f}"),
                Headline(f"In the next {week} days", f"{soon['coming'].sum():,.0f}"),
                Headline("Items in stores", f"{soon.height:,}"),
            ),
            tables=(
                coming_table(soon, SERIES, first, week, unit, unknown),
                movers_table(whole, forecast, "item", "Item", min(days, DAYS_COMPARED), unknown, unit),
                accuracy_table(held, "store", "Store", unit),
                candidates_table(run.summary),
                kinds_table(run.summary.get("kinds", ())),
            ),
            figures=(
                Figure(
                    "forecast",
                    f"{unit.capitalize()} sold and forecast, all stores and items",
                    "Black is what was sold, amber what the hold-out days were forecast to sell, blue what is to come. "
                    + " ".join(filter(None, (unknown, range_in_words(totals, past, "day")))),
                    partial(draw_totals, history, shown, totals, "date", unit=unit),
                ),
            ),
            metrics={
                "smape": held.select(smape.mean()).item(),
                "coverage_80": within[80],
                "coverage_95": within[95],
            },
            series=SERIES,
            actions=tuple(what_to_do(soon, SERIES, first, week, unit)),
            downloads=(Download(FORECAST_FILE, "forecast", "The forecast of every store, item and day.", forecast),),
            unit=unit,
            per="store, item and day",
        )


ITEM_DEMAND = ItemDemand()

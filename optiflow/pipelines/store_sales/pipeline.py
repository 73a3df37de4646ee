"""`store_sales`: weekly sales per store, forecast for the next weeks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from optiflow.days import first_and_last, periods_spanned
from optiflow.learners import store_sales as learner
from optiflow.learners.store_sales.names import SHORT_WEEKS, in_words
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.pipelines.forecasting.holdout import last_days, without_history
from optiflow.pipelines.forecasting.naive import naive_forecasts
from optiflow.pipelines.forecasting.pipeline import Forecasting, forecast_results
from optiflow.pipelines.forecasting.totals import forecast_totals, past_totals
from optiflow.pipelines.forecasting.totals import in_words as range_in_words
from optiflow.pipelines.forecasting.totals_figure import draw_totals
from optiflow.pipelines.forecasting.unknown import in_words as unknown_in_words
from optiflow.pipelines.forecasting.unknown import on_rows_of, with_means
from optiflow.pipelines.spec import TrainingInputs
from optiflow.pipelines.store_sales.one_series import draw_series
from optiflow.pipelines.store_sales.weekly_tables import candidates_table, coming_table, stores_table, weeks_table
from optiflow.pipelines.store_sales.weeks import count_weeks, with_weeks
from optiflow.report.extras import Extras, Figure, Headline
from optiflow.roles import Role

COLUMNS = ("store", "date", "sales")
WEEKS_DRAWN = 52
NAIVE = {"the same week": "year_before", "mean of the last": "lately", "mean of all": "usual"}
"""How the names of baselines begin -> what the learner calls them."""


def _extra(name: str, *headers: str) -> Role:
    return Role(name, "number", headers, required=False, nullable=True)


class StoreSales(Forecasting):
    """Weekly sales: the last weeks are held out to judge the model, then all weeks forecast the next ones.

    Weather, prices, holidays and FRED series stay in the table, but no model reads them: nobody knows them for the
    weeks ahead.
    """

    name = "store_sales"
    description = "Forecasts the weekly sales of each store for the next weeks, with intervals."
    algorithm = "store_sales"
    roles = (
        Role("store", "key", ("store_id", "store_nbr", "shop", "location")),
        Role("date", "date", ("week", "week_date", "week_ending", "ds")),
        Role("sales", "number", ("weekly_sales", "revenue", "turnover", "y")),
        _extra("holiday", "holiday_flag", "is_holiday"),
        _extra("temperature"),
        _extra("fuel_price"),
        _extra("cpi"),
        _extra("unemployment"),
    )
    keys = ("store",)
    row_keys = ("store", "date")
    unit, unit_columns = "store-week", ("store", "week")
    period_days, default_horizon = 7, 12
    results = forecast_results(
        {"store": ("String", "The store"), "date": ("Date", "The week, named by the day that the file names weeks by")},
        "Sales expected in the week",
        "What the held-out weeks were forecast to sell, by row number.",
        "The weeks after the file's last one, for each store.",
    )

    def in_periods(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with whole days, and the week of each."""
        return with_weeks(rows)

    def counts(self, rows: pl.DataFrame, options: DatasetOptions) -> Mapping[str, int]:
        """Stores, gaps, and which stores are new or have stopped."""
        return count_weeks(rows, "store", "sales", SHORT_WEEKS)

    def split(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The last `horizon` weeks held out, at most a quarter of all."""
        train, test = last_days(with_weeks(rows), "week", self.horizon(options), 7)
        return train.drop("week"), test.drop("week")

    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """The sales before the hold-out; refused where they span too few weeks, which the job would refuse too."""
        learner.check_weeks(periods_spanned(train["date"], 7))
        return TrainingInputs({"train": train.select(COLUMNS)})

    def learned(self, run: FinishedRun) -> Learned:
        """With a note on stores that the training rows lack."""
        learned = super().learned(run)
        return replace(learned, notes=(*learned.notes, *without_history(run.test, run.train, "store")))

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """What was sold 52 weeks earlier, the mean of the last weeks, and that of all."""
        return naive_forecasts(run.train, run.held_out, self.keys, "date", "sales", period=7)

    def extras(self, run: FinishedRun) -> Extras:
        """What a store manager looks at: the coming weeks, in total and by store, and how far to trust them."""
        forecast, held = run.results["forecast"], run.held_out
        sold = pl.concat([run.train.select(COLUMNS), held.select(*COLUMNS[:2], sales="actual")])
        _, last = first_and_last(run.train["date"])
        past = past_totals(run.summary.get("totals", ()), held, last, self.period_days)
        whole = with_means(sold, self.keys, "date", "sales", self.period_days)
        totals = forecast_totals(forecast, whole, past, self.period_days)
        range_from = range_in_words(totals, past, "week")
        after = whole.filter(pl.col("date") > last)
        judged = on_rows_of(after, held, self.keys, "date", "predicted", self.period_days)
        shown = judged.group_by("date").agg(pl.col("predicted").sum()).sort("date")
        history = whole.group_by("date").agg(actual=pl.col("sales").sum()).sort("date").tail(shown.height + WEEKS_DRAWN)
        weeks = forecast["date"].n_unique()
        by_store = stores_table(held)
        best, worst = by_store.rows[0][0], by_store.rows[-1][0]
        chosen = in_words(str(run.summary.get("chosen", "-")))
        return Extras(
            headlines=(
                Headline(f"Sales in the next {weeks} weeks", f"{forecast['predicted'].sum():,.0f}"),
                Headline("Stores", f"{forecast['store'].n_unique():,}"),
                Headline("Champion", chosen),
            ),
            tables=(
                weeks_table(totals, sold, forecast, range_from),
                coming_table(sold, forecast),
                by_store,
                candidates_table(run.summary, in_words),
            ),
            figures=(
                Figure(
                    "forecast",
                    "Sales and forecast, all stores together",
                    "Black is what was sold, amber what the hold-out weeks were forecast to sell, blue what is to come. "
                    f"The band is the range of the first table. {unknown_in_words(whole, sold, self.unit)}".strip(),
                    partial(draw_totals, history, shown, totals, "date"),
                ),
                *_store_figures({best: "best", worst: "worst"}, sold, held, forecast),
            ),
            metrics={
                **{f"coverage_{level}": _inside(held, level) for level in (80, 95)},
                **{f"validation_{name}": value for name, value in run.summary.get("metrics", {}).items()},
            },
            series=self.keys,
            past_skills=self._past_skills(run),
        )

    def _past_skills(self, run: FinishedRun) -> Mapping[str, Sequence[float]]:
        """By the names of the baselines, which say how many weeks they are of."""
        skills = run.summary.get("past_skills", {})
        names = self.baselines(run)
        return {name: skills.get(kind, ()) for name in names for begin, kind in NAIVE.items() if name.startswith(begin)}


def _inside(held: pl.DataFrame, level: int) -> float:
    return held.select(pl.col("actual").is_between(f"lo_{level}", f"hi_{level}").mean()).item()


def _store_figures(told: Mapping[object, str], *tables: pl.DataFrame) -> list[Figure]:
    text = "The store that was forecast {}. The bands hold 80 and 95 % of the weeks."
    drawn = {
        store: partial(draw_series, *(table.filter(store=store).sort("date") for table in tables)) for store in told
    }
    return [
        Figure(f"store-{n}", f"Store {store}", text.format(told[store]), draw)
        for n, (store, draw) in enumerate(drawn.items(), 1)
    ]


STORE_SALES = StoreSales()

"""`store_sales`: weekly sales per store, forecast for the next weeks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from optiflow.days import first_and_last, periods_spanned
from optiflow.errors import UserError
from optiflow.learners import store_sales as learner
from optiflow.learners.store_sales.names import SHORT_WEEKS, in_words
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.pipelines.forecasting.headers import DATES, REVENUES, SERIES, STORES, UNITS
from optiflow.pipelines.forecasting.holdout import last_days, without_history
from optiflow.pipelines.forecasting.naive import naive_forecasts
from optiflow.pipelines.forecasting.pipeline import SALES, Forecasting, forecast_results
from optiflow.pipelines.forecasting.repeats import negative_values, repeated_rows
from optiflow.pipelines.forecasting.totals import forecast_totals, past_totals
from optiflow.pipelines.forecasting.totals import in_words as range_in_words
from optiflow.pipelines.forecasting.totals_figure import draw_totals
from optiflow.pipelines.forecasting.unfinished import unfinished_edges
from optiflow.pipelines.forecasting.unknown import in_words as unknown_in_words
from optiflow.pipelines.forecasting.unknown import on_rows_of, with_means
from optiflow.pipelines.spec import Completed, TrainingInputs
from optiflow.pipelines.store_sales.actions import what_to_do
from optiflow.pipelines.store_sales.days import are_days, broken_weeks, to_weeks, with_calendar_weeks
from optiflow.pipelines.store_sales.odd_weeks import in_words as in_words_of_odd_weeks
from optiflow.pipelines.store_sales.odd_weeks import odd_rows
from optiflow.pipelines.store_sales.one_series import draw_series
from optiflow.pipelines.store_sales.weekly_tables import (
    FORECAST_FILE,
    Told,
    by_store,
    candidates_table,
    coming_table,
    missed_by_store,
    stores_table,
    weeks_table,
)
from optiflow.pipelines.store_sales.weeks import count_weeks, naming_in_words, week_date_of, with_weeks
from optiflow.report.extras import Download, Extras, Figure, Headline
from optiflow.roles import Role
from optiflow.split import ROW

COLUMNS = ("store", "date", "sales")
WEEKS_DRAWN = 52
DATE_IS = {"begins": "week_start", "ends": "week_end"}
"""The option `week_date` -> what the learner calls it."""
WEEK_DATE = {name: option for option, name in DATE_IS.items()}
SOLD = ("quantity", "units", "units_sold", "demand", "qty")
NAIVE = {"the same week": "year_before", "mean of the last": "lately", "mean of all": "usual"}
"""How the names of baselines begin -> what the learner calls them."""


def _extra(name: str, *headers: str) -> Role:
    return Role(name, "number", headers, required=False, nullable=True, read=False)


class StoreSales(Forecasting):
    """Weekly sales: the last weeks are held out to judge the model, then all weeks forecast the next ones.

    Weather, prices, holidays and FRED series stay in the table, but no model reads them: nobody knows them for the
    weeks ahead.
    """

    name = "store_sales"
    description = "Forecasts the weekly sales of each store for the next weeks, with intervals."
    algorithm = "store_sales"
    roles = (
        Role(
            "store",
            "key",
            ("store_id", "store_nbr", "shop", "location"),
            False,
            also=(*STORES, *SERIES),
            absent="all stores",
        ),
        Role(
            "date",
            "date",
            ("week", "week_date", "week_ending", "week_beginning", "ds"),
            also=("week_start", "week_end", "day", *DATES),
        ),
        Role("sales", "number", ("weekly_sales", "revenue", "turnover", "y"), also=(*REVENUES, *SOLD, *UNITS)),
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
    own_options = (*Forecasting.own_options, "week_date")
    results = forecast_results(
        {"store": ("String", "The store"), "date": ("Date", "The week, named by the day that the file names weeks by")},
        "Sales expected in the week",
        "What the held-out weeks were forecast to sell, by row number.",
        "The weeks after the file's last one, for each store.",
    )

    def in_periods(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with whole days, and the week of each."""
        return with_weeks(rows)

    def hyperparameters(self, options: DatasetOptions) -> dict[str, str]:
        """With `date_is` by the option `week_date`, which says the same of a week's date.

        Raises:
            UserError: both are given and contradict each other, or as for the others.
        """
        found, said = super().hyperparameters(options), DATE_IS.get(options.week_date or "")
        given = options.hyperparameters.get("date_is")
        if said is not None and given is not None and given != said:
            raise UserError(
                f"option week_date is {options.week_date!r}, but hyperparameters.date_is is {given!r}: both say which day of its "
                "week a date names. Leave hyperparameters.date_is out."
            )
        return {**found, "date_is": said or found["date_is"]}

    def answered(self, rows: pl.DataFrame, options: DatasetOptions, columns: Mapping[str, str]) -> Mapping[str, Any]:
        """Whether a week's date begins or ends it: by `date_is`, by the header, by how days are added up, or by its Mondays."""
        if options.week_date is not None:
            return {}
        if "date_is" in options.hyperparameters:
            return {"week_date": WEEK_DATE[self._date_is(options)]}
        if said := week_date_of(columns["date"]):
            return {"week_date": said}
        if are_days(rows):
            return {"week_date": WEEK_DATE[self._date_is(options)]}
        return {"week_date": "begins"} if _are_mondays(rows) else {}

    def complete(self, rows: pl.DataFrame, options: DatasetOptions) -> Completed:
        """As they are; said, where they are days."""
        completed = super().complete(rows, options)
        if not are_days(rows):
            return completed
        named = "Sunday, its last day" if self._date_is(options) == "week_end" else "Monday, its first day"
        note = (
            f"The rows are days. They are added up to weeks from Monday to Sunday, each named by {named}. To forecast days, "
            "upload the file to item_demand."
        )
        return replace(completed, notes=(note,))

    def unfinished(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The rows of the first and last week, and of days, that the file holds only a part of."""
        whole = rows.with_columns(pl.col("date").cast(pl.Date))
        if not are_days(whole):
            weeks = with_weeks(whole)
            return unfinished_edges(weeks, self.keys, "week", SALES, 7)
        days = unfinished_edges(whole, self.keys, "date", SALES, 1)
        weeks = broken_weeks(whole.join(days, on=ROW, how="anti", maintain_order="left"))
        return pl.concat([days, weeks])

    def faults(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """As for weeks; of days, those that come twice, and weeks whose days add up to less than 0."""
        if not are_days(rows):
            return super().faults(rows, options)
        days = with_calendar_weeks(rows, self._date_is(options))
        below = (days.select(pl.col(SALES).sum().over("store", "week") < 0).to_series()) & (days[SALES] < 0)
        negative = negative_values(days.filter(below), SALES)
        if options.duplicates == "sum":
            return negative
        return pl.concat([negative, repeated_rows(days, ("store", "date"), "store-day")])

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """One row a store and week, named by the week's own day."""
        return to_weeks(rows, self._date_is(options)) if are_days(rows) else super().tidy(rows, options)

    def _date_is(self, options: DatasetOptions) -> str:
        return self.hyperparameters(options)["date_is"]

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
        is_said = options.week_date is not None or "date_is" in options.hyperparameters
        decided = {"date_is": DATE_IS["begins"]} if _are_mondays(train) and not is_said else {}
        return TrainingInputs({"train": train.select(COLUMNS)}, decided=decided)

    def remarks(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[str, ...]:
        """Which weeks are taken for closures, and which for errors."""
        return in_words_of_odd_weeks(odd_rows(rows))

    def learned(self, run: FinishedRun) -> Learned:
        """With notes on stores that the training rows lack, and on odd weeks."""
        learned = super().learned(run)
        odd = in_words_of_odd_weeks(odd_rows(_sold(run)))
        return replace(learned, notes=(*odd, *learned.notes, *without_history(run.test, run.train, "store")))

    def judged(self, run: FinishedRun) -> pl.DataFrame:
        """The held-out rows; closed and absurd weeks without an actual, since neither model nor naive forecast means them."""
        odd = odd_rows(_sold(run)).select("store", "date", odd=pl.lit(True))
        held = run.held_out.join(odd, on=["store", "date"], how="left", maintain_order="left")
        return held.with_columns(actual=pl.when(pl.col("odd").is_null()).then("actual")).drop("odd")

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """What was sold 52 weeks earlier, the mean of the last weeks, and that of all; odd weeks left out."""
        usual = run.train.join(odd_rows(_sold(run)), on=["store", "date"], how="anti", maintain_order="left")
        return naive_forecasts(usual, run.held_out, self.keys, "date", "sales", period=7)

    def extras(self, run: FinishedRun) -> Extras:
        """What a store manager looks at: the coming weeks, in total and by store, and how far to trust them."""
        forecast, held = run.results["forecast"], self.judged(run).drop_nulls("actual")
        sold = _sold(run)
        _, last = first_and_last(run.train["date"])
        past = past_totals(run.summary.get("totals", ()), held, last, self.period_days)
        whole = with_means(sold, self.keys, "date", "sales", self.period_days)
        totals = forecast_totals(forecast, whole, past, self.period_days)
        range_from = range_in_words(totals, past, "week")
        after = whole.filter(pl.col("date") > last)
        judged = on_rows_of(after, run.held_out, self.keys, "date", "predicted", self.period_days)
        shown = judged.group_by("date").agg(pl.col("predicted").sum()).sort("date")
        history = whole.group_by("date").agg(actual=pl.col("sales").sum()).sort("date").tail(shown.height + WEEKS_DRAWN)
        told = Told(run.options.currency or run.options.unit or "", run.options.week_date)
        missed = missed_by_store(held)
        return Extras(
            headlines=_headlines(totals, forecast, told),
            tables=(
                weeks_table(totals, sold, forecast, f"{naming_in_words(last, told.week_date)} {range_from}", told),
                coming_table(sold, forecast, told),
                stores_table(held, told),
                candidates_table(run.summary, in_words),
            ),
            figures=(
                Figure(
                    "forecast",
                    "Sales and forecast, all stores together",
                    "Black is what was sold, amber what the hold-out weeks were forecast to sell, blue what is to come. "
                    f"The band is the range of the first table. {unknown_in_words(whole, sold, self.unit)}".strip(),
                    partial(draw_totals, history, shown, totals, "date", unit=told.unit),
                ),
                *_store_figures({missed["store"][0]: "best", missed["store"][-1]: "worst"}, told, sold, held, forecast),
            ),
            metrics={
                **{f"coverage_{level}": _inside(held, level) for level in (80, 95)},
                **{f"validation_{name}": value for name, value in run.summary.get("metrics", {}).items()},
            },
            series=self.keys,
            past_skills=self._past_skills(run),
            actions=tuple(what_to_do(totals, by_store(sold, forecast), missed, told)),
            downloads=(Download(FORECAST_FILE, "forecast", "The forecast of every store and week.", forecast),),
            unit=told.unit,
            per="store and week",
        )

    def _past_skills(self, run: FinishedRun) -> Mapping[str, Sequence[float]]:
        """By the names of the baselines, which say how many weeks they are of."""
        skills = run.summary.get("past_skills", {})
        names = self.baselines(run)
        return {name: skills.get(kind, ()) for name in names for begin, kind in NAIVE.items() if name.startswith(begin)}


def _are_mondays(rows: pl.DataFrame) -> bool:
    """Weeks are named by a Monday where that is their first day: nobody's week ends on one."""
    return rows.height > 0 and bool((rows["date"].dt.weekday() == 1).all())


def _sold(run: FinishedRun) -> pl.DataFrame:
    return pl.concat([run.train.select(COLUMNS), run.held_out.select(*COLUMNS[:2], sales="actual")])


def _inside(held: pl.DataFrame, level: int) -> float:
    return held.select(pl.col("actual").is_between(f"lo_{level}", f"hi_{level}").mean()).item()


def _headlines(totals: pl.DataFrame, forecast: pl.DataFrame, told: Told) -> tuple[Headline, ...]:
    weeks, soon = totals.height, totals.row(0, named=True)
    unit = f" {told.unit}" if told.unit else ""
    return (
        Headline(f"Sales in the next {weeks} weeks", f"{forecast['predicted'].sum():,.0f}{unit}"),
        Headline(f"Week of {told.week(soon['date'])}", f"{soon['predicted']:,.0f}{unit}"),
        *(
            []
            if soon["low"] is None
            else [Headline("In four weeks of five", f"{soon['low']:,.0f} to {soon['high']:,.0f}")]
        ),
        Headline("Stores", f"{forecast['store'].n_unique():,}"),
    )


def _store_figures(found: Mapping[object, str], told: Told, *tables: pl.DataFrame) -> list[Figure]:
    text = "The store that was forecast {}. The bands hold 80 and 95 % of the weeks."
    drawn = {
        store: partial(draw_series, *(table.filter(store=store).sort("date") for table in tables), unit=told.unit)
        for store in found
    }
    return [
        Figure(f"store-{n}", f"Store {store}", text.format(found[store]), draw)
        for n, (store, draw) in enumerate(drawn.items(), 1)
    ]


STORE_SALES = StoreSales()

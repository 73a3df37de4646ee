"""Tables of a report on weekly forecasts: the weeks to come, each store's, how far off the hold-out was, who competed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from optiflow.days import YEAR
from optiflow.pipelines.forecasting.tables import as_percent, with_shares
from optiflow.pipelines.store_sales.weeks import week_in_words
from optiflow.report.extras import ReportTable
from optiflow.report.tables import PAGE_ROWS, shown_of
from optiflow.report.wording import titled

FORECAST_FILE = "forecast.csv"


@dataclass(frozen=True)
class Told:
    """How the tables speak: the `unit` of sales, and whether a week's date `begins` or `ends` it (None: not known)."""

    unit: str = ""
    week_date: str | None = None

    def week(self, day: date) -> str:
        """The days of the week of this date."""
        return week_in_words(day, self.week_date)


PLAIN = Told()


def weeks_table(
    totals: pl.DataFrame, sold: pl.DataFrame, forecast: pl.DataFrame, range_from: str, told: Told = PLAIN
) -> ReportTable:
    """All stores together, week by week, and beside it those that sold in the same week a year ago, then and now.

    Args:
        totals: As `optiflow.pipelines.forecasting.totals.forecast_totals` gives them.
        sold: All history: `store`, `date`, `sales`.
        forecast: `store`, `date`, `predicted`.
        range_from: What the range stands on, in words.
        told: Unit, and how weeks are named.
    """
    then = sold.select("store", date=pl.col("date") + YEAR, year_ago="sales")
    # A store that has opened since would pass for growth of all.
    both = forecast.join(then, on=["store", "date"]).group_by("date").agg(pl.col("year_ago", "predicted").sum())
    made = totals.join(both.rename({"predicted": "same"}), on="date", how="left", maintain_order="left")
    rows = made.select(
        pl.col("date").map_elements(told.week, pl.String),
        pl.col("predicted", "low", "high").round(0).cast(pl.Int64),
        "tried",
        pl.col("same", "year_ago").round(0).cast(pl.Int64),
        _change("same", "year_ago"),
    )
    text = (
        f"All stores together. {range_from} That number is in the column Past tries. The last three columns are of the "
        "stores alone that have sales of the same week a year ago."
    )
    forecast_of = titled("Forecast", told.unit)
    header = ("Week", forecast_of, "From", "To", "Past tries", "Stores of a year ago", "They sold then", "Change")
    return ReportTable(f"Next {rows.height} weeks", text, header, with_shares(rows, 1))


def by_store(sold: pl.DataFrame, forecast: pl.DataFrame) -> pl.DataFrame:
    """Each store's next week, and all its next weeks beside the same weeks of last year; the largest first.

    Args:
        sold: All history: `store`, `date`, `sales`.
        forecast: `store`, `date`, `predicted`, `lo_80`, `hi_80`.

    Returns:
        `store`, `next_predicted`, `next_lo_80`, `next_hi_80`, `coming`, `year_ago` (null unless all weeks are known),
        `change`.
    """
    first = forecast["date"].min()
    then = sold.select("store", date=pl.col("date") + YEAR, year_ago="sales")
    made = forecast.join(then, on=["store", "date"], how="left")
    soon = pl.col("date") == first
    # A sum of some of the weeks would not be comparable with the forecast of all.
    whole = pl.when(pl.col("year_ago").is_not_null().all()).then(pl.col("year_ago").sum())
    return (
        made.group_by("store")
        .agg(
            *(pl.col(name).filter(soon).first().alias(f"next_{name}") for name in ("predicted", "lo_80", "hi_80")),
            coming=pl.col("predicted").sum(),
            year_ago=whole,
        )
        .with_columns(_change("coming", "year_ago"))
        .sort("coming", "store", descending=[True, False])
    )


def coming_table(sold: pl.DataFrame, forecast: pl.DataFrame, told: Told = PLAIN) -> ReportTable:
    """`by_store` for people: every store, or the largest ones where there are more than a page shows."""
    weeks, first = forecast["date"].n_unique(), forecast["date"].min()
    assert isinstance(first, date)
    rows = by_store(sold, forecast).select(
        "store",
        pl.col("next_predicted", "next_lo_80", "next_hi_80", "coming", "year_ago").round(0).cast(pl.Int64),
        "change",
    )
    cut = shown_of(rows.height, "store", FORECAST_FILE)
    text = f"The largest first. The range holds the week with 80 % confidence. {cut}".strip()
    header = (
        "Store",
        titled(f"Week of {told.week(first)}", told.unit),
        "From",
        "To",
        f"Next {weeks} weeks",
        "A year ago",
        "Against a year ago",
    )
    return ReportTable("Next weeks by store", text, header, with_shares(rows.head(PAGE_ROWS), 1))


def missed_by_store(held: pl.DataFrame) -> pl.DataFrame:
    """How far off the hold-out weeks were in each store, the best first.

    Args:
        held: `store`, `actual`, `predicted`, `lo_80`, `hi_80`.

    Returns:
        `store`, `actual` (the sum), `missed` (mean a week), `mape`, `bias`, `within`: shares of 1, null where nothing was sold.
    """
    miss = (pl.col("predicted") - pl.col("actual")).abs()
    share = pl.when(pl.col("actual") > 0).then(miss / pl.col("actual"))
    bias = pl.col("predicted").sum() / pl.col("actual").sum() - 1
    return (
        held.group_by("store")
        .agg(
            pl.col("actual").sum(),
            missed=miss.mean(),
            mape=share.mean(),
            bias=pl.when(pl.col("actual").sum() > 0).then(bias),
            within=pl.col("actual").is_between("lo_80", "hi_80").mean(),
        )
        .sort("mape", "store", nulls_last=True)
    )


def stores_table(held: pl.DataFrame, told: Told = PLAIN) -> ReportTable:
    """`missed_by_store` for people: every store; of more than a page shows, the best and the worst."""
    rows = missed_by_store(held).with_columns(pl.col("actual", "missed").round(0).cast(pl.Int64))
    half = PAGE_ROWS // 2
    many = rows.height > PAGE_ROWS
    shown = pl.concat([rows.head(half), rows.tail(half)]) if many else rows
    which = f"the {half} best and the {half} worst of {rows.height:,} stores" if many else "the best store first"
    text = f"The hold-out weeks, {which}. A miss is per week and store; a bias above 0 is a forecast too high."
    header = (
        "Store",
        titled("Sold", told.unit),
        titled("Missed by, a week", told.unit),
        "Mean miss",
        "Bias",
        "Weeks within the 80 % range",
    )
    return ReportTable("Accuracy per store", text, header, with_shares(shown, 3))


def candidates_table(summary: Mapping[str, Any], in_words: Callable[[str], str]) -> ReportTable:
    """The learner's candidates on its past origins; `summary` has `candidates`, `chosen`, `members`, `origins`."""
    chosen, members = summary.get("chosen"), summary.get("members", ())
    rows = tuple(
        (
            in_words(entry["name"]),
            as_percent(entry["mape"]),
            # What could not be fitted at the older origins was judged at the newest ones only.
            *map(as_percent, [*entry["by_origin"], *[None] * (len(summary["origins"]) - len(entry["by_origin"]))]),
            "champion" if entry["name"] == chosen else ("in the mean" if entry["name"] in members else ""),
        )
        for entry in summary.get("candidates", ())
    )
    text = (
        "Mean miss as a share of sales (MAPE). Each forecast the weeks after these dates from the weeks before, as if the rest were "
        "not known. The champion made the forecast; the hold-out weeks took no part in the choice."
    )
    header = ("Method", "MAPE", *(f"from {day}" for day in summary.get("origins", ())), "")
    return ReportTable("Candidates", text, header, rows)


def _change(now: str, before: str) -> pl.Expr:
    return pl.when(pl.col(before) > 0).then(pl.col(now) / pl.col(before) - 1).alias("change")

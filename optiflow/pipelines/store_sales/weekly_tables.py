"""Tables of a report on weekly forecasts: the weeks to come, each store's, how far off the hold-out was, who competed."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from optiflow.days import YEAR
from optiflow.pipelines.forecasting.tables import as_percent, with_shares
from optiflow.report.extras import ReportTable

SHOWN_ROWS = 15


def weeks_table(totals: pl.DataFrame, sold: pl.DataFrame, forecast: pl.DataFrame, range_from: str) -> ReportTable:
    """All stores together, week by week, and beside it those that sold in the same week a year ago, then and now.

    Args:
        totals: As `optiflow.pipelines.forecasting.totals.forecast_totals` gives them.
        sold: All history: `store`, `date`, `sales`.
        forecast: `store`, `date`, `predicted`.
        range_from: What the range stands on, in words.
    """
    then = sold.select("store", date=pl.col("date") + YEAR, year_ago="sales")
    # A store that has opened since would pass for growth of all.
    both = forecast.join(then, on=["store", "date"]).group_by("date").agg(pl.col("year_ago", "predicted").sum())
    made = totals.join(both.rename({"predicted": "same"}), on="date", how="left", maintain_order="left")
    rows = made.select(
        pl.col("date").dt.to_string("iso"),
        pl.col("predicted", "low", "high").round(0).cast(pl.Int64),
        "tried",
        pl.col("same", "year_ago").round(0).cast(pl.Int64),
        _change("same", "year_ago"),
    )
    text = (
        f"All stores together. {range_from} The last three columns are of the stores alone that have sales of the same week "
        "a year ago."
    )
    header = ("Week", "Forecast", "From", "To", "Tried", "Stores of a year ago", "A year ago", "Change")
    return ReportTable(f"Next {rows.height} weeks", text, header, with_shares(rows, 1))


def coming_table(sold: pl.DataFrame, forecast: pl.DataFrame) -> ReportTable:
    """Each store's next week, and all its next weeks beside the same weeks of last year; the largest first.

    Args:
        sold: All history: `store`, `date`, `sales`.
        forecast: `store`, `date`, `predicted`, `lo_80`, `hi_80`.
    """
    weeks, first = forecast["date"].n_unique(), forecast["date"].min()
    then = sold.select("store", date=pl.col("date") + YEAR, year_ago="sales")
    made = forecast.join(then, on=["store", "date"], how="left")
    soon = pl.col("date") == first
    # A sum of some of the weeks would not be comparable with the forecast of all.
    whole = pl.when(pl.col("year_ago").is_not_null().all()).then(pl.col("year_ago").sum())
    by_store = made.group_by("store").agg(
        *(pl.col(name).filter(soon).first().alias(f"next_{name}") for name in ("predicted", "lo_80", "hi_80")),
        coming=pl.col("predicted").sum(),
        year_ago=whole,
    )
    rows = by_store.sort("coming", "store", descending=[True, False]).select(
        "store",
        pl.col("next_predicted", "next_lo_80", "next_hi_80", "coming").round(0).cast(pl.Int64),
        _change("coming", "year_ago"),
    )
    text = (
        f"The {min(SHOWN_ROWS, rows.height)} stores that will sell most. The range holds the week with 80 % confidence."
    )
    header = ("Store", f"Week of {first}", "From", "To", f"Next {weeks} weeks", "Against a year ago")
    return ReportTable("Next weeks by store", text, header, with_shares(rows.head(SHOWN_ROWS), 1))


def stores_table(held: pl.DataFrame) -> ReportTable:
    """How far off the hold-out weeks were in each store, the best first; of many stores, the best and the worst.

    Args:
        held: `store`, `actual`, `predicted`, `lo_80`, `hi_80`.
    """
    miss = (pl.col("predicted") - pl.col("actual")).abs()
    share = pl.when(pl.col("actual") > 0).then(miss / pl.col("actual"))
    bias = pl.col("predicted").sum() / pl.col("actual").sum() - 1
    by_store = (
        held.group_by("store")
        .agg(
            pl.col("actual").sum(),
            mape=share.mean(),
            bias=pl.when(pl.col("actual").sum() > 0).then(bias),
            within=pl.col("actual").is_between("lo_80", "hi_80").mean(),
        )
        .sort("mape", "store", nulls_last=True)
        .with_columns(pl.col("actual").round(0).cast(pl.Int64))
    )
    half = SHOWN_ROWS // 2
    many = by_store.height > SHOWN_ROWS
    shown = pl.concat([by_store.head(half), by_store.tail(half)]) if many else by_store
    text = f"The hold-out weeks; the {half} best and the {half} worst of {by_store.height} stores." if many else ""
    header = ("Store", "Sold", "Mean miss", "Bias", "Weeks within the 80 % range")
    return ReportTable(
        "Accuracy per store", text or "The hold-out weeks, the best store first.", header, with_shares(shown, 3)
    )


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

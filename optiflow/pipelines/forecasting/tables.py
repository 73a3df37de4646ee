"""Tables of a report on forecasts: who competed, how good each store's are, what will move."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from optiflow.days import YEAR, first_and_last
from optiflow.report.extras import ReportTable
from optiflow.report.tables import PAGE_ROWS, shown_of
from optiflow.report.wording import percent, titled

FORECAST_FILE = "forecast.csv"
SOON_DAYS = 7


def candidates_table(summary: Mapping[str, Any]) -> ReportTable:
    """The learner's candidates on its validation days; `summary` has `candidates` and `window`."""
    first, last = summary.get("window", ("", ""))
    rows = tuple(
        (
            entry["name"],
            entry["rmse"],
            as_percent(entry["total"]),
            as_percent(entry["wape"]),
            "champion" if entry["champion"] else ("rival" if entry.get("rival") else ""),
        )
        for entry in summary.get("candidates", ())
    )
    text = (
        f"Each forecast the days from {first} to {last} from the days before. RMSE is the root of the mean squared error, in "
        f"units; Total is how far all of it together was off; WAPE is all misses as a share of all sales, least for a forecast "
        f"of 0 where much sells rarely. {_who_competed(summary)} The hold-out days took no part in the choice."
    )
    return ReportTable("Candidates", text, ("Method", "RMSE", "Total", "WAPE", ""), rows)


def _who_competed(summary: Mapping[str, Any]) -> str:
    rivals = [entry["name"] for entry in summary.get("candidates", ()) if entry.get("rival")]
    if not rivals:
        return "The champion made the forecast."
    if len(rivals) == 1:
        return f"The champion made the forecast: {rivals[0]} had no rival, the other rows are there to compare."
    names = " and ".join(rivals)
    return (
        f"The champion made the forecast: it had the lower RMSE of the two rivals, {names}. The other rows are there to "
        "compare, and a lower RMSE there does not count."
    )


def accuracy_table(held: pl.DataFrame, key: str, what: str, unit: str = "") -> ReportTable:
    """How far off the hold-out was by `key`: the largest first.

    Args:
        held: `key`, `actual`, `predicted`, `lo_80`, `hi_80`.
        key: The column to group by.
        what: What it is, in words, for the title.
        unit: What sales are counted in.
    """
    miss = (pl.col("predicted") - pl.col("actual")).abs().sum()
    rows = (
        held.group_by(key)
        .agg(
            pl.col("actual", "predicted").sum(),
            wape=pl.when(pl.col("actual").sum() > 0).then(miss / pl.col("actual").sum()),
            within=pl.col("actual").is_between("lo_80", "hi_80").mean(),
        )
        .sort(pl.col("actual"), key, descending=[True, False])
        .with_columns(pl.col("actual", "predicted").round(0).cast(pl.Int64))
    )
    left = rows.height - PAGE_ROWS
    text = "The hold-out days" + (f", the {PAGE_ROWS} largest; {left:,} more are not shown." if left > 0 else ".")
    header = (what, titled("Sold", unit), "Predicted", "Missed by", "Within the 80 % range")
    return ReportTable(f"Accuracy per {what.lower()}", text, header, with_shares(rows.head(PAGE_ROWS), 2))


def coming_days(sold: pl.DataFrame, forecast: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Each series' next day, and its next week beside the one before, or as many days as are forecast; what sells most first.

    Args:
        sold: All history: `keys`, `date` (Date), `sales`; each day of a series that sells has a row.
        forecast: `keys`, `date`, `predicted` (a mean: sums of it are expected sums), `lo_80`, `hi_80`.
        keys: The columns that name a series.

    Returns:
        `keys`, `predicted`, `lo_80`, `hi_80` of the next day, `coming` (sum of the next 7 days), `before` (of as many days
        to the last one known; null where none of them is known), `change` (null unless `before` is above 0).
    """
    _, last = first_and_last(sold["date"])
    first, week = forecast["date"].min(), timedelta(min(SOON_DAYS, forecast["date"].n_unique()))
    assert isinstance(first, date)
    before = sold.filter(pl.col("date") > last - week).group_by(keys).agg(before=pl.col("sales").sum())
    made = forecast.group_by(keys).agg(
        *(pl.col(name).filter(pl.col("date") == first).first() for name in ("predicted", "lo_80", "hi_80")),
        coming=pl.col("predicted").filter(pl.col("date") < first + week).sum(),
    )
    change = pl.when(pl.col("before") > 0).then(pl.col("coming") / pl.col("before") - 1)
    made = made.join(before, on=list(keys), how="left").with_columns(change=change)
    return made.sort("coming", *keys, descending=[True, *[False] * len(keys)])


def coming_table(
    rows: pl.DataFrame, keys: Sequence[str], first: date, days: int, unit: str = "", unknown: str = ""
) -> ReportTable:
    """`coming_days` for people.

    Args:
        rows: As `coming_days` gives them.
        keys: The columns that name a series.
        first: The next day.
        days: How many days of the next week are forecast.
        unit: What sales are counted in.
        unknown: What counts for days that are not known, in words.
    """
    shown = rows.head(PAGE_ROWS).select(*keys, "predicted", "lo_80", "hi_80", "coming", "before", "change")
    cut = shown_of(rows.height, "row", FORECAST_FILE)
    text = (
        f"Each {' and '.join(keys)}, what will sell most first. The range holds the next day with 80 % confidence: have its "
        f"upper end where an empty shelf costs more than a left-over, its lower end where it costs less."
    )
    text = " ".join(filter(None, (text, unknown, cut)))
    names = [name.capitalize() for name in keys]
    header = (
        *names,
        titled(f"Next day, {first}", unit),
        "From",
        "To",
        f"Next {days} days",
        f"Last {days} days",
        "Change",
    )
    return ReportTable("Tomorrow and next week", text, header, with_shares(shown, 1), decimals=1)


def movers_table(
    sold: pl.DataFrame, forecast: pl.DataFrame, key: str, what: str, days: int, unknown: str = "", unit: str = "units"
) -> ReportTable:
    """What will sell most in the next `days` days, beside the days before and the same days a year ago.

    A year ago is left empty if the history begins within those days, since a sum of some of them is no comparison.

    Args:
        sold: All history: `key`, `date` (Date), `sales`; each day of a series that sells has a row, else its sum is not to
            be compared with the forecast's (`optiflow.pipelines.forecasting.unknown`).
        forecast: `key`, `date`, `predicted`.
        key: The column to group by.
        what: What it is, in words, for the title.
        days: Length of the periods compared.
        unknown: What counts for days that are not known, in words.
        unit: What sales are counted in.
    """
    first, last = first_and_last(sold["date"])
    period, year_ago = timedelta(days=days), last - YEAR

    def total(rows: pl.DataFrame, after: Any, value: str, name: str) -> pl.DataFrame:
        span = rows.filter((pl.col("date") > after) & (pl.col("date") <= after + period))
        return span.group_by(key).agg(pl.col(value).sum().alias(name))

    made = total(forecast, last, "predicted", "coming")
    made = made.join(total(sold, last - period, "sales", "before"), on=key, how="left")
    whole = sold if first <= year_ago + timedelta(1) else sold.clear()
    made = made.join(total(whole, year_ago, "sales", "year_ago"), on=key, how="left")
    change = pl.when(pl.col("before") > 0).then(pl.col("coming") / pl.col("before") - 1)
    made = made.with_columns(change=change).sort(pl.col("coming"), key, descending=[True, False])
    units = ("coming", "before", "year_ago")
    rows = made.with_columns(pl.col(units).round(0).cast(pl.Int64)).select(key, *units, "change")
    text = f"Sales in {unit} in the next {days} days, all stores together, beside the {days} days before and the same days a year ago."
    text = f"{text} {unknown}" if unknown else text
    text = f"{text} {shown_of(rows.height, what.lower(), FORECAST_FILE)}".strip()
    header = (what, titled("Forecast", unit), f"Last {days} days", "A year ago", "Change")
    return ReportTable(f"Next {days} days: what will sell most", text, header, with_shares(rows.head(PAGE_ROWS), 1))


def kinds_table(kinds: Sequence[Mapping[str, Any]]) -> ReportTable:
    """How many series are of which kind; each entry has `kind`, `series` and `meaning`."""
    rows = tuple((entry["kind"], entry["series"], entry["meaning"]) for entry in kinds)
    text = "What each item in each store sells like, and so how it is forecast."
    return ReportTable("Kinds of series", text, ("Kind", "Series", "Which means"), rows)


def with_shares(rows: pl.DataFrame, shares: int) -> tuple[tuple[Any, ...], ...]:
    """The rows of a table; the last `shares` cells of each are shares of 1, shown as percent."""
    return tuple((*row[:-shares], *map(as_percent, row[-shares:])) for row in rows.iter_rows())


def as_percent(value: float | None) -> str | None:
    """A share of 1 as percent; None stays None, which a report shows as a dash in a column of numbers."""
    return None if value is None else percent(value)

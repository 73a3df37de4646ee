"""What whoever runs stores should do about a weekly forecast, in sentences.

What belongs here: choosing what is worth a sentence. What does not: the tables that it is chosen from.
"""

from collections.abc import Iterator

import polars as pl

from optiflow.pipelines.store_sales.weekly_tables import FORECAST_FILE, Told
from optiflow.report.wording import listed, measured, percent

WORTH_A_WORD = 0.05
"""A change against a year ago that is worth asking about."""

WORTH_A_PLAN = 1.1
"""A week that sells so many times what the next one does needs staff and stock before it comes."""

MUCH_MISSED = 1.5
"""So many times the median store's mean miss a store is missed that needs a margin."""


def what_to_do(totals: pl.DataFrame, stores: pl.DataFrame, missed: pl.DataFrame, told: Told) -> Iterator[str]:
    """Sentences, most urgent first.

    Args:
        totals: All stores together, as `forecast_totals` gives them.
        stores: As `by_store` gives them.
        missed: As `missed_by_store` gives it.
        told: Unit, and how weeks are named.
    """
    soon = totals.row(0, named=True)
    range_of = "" if soon["low"] is None else f", {soon['low']:,.0f} to {soon['high']:,.0f} in four weeks of five"
    yield (
        f"Plan staff and stock for the week of {told.week(soon['date'])}: {measured(round(soon['predicted']), told.unit)} in all "
        f"stores together{range_of}. The table Next weeks by store has the same for each store."
    )
    high = totals.sort("predicted", descending=True).row(0, named=True)
    if high["predicted"] > WORTH_A_PLAN * soon["predicted"]:
        yield (
            f"Prepare for the week of {told.week(high['date'])}, the strongest of the next {totals.height}: "
            f"{measured(round(high['predicted']), told.unit)}, {percent(high['predicted'] / soon['predicted'] - 1)} more than next week."
        )
    for word, change in (("less", -pl.col("change")), ("more", pl.col("change"))):
        far = stores.filter(change > WORTH_A_WORD).sort(change, "store", descending=[True, False])
        if far.height:
            named = [f"{store} ({percent(share)})" for store, share in far.select("store", "change").rows()]
            yield (
                f"Do not order as last year where {word} is coming than a year ago: {_stores(far.height)} {listed(named, 5)}."
            )
    wide = missed.filter(pl.col("mape") > MUCH_MISSED * pl.col("mape").median()).sort("mape", descending=True)
    if wide.height:
        named = [f"{store} ({percent(share)})" for store, share in wide.select("store", "mape").rows()]
        yield f"Keep a margin where the forecast was furthest off when it was tried: {_stores(wide.height)} {listed(named, 5)}."
    yield f"Take {FORECAST_FILE} for every store and week, with its range."


def _stores(number: int) -> str:
    return "store" if number == 1 else "stores"

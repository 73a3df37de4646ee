"""Closed and absurd weeks of an upload: which rows they are, and what people are told of them.

What belongs here: tables and words. What does not: the rule (`optiflow.learners.store_sales.odd_weeks`), which the learner
follows too.
"""

from datetime import date

import polars as pl

from optiflow.pipelines.store_sales.weeks import with_weeks

NAMED = 10
CLOSED, ABSURD = "closed", "absurd"


def odd_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that say nothing of what their store usually sells.

    Args:
        rows: `store`, `date`, `sales`; one row a store and week.

    Returns:
        `store`, `date`, `sales`, `kind` (`closed` or `absurd`) and `usual` (the store's median), by store and date.
    """
    from optiflow.learners.store_sales.odd_weeks import find_odd_weeks

    weekly = with_weeks(rows.select("store", "date", "sales"))
    first = weekly["week"].min()
    place = weekly.with_columns(number=(pl.col("week") - pl.lit(first)).dt.total_days() // 7)
    grid = place.pivot(on="store", index="number", values="sales", aggregate_function="sum").sort("number")
    every = place.select(pl.int_range(pl.col("number").max() + 1).alias("number"))
    whole = every.join(grid, on="number", how="left", maintain_order="left").drop("number")
    odd = find_odd_weeks(whole.cast(pl.Float64).to_numpy())
    found = [
        pl.DataFrame({"number": cells.nonzero()[0], "store": [whole.columns[store] for store in cells.nonzero()[1]]})
        .with_columns(kind=pl.lit(kind))
        .cast({"number": place.schema["number"], "store": pl.String})
        for kind, cells in ((CLOSED, odd.closed), (ABSURD, odd.absurd))
    ]
    told = place.with_columns(usual=pl.col("sales").median().over("store"))
    return (
        told.join(pl.concat(found), on=["number", "store"])
        .select("store", "date", "sales", "kind", "usual")
        .sort("store", "date")
    )


def in_words(odd: pl.DataFrame) -> tuple[str, ...]:
    """What is done with odd weeks, and which they are; `odd` is as `odd_rows` gives it."""
    closed, absurd = odd.filter(kind=CLOSED), odd.filter(kind=ABSURD)
    told = []
    if closed.height:
        told.append(
            f"{_count(closed)} nothing, or nearly so: {_spans(closed)}. They are taken for closures: they count in no score and "
            "no level, and are filled from other years; a week that is closed every year is forecast as 0, and so is a store "
            "that was closed for the last eight weeks."
        )
    if absurd.height:
        named = ", ".join(
            f"store {row['store']}, {row['date']}: {row['sales']:,.10g}, where {row['usual']:,.0f} is usual"
            for row in absurd.head(NAMED).iter_rows(named=True)
        )
        more = f" and {absurd.height - NAMED} more" if absurd.height > NAMED else ""
        told.append(
            f"{_count(absurd)} what cannot be right, and {'counts' if absurd.height == 1 else 'count'} as missing: {named}{more}. "
            "If they are right, nothing can be learned from so few; if not, mend them in the file."
        )
    return tuple(told)


def _count(odd: pl.DataFrame) -> str:
    return "1 store-week has sold" if odd.height == 1 else f"{odd.height:,} store-weeks have sold"


def _spans(closed: pl.DataFrame) -> str:
    spans: list[tuple[str, date, date]] = []
    for store, day in closed.select("store", "date").iter_rows():
        if spans and spans[-1][0] == store and (day - spans[-1][2]).days <= 7:
            spans[-1] = (store, spans[-1][1], day)
        else:
            spans.append((store, day, day))
    named = [
        f"store {store}, {first}" + ("" if first == last else f" to {last}") for store, first, last in spans[:NAMED]
    ]
    more = f" and {len(spans) - NAMED} more" if len(spans) > NAMED else ""
    return "; ".join(named) + more

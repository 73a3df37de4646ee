"""The slow and dear items of a stock, by name, and what to do about them.

What belongs here: which items are worth a shop's time, as a table and in sentences. What does not: chances and prices
(`optiflow.learners.turnover`, `pricing`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from optiflow.report.extras import Cell, ReportTable
from optiflow.report.tables import PAGE_ROWS, shown_of
from optiflow.report.wording import count, listed, measured, percent, titled

STOCK_FILE = "stock.csv"
NAME_LENGTH = 60
CODE = re.compile(r"(?:^|[\W_])(?:id|sku|ean|gtin|asin|isbn|code|no|nr|number|article|item)$", re.IGNORECASE)
FIGURES = frozenset(
    {"age_days", "expected_days", "chance_30_days", "remaining_days", "suggested_price", "suggested_edge"}
)


def slow_items(stock: pl.DataFrame) -> pl.DataFrame:
    """The stock with `tied_up`, its price x the chance that it is still there in 90 days; the most money first.

    Args:
        stock: `row`, `price`, `next_90_days`, and the file's columns.
    """
    tied_up = pl.col("price") * (1 - pl.col("next_90_days"))
    return stock.with_columns(tied_up=tied_up).sort("tied_up", "row", descending=[True, False])


def code_column(stock: pl.DataFrame) -> str | None:
    """The file's column that tells items apart: named like a code, and no value twice; None where there is none."""
    for name in stock.columns:
        values = stock[name]
        if CODE.search(name) and name not in FIGURES and values.null_count() == 0 and values.n_unique() == stock.height:
            return name
    return None


def names_of(stock: pl.DataFrame) -> list[str]:
    """What a person would call each item: its code, brand and description, as far as the file has them; without a code its row too."""
    code = code_column(stock)
    parts = [name for name in (code, "brand", "description") if name is not None and name in stock.columns]
    named = []
    for row in stock.select("row", *parts).iter_rows(named=True):
        words = " ".join(str(row[part]) for part in parts if row[part] is not None)
        words = words if len(words) <= NAME_LENGTH else words[: NAME_LENGTH - 1] + "…"
        # Descriptions repeat; the row is what finds the item in the file again.
        named.append(words if code else f"{words} (row {row['row']})".strip())
    return named


def slow_table(stock: pl.DataFrame, currency: str) -> ReportTable:
    """The items that tie up most money for longest, with today's and the suggested price."""
    top = slow_items(stock).head(PAGE_ROWS)
    text = (
        "The most money first that will probably still be tied up in 90 days: price times the chance that the item is still "
        "there. The suggested price is the one with the highest price times chance of a sale within the next 30 days, of "
        "those tried: 70 to 120 % of today's, as far as items of the category have had such prices. An empty cell: no price "
        "tried brings in 5 % more than today's. The model knows neither what an item cost you nor what a change of price "
        f"does; it has seen which prices items had. Try some before you change all. {shown_of(stock.height, 'item', STOCK_FILE)}"
    ).strip()
    header = (
        "Item",
        titled("Price today", currency),
        titled("Suggested price", currency),
        "Suggestion",
        "Days in stock",
        "Sells in 30 days",
        "Sells in 90 days",
        "Category",
    )
    rows = tuple((name, *_cells(row)) for name, row in zip(names_of(top), top.iter_rows(named=True), strict=True))
    return ReportTable("Slow and dear items", text, header, rows, decimals=2)


def _cells(row: Mapping[str, Any]) -> Sequence[Cell]:
    price, suggested, edge = row["price"], row["suggested_price"], row["suggested_edge"]
    change = "keep"
    if suggested is not None:
        beyond = {"lowest": " or lower", "highest": " or higher"}.get(str(edge), "")
        change = f"{'raise' if suggested > price else 'lower'} by {percent(abs(suggested / price - 1))}{beyond}"
    return (
        price,
        suggested,
        change,
        round(row["age_days"]),
        percent(row["next_30_days"]),
        percent(row["next_90_days"]),
        row.get("category"),
    )


def what_to_do(stock: pl.DataFrame, currency: str) -> Iterator[str]:
    """Sentences, most urgent first; none without stock."""
    if stock.is_empty():
        return
    slow = slow_items(stock)
    stuck, top = slow["tied_up"].sum(), slow.head(20)
    lower = top.filter(pl.col("suggested_price") < pl.col("price"))
    yield (
        f"Look at {count(top.height, 'item')} first: with these, {measured(round(top['tied_up'].sum()), currency)} of the "
        f"{measured(round(stuck), currency)} that will probably still be tied up in 90 days. The first are "
        f"{listed(names_of(top.head(3)), 3)}; the table Slow and dear items has them in order."
    )
    if lower.height:
        yield (
            f"Try the suggested price on a few of them: for {lower.height} of these {top.height} a lower one brings in more within "
            "30 days. Leave the others as they are, so that you can see what the change did."
        )
    quick = slow.filter(pl.col("next_30_days") >= 0.8)
    dearer = quick.filter(pl.col("suggested_price") > pl.col("price"))
    if dearer.height:
        yield f"{count(dearer.height, 'item')} will sell soon anyway and may be too cheap: see suggested_price in {STOCK_FILE}."
    yield f"Take {STOCK_FILE} for every item in stock, with its chances for 30, 60 and 90 days."

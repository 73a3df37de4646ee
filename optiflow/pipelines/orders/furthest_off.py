"""The held-out orders by name, and those that were predicted worst: where a buyer should look.

What belongs here: which columns name an order, the table, and the sentences. What does not: how good the model is.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from optiflow.report.extras import ReportTable
from optiflow.report.model import LeftOut
from optiflow.report.verdict import LARGE_BIAS
from optiflow.report.wording import count, listed, percent, titled

PREDICTIONS_FILE = "predictions.csv"
SHOWN_ROWS, SHOWN_COLUMNS = 50, 5
PERSONAL = "personal data"
"""What the reason says for which a column was left out: a page that is sent on does not carry it."""


def told_orders(held: pl.DataFrame, target: str, left_out: Sequence[LeftOut], others: Sequence[str]) -> pl.DataFrame:
    """The held-out orders as the download has them: what the file says of them, `predicted`, `actual`, `missed_by`.

    Args:
        held: `row`, `predicted`, `actual` and the file's columns.
        target: The column that is predicted.
        left_out: Columns that are no features; those that tell of persons stay out.
        others: Columns that are not the file's.
    """
    personal = {column.column for column in left_out if PERSONAL in column.reason}
    hidden = {*personal, *others, "row", "predicted", "actual", "date", target, "missed_by"}
    names = [name for name in held.columns if name not in hidden]
    missed = pl.col("predicted") - pl.col("actual")
    return held.select("row", *names, "predicted", "actual", missed_by=missed)


def furthest_off(told: pl.DataFrame, date_column: str, left_out: Sequence[LeftOut], unit: str) -> ReportTable:
    """The orders that the model missed most, by name."""
    ids = [column.column for column in left_out if "identifier" in column.reason and column.column in told.columns]
    own = [name for name in told.columns[1:-3] if name not in ids and name != date_column]
    words = [name for name in own if not told.schema[name].is_numeric()]
    dated = [date_column] if date_column in told.columns else []
    shown = [*ids[:2], *dated, *words, *(name for name in own if name not in words)][:SHOWN_COLUMNS]
    top = told.drop_nulls("missed_by").sort(pl.col("missed_by").abs(), "row", descending=[True, False]).head(SHOWN_ROWS)
    cells = [pl.col(name).cast(pl.String) if name in (*ids, *dated, *words) else pl.col(name) for name in shown]
    rows = top.select(pl.col("row").cast(pl.String), *cells, "predicted", "actual", "missed_by")
    header = ("Row", *shown, titled("Predicted", unit), titled("Actual", unit), "Missed by")
    text = (
        f"The {count(top.height, 'held-out order')} that the model missed most, of {told.height:,}; above 0 it predicted too "
        f"much. The download {PREDICTIONS_FILE} has all."
    )
    return ReportTable("Orders that were furthest off", text, header, tuple(rows.iter_rows()))


def what_to_do(told: pl.DataFrame, table: ReportTable, target: str) -> Iterator[str]:
    """What a buyer should do, most urgent first."""
    name = 1 if len(table.header) > 4 else 0
    first = [f"{table.header[name]} {row[name]}" for row in table.rows[:3]]
    if first:
        yield (
            f"Look at what the model missed most: {listed(first)}. A wrong figure in the file, a promotion or a shortage often "
            "explains it; what is wrong can be mended and uploaded again."
        )
    low, high = (told.filter(sign * pl.col("missed_by") > 0).height for sign in (-1, 1))
    yield (
        f"Plan {target} by the predictions of orders like these: of {told.height:,} held-out ones {high:,} were predicted too high "
        f"and {low:,} too low. The plots show where."
    )
    actual, predicted = told.drop_nulls("actual").select(pl.col("actual", "predicted").sum()).row(0)
    if actual > 0 and abs(predicted / actual - 1) > LARGE_BIAS:
        side = "low" if predicted < actual else "high"
        yield (
            f"Correct a plan for many orders: together the held-out ones were predicted {percent(abs(predicted / actual - 1))} too "
            f"{side} ({predicted:,.0f} instead of {actual:,.0f})."
        )
    yield f"Take {PREDICTIONS_FILE} for every held-out order, with what was predicted and what came."

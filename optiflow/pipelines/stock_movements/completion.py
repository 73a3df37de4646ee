"""What an export of stock movements does not say itself, but what follows from what it says.

What belongs here: ids of lines, quantities out of two columns, prices from totals and the other way round, times of day,
and cancelled bookings. What does not: types (`types`), and rules (`rules`).
"""

from functools import reduce

import polars as pl

from optiflow.options import DatasetOptions
from optiflow.pipelines.spec import Completed
from optiflow.pipelines.stock_movements.types import assign_types
from optiflow.pipelines.stock_movements.words import CANCELLED_WORDS, YES_WORDS
from optiflow.roles import plain_word
from optiflow.split import ROW
from optiflow.upload.faults import cell_faults, no_faults
from optiflow.upload.left_out import REASON

DOCUMENTS = 0.05
"""Where over so many rows share their id with another, it is a document's, which has lines; else an id that comes twice."""

TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M:%S %p", "%I:%M %p", "%H%M%S", "%H.%M.%S")
READ = 0.5
"""A column of which less reads as times of day holds something else."""


def complete(rows: pl.DataFrame, options: DatasetOptions) -> Completed:
    """The rows with all roles that the model takes; prices and totals may stay null.

    Raises:
        UserError: nothing says which movements come in and which go out.
    """
    rows, bad_times = _with_time(_with_quantity(rows))
    rows, id_notes = _with_ids(rows)
    empty = _faults(rows, "quantity", rows["quantity"].is_null(), "is empty")
    rows = rows.filter(pl.col("quantity").is_not_null())
    left_out = _cancelled(rows)
    typed = assign_types(rows, options.movement_types)
    if "transaction_type" in rows.columns:
        rows = rows.rename({"transaction_type": "transaction_type (file)"})
    rows, amount_notes = _with_amounts(rows.with_columns(typed.types.alias("transaction_type")))
    notes = (*id_notes, *typed.notes, *amount_notes)
    return Completed(rows.rechunk(), pl.concat([bad_times, empty]), left_out, notes)


def _with_quantity(rows: pl.DataFrame) -> pl.DataFrame:
    """`quantity`, also where what comes in and what goes out stand in two columns.

    Below 0 either is a reversal: a receipt that goes out again, goods that come back in. Where no quantity that goes out is
    above 0, the export only writes it so.
    """
    if "quantity" in rows.columns:
        return rows
    both = [name for name in ("quantity_in", "quantity_out") if name in rows.columns]
    written_below = "quantity_out" in both and bool(rows["quantity_out"].drop_nulls().le(0).all())
    signed = [pl.col(name) if name == "quantity_in" or written_below else -pl.col(name) for name in both]
    known = pl.any_horizontal(pl.col(both).is_not_null())
    total = reduce(lambda one, two: one + two, (part.fill_null(0.0) for part in signed))
    return rows.with_columns(quantity=pl.when(known).then(total))


def _with_time(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`created_at` with the time of day, where that stands in a column of its own; and cells that are no time."""
    day = pl.col("created_at").cast(pl.Datetime("us"))
    rows = rows.with_columns(created_at=day)
    known = rows.select((pl.col("created_at").dt.truncate("1d") != pl.col("created_at")).any()).item()
    if "time" not in rows.columns or known:
        return rows, no_faults()
    text = pl.col("time").str.strip_chars()
    found = rows.select(pl.coalesce(*(text.str.to_time(form, strict=False) for form in TIME_FORMATS))).to_series()
    read, filled = int(found.is_not_null().sum()), int(rows["time"].is_not_null().sum())
    if not read or read < READ * filled:
        return rows, no_faults()
    bad = found.is_null() & rows["time"].is_not_null()
    timed = rows.with_columns(found.alias("time of day")).with_columns(
        created_at=pl.col("created_at").dt.date().dt.combine(pl.col("time of day").fill_null(pl.time(0)))
    )
    return timed.drop("time of day"), _faults(rows, "time", bad, "is not a time of day")


def _with_ids(rows: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """`transaction_id`, one for each movement: of a document the number and the line."""
    if "transaction_id" not in rows.columns:
        note = "No column is the transaction_id: movements go by their row in the file."
        return rows.with_columns(transaction_id=pl.format("row {}", ROW)), (note,)
    if "line" in rows.columns:
        line = pl.format("{}/{}", "transaction_id", "line")
        return rows.with_columns(transaction_id=pl.coalesce(line, "transaction_id")), ()
    shared = int(rows["transaction_id"].is_duplicated().sum())
    if shared <= DOCUMENTS * rows.height:
        return rows, ()
    # Lines that are equal in all are one that was exported twice, and keep one number.
    number = _line_numbers(rows)
    note = "The transaction_id is that of a document with several lines: its movements are numbered, as in 4711/2."
    return rows.with_columns(transaction_id=pl.format("{}/{}", "transaction_id", number)), (note,)


def _line_numbers(rows: pl.DataFrame) -> pl.Series:
    """The number of each row among the different ones of its document, from 1, in the order of the file."""
    others = [name for name in rows.columns if name != ROW]
    first = rows.group_by(others, maintain_order=True).agg(first=pl.col(ROW).min())
    numbered = first.sort("first").with_columns(line=pl.int_range(1, pl.len() + 1).over("transaction_id"))
    joined = rows.join(numbered, on=others, how="left", nulls_equal=True, maintain_order="left")
    return joined["line"].cast(pl.String)


def _with_amounts(rows: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """`unit_price` and `total_amount`, each from the other where it is missing; null where neither is there."""
    had = {name for name in ("unit_price", "total_amount") if name in rows.columns}
    rows = rows.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("unit_price", "total_amount") if name not in had
    )
    price = (pl.col("total_amount") / pl.col("quantity")).abs()
    # A total of 0 says that the booking has no value, as a transfer's, not that the goods are free.
    price = pl.when(price.is_finite() & (price > 0)).then(price)
    rows = rows.with_columns(unit_price=pl.coalesce("unit_price", price))
    rows = rows.with_columns(total_amount=pl.coalesce("total_amount", pl.col("quantity") * pl.col("unit_price")))
    if not had:
        return rows, ("No column is the unit_price or the total_amount: nothing is learned of values.",)
    if missing := {"unit_price", "total_amount"} - had:
        how = "total divided by quantity" if "unit_price" in missing else "quantity times price"
        return rows, (f"No column is the {missing.pop()}: it is {how}.",)
    return rows, ()


def _cancelled(rows: pl.DataFrame) -> pl.DataFrame:
    """The bookings that a column says are cancelled."""
    found = [no_faults()]
    for column, words in (("status", CANCELLED_WORDS), ("cancelled", YES_WORDS)):
        if column in rows.columns:
            cells = {cell: plain_word(cell) in words for cell in rows[column].drop_nulls().unique()}
            bad = rows[column].replace_strict(cells, default=False, return_dtype=pl.Boolean).fill_null(False)
            found.append(_faults(rows, column, bad, f"{REASON}cancelled"))
    return pl.concat(found).unique(ROW, keep="first", maintain_order=True)


def _faults(rows: pl.DataFrame, column: str, bad: pl.Series, reason: str) -> pl.DataFrame:
    return cell_faults(rows, column, bad, reason) if bad.any() else no_faults()

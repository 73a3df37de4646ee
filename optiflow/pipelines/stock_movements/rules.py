"""What is wrong with a movement whose cells are right each by itself."""

import polars as pl

from optiflow.pipelines.stock_movements.types import TYPES
from optiflow.split import ROW
from optiflow.upload.faults import SCHEMA, cell_faults, no_faults

HALF_A_CENT, RELATIVE = 0.005, 0.001
"""How far a total may be off: each unit's price was rounded to a cent, the total once more, and a little besides."""


def movement_faults(rows: pl.DataFrame) -> pl.DataFrame:
    """All faults (`optiflow.upload.faults.SCHEMA`) of movements.

    Reasons are the same for all rows, so that a report can count them; what differs stands beside the value.
    """
    found = [unknown_types(rows), prices_not_above_zero(rows), unfit_totals(rows), repeated_ids(rows)]
    return pl.concat(found)


def plain_types(rows: pl.DataFrame) -> pl.Series:
    """The types as the pipeline knows them: in small letters, without blanks around."""
    return rows["transaction_type"].str.strip_chars().str.to_lowercase()


def unknown_types(rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row of no known type."""
    unknown = ~plain_types(rows).is_in(TYPES)
    reason = f"unknown type: it is none of {', '.join(TYPES)}, nor a known word for one; the option `movement_types` says which"
    return _faults(rows, "transaction_type", unknown, reason)


def prices_not_above_zero(rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row whose unit price is 0 or below."""
    return _faults(rows, "unit_price", rows["unit_price"] <= 0, "price must be above 0")


def unfit_totals(rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row whose quantity is not total ÷ price, signs aside: some systems sign only one of the two."""
    expected = (pl.col("quantity") * pl.col("unit_price")).abs()
    allowed = HALF_A_CENT * (pl.col("quantity").abs() + 1) + RELATIVE * expected
    unfit = rows.select(
        (pl.col("unit_price") > 0) & ((pl.col("total_amount").abs() - expected).abs() > allowed)
    ).to_series()
    if not unfit.any():
        return no_faults()
    return rows.filter(unfit).select(
        pl.col(ROW).cast(pl.Int64),
        column=pl.lit("quantity"),
        reason=pl.lit("quantity does not match total ÷ price"),
        value=pl.format(
            "{}; {} ÷ {} = {}",
            "quantity",
            "total_amount",
            "unit_price",
            (pl.col("total_amount") / pl.col("unit_price")).round(2),
        ),
    )


def repeated_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row whose transaction id comes more than once.

    Where the rows are equal the first is kept. Otherwise which one is right cannot be known, and none is.
    """
    repeated = rows.filter(pl.col("transaction_id").is_duplicated())
    if repeated.is_empty():
        return no_faults()
    same = pl.struct(pl.exclude(ROW)).n_unique().over("transaction_id") == 1
    first = pl.col(ROW).min().over("transaction_id")
    return (
        repeated.with_columns(same=same, first=first)
        .filter(~pl.col("same") | (pl.col(ROW) > pl.col("first")))
        .select(
            pl.col(ROW).cast(pl.Int64),
            column=pl.lit("transaction_id"),
            reason=pl.lit("the same transaction id more than once"),
            value=pl.format("{}, first in row {}", "transaction_id", "first"),
        )
        .select(*SCHEMA)
    )


def _faults(rows: pl.DataFrame, column: str, bad: pl.Series, reason: str) -> pl.DataFrame:
    return cell_faults(rows, column, bad, reason) if bad.any() else no_faults()

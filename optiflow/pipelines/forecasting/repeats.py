"""Rows that come twice for the same series and day, and values that no sale can have."""

from collections.abc import Sequence

import polars as pl

from optiflow.split import ROW
from optiflow.upload.faults import SCHEMA, cell_faults, no_faults


def repeated_rows(rows: pl.DataFrame, keys: Sequence[str], what: str) -> pl.DataFrame:
    """A fault (`optiflow.upload.faults.SCHEMA`) for every row of a group with equal `keys`, the first included.

    Which of them is right cannot be known, so none is kept. Rows that are alike in all columns are copies, which to add up
    would count sales twice.

    Args:
        rows: Table with `row` and `keys`.
        keys: Columns that make a row unique.
        what: What must be unique, in words: `item-day`.
    """
    repeated = rows.select(
        ROW,
        *keys,
        size=pl.len().over(keys),
        first=pl.col(ROW).min().over(keys),
        alike=pl.struct(pl.exclude(ROW)).n_unique().over(keys) == 1,
    )
    copies = pl.lit(f"the same {what} more than once, all of it alike: take the copies out")
    parts = pl.lit(f"the same {what} more than once; the option `duplicates: sum` adds them up")
    value = pl.concat_str([pl.col(key).cast(pl.String) for key in keys], separator=", ")
    return (
        repeated.filter(pl.col("size") > 1)
        .select(
            pl.col(ROW).cast(pl.Int64),
            column=pl.lit(None, pl.String),
            reason=pl.when("alike").then(copies).otherwise(parts),
            value=pl.format("{}: {} times, first in row {}", value, "size", "first"),
        )
        .select(*SCHEMA)
    )


def negative_values(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """A fault for every row whose value is below 0."""
    reason = (
        f"{column} below 0: net returns within the period, as the option `duplicates: sum` does with rows of the same"
    )
    below = rows[column] < 0
    return cell_faults(rows, column, below, reason) if below.any() else no_faults()


def negative_sums(rows: pl.DataFrame, keys: Sequence[str], value: str, what: str) -> pl.DataFrame:
    """A fault for every row of a group with equal `keys` whose values add up to less than 0.

    Returns are lines below 0 among lines of sales: what counts is what is left of the day or week.
    """
    below = rows.select(pl.col(value).sum().over(keys) < 0).to_series()
    reason = f"{value} below 0, all rows of the {what} added up: more came back than was sold"
    return cell_faults(rows, value, below, reason) if below.any() else no_faults()


def summed(rows: pl.DataFrame, keys: Sequence[str], value: str) -> pl.DataFrame:
    """One row for each group with equal `keys`: its values added up, the other columns those of its first row.

    Rows of one week that have several dates get the first day of it, the last of `keys`: which of them stands first in
    the file says nothing, and would name weeks by different days.
    """
    others = [name for name in rows.columns if name not in (*keys, value, "date")]
    merged = rows.sort(ROW).group_by(keys, maintain_order=True)
    named = [] if "date" in keys else [_day_of_period(keys[-1])]
    return merged.agg(pl.col(value).sum(), *named, pl.col(others).first()).select(rows.columns).sort(ROW)


def _day_of_period(period: str) -> pl.Expr:
    date = pl.col("date")
    return pl.when(date.n_unique() == 1).then(date.first()).otherwise(pl.col(period).first()).alias("date")

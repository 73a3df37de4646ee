"""What a day without a row means, and the rows that stand for such days where it means that nothing was sold.

What belongs here: counting such days and completing a table. What does not: the rule that `auto` decides by
(`optiflow.learners.item_demand`), which a learner follows too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from optiflow.days import first_and_last
from optiflow.split import ROW


@dataclass(frozen=True)
class Gaps:
    """Days from each series' first row to the table's last day: how many there are, and how many have no row.

    `zeros` is the number of rows with a value of 0.
    """

    days: int
    missing: int
    zeros: int


def count_gaps(rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> Gaps:
    """Count the days without a row; one row a series and day."""
    days = rows.group_by(keys).agg(first=pl.col(date).min())
    spanned = days.select(((rows[date].max() - pl.col("first")).dt.total_days() + 1).sum()).item() or 0
    return Gaps(spanned, spanned - rows.height, int((rows[value] == 0).sum()))


def with_zeros(rows: pl.DataFrame, keys: Sequence[str], date: str, value: str) -> pl.DataFrame:
    """The rows, and one with value 0 for each day without a row from its series' first row to the table's last day.

    Such a row has a number below 0 (-1, -2, …, by day and series), since it is not in the file; its other columns are
    null.

    Args:
        rows: `row`, `keys`, `date` (Date), `value`; one row a series and day.
        keys: What tells the series apart.
        date: The date column.
        value: What counts as 0.
    """
    if not count_gaps(rows, keys, date, value).missing:
        return rows
    first = rows.group_by(keys).agg(first=pl.col(date).min())
    days = pl.DataFrame({date: pl.date_range(*first_and_last(rows[date]), eager=True)})
    every = first.join(days, how="cross").filter(pl.col(date) >= pl.col("first")).drop("first")
    added = every.join(rows, on=[*keys, date], how="anti").sort(date, *keys)
    number = (-1 - pl.int_range(pl.len(), dtype=pl.Int64)).cast(rows.schema[ROW])
    filled = added.with_columns(pl.lit(0).cast(rows.schema[value]).alias(value), number.alias(ROW))
    return pl.concat([rows, filled], how="diagonal").select(rows.columns)


def in_file(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that the uploaded file has."""
    return rows.filter(pl.col(ROW) > 0)

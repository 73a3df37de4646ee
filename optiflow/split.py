"""Hold-out splits: which rows a model may learn from, and which it is judged on.

What belongs here: choosing rows. What does not: fitting anything on them, nor the choice of columns.
"""

import math

import polars as pl

from optiflow.errors import UserError
from optiflow.options import SplitOptions

ROW = "row"


def split_rows(rows: pl.DataFrame, date_column: str, options: SplitOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split into (train, test); every row lands in exactly one of them.

    `time` holds out the newest `test_fraction` of rows by date, rows of one day by row number, so that equal input
    gives equal sets. `random` draws the same number of rows with `seed`. Each set keeps at least one row.

    Args:
        rows: Table with a unique Int64 column `row` and `date_column`.
        date_column: Date or Datetime column to order by.
        options: Strategy, fraction and seed.

    Raises:
        UserError: fewer than 2 rows.
    """
    if rows.height < 2:
        raise UserError(f"{rows.height} rows cannot be split into training and test rows: add rows.")
    held_out = min(max(1, math.ceil(rows.height * options.test_fraction)), rows.height - 1)
    if options.strategy == "time":
        ordered = rows.sort(date_column, ROW)
        return ordered.head(rows.height - held_out), ordered.tail(held_out)
    # Drawn on the row numbers in order, so that the draw does not depend on how the table happens to be stored.
    ordered = rows.sort(ROW)
    drawn = ordered[ROW].sample(held_out, seed=options.seed, shuffle=True).implode()
    in_test = pl.col(ROW).is_in(drawn)
    return ordered.filter(~in_test), ordered.filter(in_test)

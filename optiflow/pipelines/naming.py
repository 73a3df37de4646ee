"""What a row of a result is about: the ids, names and prices of the file, beside what a model says of it.

What belongs here: taking columns over from the file. What does not: which of them a page shows.
"""

from collections.abc import Collection

import polars as pl

from optiflow.split import ROW


def with_names(
    result: pl.DataFrame,
    rows: pl.LazyFrame,
    *,
    same: Collection[str],
    left_out: Collection[str],
    taken: Collection[str],
) -> pl.DataFrame:
    """The result with the file's columns after the row number, its own after them.

    A column of the file whose name the result has, or `taken`, gets ` (file)` behind its name.

    Args:
        result: A result, in any order; without row numbers (periods to come have none) it stays as it is.
        rows: The file's accepted rows: `row` and its columns; a row of the result that is not among them gets nulls.
        same: Columns of the result that are the file's already.
        left_out: Columns that are not the file's, or that the result must not tell.
        taken: Names that the result is given later.
    """
    if ROW not in result.columns:
        return result
    own = [name for name in result.columns if name != ROW]
    names = [name for name in rows.collect_schema().names() if name not in {ROW, *left_out, *(set(own) & set(same))}]
    aside: dict[str, str] = {}
    for name in names:
        new = name
        while new in {*own, *taken, *aside.values()} or (new != name and new in names):
            new += " (file)"
        aside[name] = new
    told = rows.select(ROW, *(pl.col(name).alias(new) for name, new in aside.items()))
    named = result.lazy().join(told, on=ROW, how="left", maintain_order="left")
    return named.select(ROW, *aside.values(), *own).collect()

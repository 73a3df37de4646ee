"""Rows that are left out although nothing is wrong with them, and what their neighbours say in their stead.

What belongs here: what is the same for all pipelines. What does not: which rows those are.
"""

from dataclasses import replace

import polars as pl

from optiflow.errors import UserError
from optiflow.upload.faults import quote
from optiflow.upload.table import RawTable

REASON = "left out: "
"""How the reason begins of a row among the rejected that does not count against `max_rejected_fraction`."""


def in_words(left_out: pl.DataFrame) -> tuple[str, ...]:
    """A sentence for each reason why rows were left out; `left_out` is as `optiflow.upload.faults.SCHEMA`."""
    counted = left_out.group_by("reason", maintain_order=True).agg(rows=pl.col("row").n_unique())
    return tuple(f"{rows:,} {'row is' if rows == 1 else 'rows are'} {reason}." for reason, rows in counted.iter_rows())


def count_left_out(rejected: pl.DataFrame) -> int:
    """How many of the rejected rows nothing is wrong with."""
    return rejected.filter(pl.col("reason").str.starts_with(REASON))["row"].n_unique()


def filled_down(raw: RawTable, columns: tuple[str, ...], file_name: str) -> RawTable:
    """The table with what stands above in the empty cells of `columns`.

    Raises:
        UserError: one is no column.
    """
    if unknown := [name for name in columns if name not in raw.names]:
        raise UserError(
            f"{file_name}: fill_down names {quote(unknown[0])}, no column of it. The columns are "
            f"{', '.join(map(repr, raw.names))}."
        )
    if not columns:
        return raw
    return replace(raw, frame=raw.frame.with_columns(pl.col(columns).forward_fill()))

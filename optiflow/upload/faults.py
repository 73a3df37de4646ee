"""Faults: what is wrong with which cell of which row, as a table and as words in a message.

What belongs here: the table's shape, how a cell is quoted. What does not: deciding that a cell is wrong.
"""

from typing import Any

import polars as pl

from optiflow.split import ROW

SCHEMA = {"row": pl.Int64, "column": pl.String, "reason": pl.String, "value": pl.String}
QUOTE_LENGTH = 40


def quote(value: object) -> str:
    """A cell for a message: quoted, on one line, cut to about 40 characters; None is `an empty cell`."""
    if value is None:
        return "an empty cell"
    text = " ".join(str(value).split())
    return repr(text if len(text) <= QUOTE_LENGTH else text[: QUOTE_LENGTH - 1] + "…")


def quote_all(values: list[Any], limit: int = 20) -> str:
    """Cells or names for a message, separated by commas; how many are left out is said."""
    more = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(quote(value) for value in values[:limit]) + more


def cell_faults(frame: pl.DataFrame, column: str, bad: pl.Series, reason: str) -> pl.DataFrame:
    """One fault (columns of `SCHEMA`) for each row of `frame` where the Boolean `bad` is true."""
    found = {"row": frame[ROW].filter(bad), "value": frame[column].filter(bad).cast(pl.String)}
    return pl.DataFrame({**found, "column": column, "reason": reason}, schema_overrides=SCHEMA).select(*SCHEMA)


def no_faults() -> pl.DataFrame:
    """An empty table of faults."""
    return pl.DataFrame(schema=SCHEMA)

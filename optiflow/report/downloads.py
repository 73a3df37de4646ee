"""Whole tables as files that people open in a spreadsheet.

What belongs here: bytes of a file, and how a page offers it. What does not: which tables a report has.
"""

import base64
from collections.abc import Mapping, Sequence

import polars as pl
import polars.selectors as cs

from optiflow.report.extras import Download

BOM = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for the machine's own code page."""

MOST_ROWS = 1_000_000
"""A spreadsheet has 1,048,576 rows; whoever needs more reads the lake's Parquet."""

MOST_INSIDE = 300_000
"""Bytes of all files that a page holds itself, so that it can be sent on as one; a larger file lies beside it."""

FORMULA = r"^[=+@\t\r]|^-\D"
"""What a spreadsheet would run: a cell out of somebody's file must stay text."""


def table_file(rows: pl.DataFrame) -> bytes:
    """The table as CSV: UTF-8 with a byte order mark, commas, points, four decimals, text that cannot be a formula."""
    text = cs.string()
    safe = rows.with_columns(
        pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text).name.keep()
        if rows.select(text).width
        else []
    )
    return BOM + safe.write_csv(float_precision=4, datetime_format="%Y-%m-%d %H:%M:%S").encode()


def table_files(downloads: Sequence[Download]) -> dict[str, bytes]:
    """File name -> bytes; a table too long for a spreadsheet has none."""
    return {table.file: table_file(table.rows) for table in downloads if table.rows.height <= MOST_ROWS}


def addresses(files: Mapping[str, bytes]) -> dict[str, str]:
    """File name -> what the page's button points to: the file itself, smallest first while there is room, or its place."""
    found, room = {}, MOST_INSIDE
    for name, data in sorted(files.items(), key=lambda item: len(item[1])):
        if len(data) <= room:
            room -= len(data)
            found[name] = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}"
        else:
            found[name] = name
    return found

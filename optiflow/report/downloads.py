"""Whole tables as files that people open in a spreadsheet.

What belongs here: bytes of a file, and how a page offers it. What does not: which tables a report has.
"""

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import polars as pl

from optiflow.formula_guard import BOM, without_formulas
from optiflow.report.extras import Download

MOST_ROWS = 1_000_000
"""A spreadsheet has 1,048,576 rows; whoever needs more reads the lake's Parquet."""

MOST_INSIDE = 300_000
"""Bytes of all files that a page holds itself, so that it can be sent on as one; a larger file lies beside it."""


def table_file(rows: pl.DataFrame) -> bytes:
    """The table as CSV: UTF-8 with a byte order mark, commas, points, four decimals, text that cannot be a formula."""
    safe = without_formulas(rows.lazy()).collect()
    return BOM + safe.write_csv(float_precision=4, datetime_format="%Y-%m-%d %H:%M:%S").encode()


def table_files(downloads: Sequence[Download]) -> dict[str, bytes]:
    """File name -> bytes; a table too long for a spreadsheet has none."""
    return {table.file: table_file(table.rows) for table in downloads if table.rows.height <= MOST_ROWS}


def lie_beside(files: Mapping[str, bytes]) -> set[str]:
    """The files that a page has no room for; the smallest are in it."""
    found, room = set[str](), MOST_INSIDE
    for name, data in sorted(files.items(), key=lambda item: len(item[1])):
        if len(data) <= room:
            room -= len(data)
        else:
            found.add(name)
    return found


def addresses(files: Mapping[str, bytes], folder: str = "") -> dict[str, str]:
    """File name -> what the page's button points to: the file itself, or its place in a folder beside the page."""
    places, outside = f"{quote(folder)}/" if folder else "", lie_beside(files)
    return {
        name: f"{places}{name}"
        if name in outside
        else f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}"
        for name, data in files.items()
    }

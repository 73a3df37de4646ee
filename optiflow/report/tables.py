"""A pipeline's table, made plain for JSON and written out for people.

What belongs here: cells, and on which side a column stands. What does not: HTML and Markdown around them.
"""

import math
import numbers
import re
from dataclasses import dataclass, replace

from optiflow.report import wording
from optiflow.report.extras import Cell, ReportTable

PAGE_ROWS = 500
"""Rows of a table that a page shows: more than anybody reads, and under 200 kilobytes. The rest is in the download."""

PERCENT = re.compile(rf"[-{wording.MINUS}+]?[\d,.]+\s?%")


@dataclass(frozen=True)
class WrittenTable:
    """A table of words: `is_number` says for each column whether it stands on the right."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_number: tuple[bool, ...]


def plain_table(table: ReportTable) -> ReportTable:
    """The table with cells that JSON can hold: numpy's numbers become Python's, NaN and infinity None, others words.

    Raises:
        ValueError: a row has more or fewer cells than the header.
    """
    for index, row in enumerate(table.rows):
        if len(row) != len(table.header):
            raise ValueError(
                f"Table {table.title!r} has {len(table.header)} columns, its row {index} has {len(row)} cells."
            )
    return replace(table, rows=tuple(tuple(_plain(cell) for cell in row) for row in table.rows))


def written_table(table: ReportTable) -> WrittenTable:
    """Every cell as people read it: `12,346`, `0.01235`, a dash for None, words as they are."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.header)
    return WrittenTable(
        table.title,
        table.text,
        table.header,
        tuple(tuple(_written(cell, table.decimals) for cell in row) for row in table.rows),
        tuple(_is_number(column) for column in columns),
    )


def _plain(cell: object) -> Cell:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, numbers.Integral):
        return int(cell)
    if isinstance(cell, numbers.Real):
        return float(cell) if math.isfinite(cell) else None
    return str(cell)


def shown_of(rows: int, what: str, file: str, most: int = PAGE_ROWS) -> str:
    """A sentence on what a table that shows the first `most` rows leaves out, and where it is; nothing where all are there."""
    return f"The first {most:,} of {wording.count(rows, what)}; the download {file} has all." if rows > most else ""


def _written(cell: Cell, decimals: int | None) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}".replace("-", wording.MINUS)
    if cell is None or decimals is None:
        return wording.number(cell)
    return f"{cell:,.{decimals}f}".replace("-", wording.MINUS)


def _is_number(column: tuple[Cell, ...]) -> bool:
    said = [cell for cell in column if cell is not None]
    return bool(said) and all(not isinstance(cell, str) or PERCENT.fullmatch(cell) for cell in said)

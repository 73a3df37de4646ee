"""Finding the delimiter of a text table, and rows that use another one."""

import csv
import io
from collections.abc import Iterable

from optiflow.errors import UserError
from optiflow.upload.faults import quote

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_BYTES = 1 << 18
SAMPLE_RECORDS = 500
MAX_TITLE_LINES, MIN_TABLE_WIDTH, MIN_ROWS_BELOW = 20, 3, 5


def detect_delimiter(body: bytes, file_name: str) -> str:
    """The delimiter under which most sampled rows have as many fields as the header; quotes are honoured.

    Args:
        body: UTF-8 text that begins with the header.
        file_name: For messages.

    Raises:
        UserError: the header is one single column under every delimiter.
    """
    scores: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        records = _sample(body, delimiter)
        width = len(records[0]) if records else 0
        if width > 1:
            rows = records[1:]
            scores[delimiter] = (sum(len(r) == width for r in rows) / max(1, len(rows)), width)
    if not scores:
        first = body.split(b"\n", 1)[0].decode(errors="replace").strip()
        raise UserError(
            f"{file_name}: only one column in the header ({quote(first)}). Separate the columns by comma, semicolon, "
            "tab or |, and put the column names in the first row."
        )
    return max(scores, key=scores.__getitem__)


def title_lines(head: bytes) -> int:
    """How many lines stand above the header, such as a title and a date; 0 unless that is plain.

    It is where some later line has the number of fields of nearly all lines below it, each of them text, and the lines above
    it have less than half as many.

    Args:
        head: UTF-8 text that begins with the file's first line.
    """
    lines = head[:SAMPLE_BYTES].decode(errors="replace").splitlines()[:SAMPLE_RECORDS]
    for delimiter in DELIMITERS:
        try:
            records = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
        except csv.Error:
            return 0
        filled = [sum(bool(field.strip()) for field in record) for record in records]
        first = next((at for at, count in enumerate(filled) if count), 0)
        for at in range(first + 1, min(len(records), first + MAX_TITLE_LINES)):
            width = len(records[at])
            if width < MIN_TABLE_WIDTH or filled[at] < width:
                continue
            below = [record for record, count in zip(records[at + 1 :], filled[at + 1 :], strict=True) if count]
            is_header = all(any(letter.isalpha() for letter in field) for field in records[at])
            regular = sum(len(record) == width for record in below) >= 0.9 * len(below) and len(below) >= MIN_ROWS_BELOW
            others = max(_width(lines[above], other) for above in range(first, at) for other in DELIMITERS)
            if is_header and regular and max(filled[first:at]) * 2 < width and others < width:
                return at
            break
    return 0


def refuse_mixed(ragged: Iterable[tuple[int, list[str]]], delimiter: str, width: int, file_name: str) -> None:
    """Refuse rows that have the header's number of fields under another delimiter.

    Args:
        ragged: Row number and fields of the rows that have not `width` fields under `delimiter`.
        delimiter: The header's delimiter.
        width: The header's number of fields.
        file_name: For messages.

    Raises:
        UserError: there are such rows; the message names the first of them.
    """
    mixed: dict[str, list[int]] = {}
    for row, fields in ragged:
        line = delimiter.join(fields)
        for other in DELIMITERS:
            if other != delimiter and _width(line, other) == width:
                mixed.setdefault(other, []).append(row)
                break
    if not mixed:
        return
    found = "; ".join(f"{_word(other)} in {_lines(rows)}" for other, rows in mixed.items())
    raise UserError(
        f"{file_name}: mixed delimiters: {_word(delimiter)} in the header, but {found}. "
        "Export the file again with one delimiter throughout."
    )


def _sample(body: bytes, delimiter: str) -> list[list[str]]:
    cut = len(body) > SAMPLE_BYTES
    text = body[:SAMPLE_BYTES].decode(errors="replace")
    records: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if any(field.strip() for field in record):
                records.append(record)
            if len(records) > SAMPLE_RECORDS:
                return records
    except csv.Error:  # a quote that is never closed: the reader that reads all rows says where
        return records
    return records[:-1] if cut and len(records) > 1 else records


def _width(line: str, delimiter: str) -> int:
    return len(next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), []))


def _word(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else repr(delimiter)


def _lines(rows: list[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:3])
    more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    return f"{'line' if len(rows) == 1 else 'lines'} {shown}{more}"

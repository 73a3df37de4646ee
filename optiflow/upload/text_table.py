"""CSV, TSV and other delimited text into a `RawTable`.

polars reads it, every column as text. Only what polars refuses or would mend silently (rows with too few or too many
fields, stray quotes, line ends within cells) goes through the csv module, which keeps bad rows as faults.
"""

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.split import ROW
from optiflow.upload.delimiter import detect_delimiter, refuse_mixed
from optiflow.upload.faults import SCHEMA, no_faults, quote
from optiflow.upload.table import RawTable, check_names, clean_text, drop_nameless_last, refuse_without_rows
from optiflow.upload.text_encoding import to_utf8

SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\s*\n', re.IGNORECASE)
END = "\x03end of upload"
MAX_HEADER_LINES = 50


def read_text(data: bytes, file_name: str) -> RawTable:
    """Read delimited text.

    Raises:
        UserError: empty, header only, bad header, mixed delimiters, a quote that is never closed.
    """
    data, encoding = to_utf8(data, file_name)
    if not data or data.isspace():
        raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")
    # Excel writes `sep=;` before the header in some countries.
    separator = SEPARATOR_LINE.match(data)
    start = separator.end() if separator else 0
    delimiter = separator[1].decode() if separator else detect_delimiter(data.lstrip(b"\r\n"), file_name)
    header, header_row, start = _read_header(data, start, delimiter, file_name)
    names = check_names(header, file_name, header_row)
    body = data[start:].rstrip(b"\r\n")  # blank lines at the end would cost the fast way
    del data
    frame = _read_fast(body, names, delimiter)
    ragged = no_faults()
    if frame is not None:
        frame = frame.with_row_index(ROW, header_row + 1).with_columns(pl.col(ROW).cast(pl.Int64))
    else:
        frame, ragged = _read_slowly(body, names, delimiter, header_row + 1, file_name)
    frame = drop_nameless_last(clean_text(frame), file_name)
    refuse_without_rows(frame, ragged, file_name)
    return RawTable(frame, True, ragged, encoding, delimiter)


def _read_header(data: bytes, start: int, delimiter: str, file_name: str) -> tuple[list[str], int, int]:
    """The header's fields, its row number (blank rows above it count), and where the body begins."""
    stream = io.BytesIO(data)
    stream.seek(start)
    position = start
    row = 1 if start else 0

    def lines() -> Iterator[str]:
        nonlocal position
        for count, line in enumerate(stream):
            if count > MAX_HEADER_LINES + row:
                raise _open_quote(file_name, row + 1, None)
            position += len(line)
            yield line.decode()

    try:
        for record in csv.reader(lines(), delimiter=delimiter):
            row += 1
            if any(field.strip() for field in record):
                return record, row, position
    except csv.Error as error:
        raise _open_quote(file_name, row + 1, None) from error
    raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")


def _read_fast(body: bytes, names: list[str], delimiter: str) -> pl.DataFrame | None:
    """The body (no line end at its end) by polars; None if it refuses, or where it would fill up or swallow rows."""
    schema = dict.fromkeys(names, pl.String)
    if not body or body.isspace():
        return pl.DataFrame(schema=schema)
    try:
        frame = pl.read_csv(body, has_header=False, separator=delimiter, schema=schema, empty_string_is_null=False)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    # Fewer rows than lines: cells hold line ends. polars is lenient with stray quotes and may have swallowed rows.
    if frame.height != body.count(b"\n") + 1 or _has_short_rows(frame, body, delimiter):
        return None
    return frame


def _has_short_rows(frame: pl.DataFrame, body: bytes, delimiter: str) -> bool:
    """Whether a row has fewer fields than the header: polars gives such a row empty cells at its end.

    Every full row has one delimiter less than it has fields; those inside of quotes are left in the cells.
    """
    empty_last = frame[frame.columns[-1]] == ""
    if not empty_last.any():
        return False
    delimiters = body.count(delimiter.encode())
    if b'"' in body:
        inside = frame.select(cs.string().str.count_matches(delimiter, literal=True).sum())
        delimiters -= int(inside.sum_horizontal().item())
    return delimiters != (frame.width - 1) * frame.height


def _read_slowly(
    body: bytes, names: list[str], delimiter: str, first_row: int, file_name: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The body by the csv module: the rows with the header's number of fields, and a fault for each other row."""
    width = len(names)
    whole = io.StringIO(newline="")
    writer = csv.writer(whole, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    rows: list[int] = []
    ragged: list[tuple[int, list[str]]] = []
    for row, record in _records(body, delimiter, first_row, file_name):
        if len(record) > width and not any(field.strip() for field in record[width:]):
            record = record[:width]  # delimiters at the end of the line
        if len(record) == width:
            rows.append(row)
            writer.writerow(record)
        elif any(field.strip() for field in record):
            ragged.append((row, record))
    refuse_mixed(ragged, delimiter, width, file_name)
    schema = dict.fromkeys(names, pl.String)
    frame = pl.DataFrame(schema=schema)
    if rows:
        frame = pl.read_csv(
            whole.getvalue().encode(), has_header=False, separator=delimiter, schema=schema, empty_string_is_null=False
        )
    faults = [(row, None, _wrong_width(len(fields), width), delimiter.join(fields)) for row, fields in ragged]
    numbered = frame.insert_column(0, pl.Series(ROW, rows, dtype=pl.Int64))
    return numbered, pl.DataFrame(faults, schema=SCHEMA, orient="row")


def _records(body: bytes, delimiter: str, first_row: int, file_name: str) -> Iterator[tuple[int, list[str]]]:
    # The end mark is a record of its own unless a quote is still open.
    lines = chain(io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline=""), [END])
    row = first_row - 1
    try:
        for row, record in enumerate(csv.reader(lines, delimiter=delimiter), first_row):
            if record and END in record[-1]:
                if record != [END]:
                    raise _open_quote(file_name, row, record[-1])
                return
            yield row, record
    except csv.Error as error:  # a field longer than csv's limit: the quote swallowed the rest of the file
        raise _open_quote(file_name, row + 1, None) from error


def _open_quote(file_name: str, row: int, field: str | None) -> UserError:
    begins = (
        f" (the cell begins {quote(field[:30])})" if field else f", or a cell is over {csv.field_size_limit():,} long"
    )
    return UserError(f"{file_name}, row {row}: a quote is opened and never closed{begins}. Close or double the quote.")


def _wrong_width(found: int, width: int) -> str:
    return f"has {found} {'field' if found == 1 else 'fields'}, the header has {width}"

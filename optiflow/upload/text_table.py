"""CSV, TSV and other delimited text into a `RawTable`.

polars reads it, every column as text. Only what polars refuses or would mend silently (rows with too few or too many
fields, stray quotes, line ends within cells) goes through the csv module, which keeps bad rows as faults.
"""

import csv
import io
import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.read_limits import ReadLimits
from optiflow.split import ROW
from optiflow.upload.delimiter import detect_delimiter, refuse_mixed, title_lines
from optiflow.upload.faults import SCHEMA, no_faults, quote
from optiflow.upload.table import (
    RawTable,
    check_names,
    clean_text,
    drop_nameless_last,
    refuse_without_rows,
    without_blank_rows,
)
from optiflow.upload.text_encoding import TextFile, to_utf8

SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\s*\n', re.IGNORECASE)
NO_SEPARATOR = re.compile(r"[\w\s\"'.+-]")
END = "\x03end of upload"
MAX_HEADER_LINES = 50
MAX_BLANK_LINES = 10_000
MAX_HEADER_BYTES = 4 << 20


def read_text(path: Path, file_name: str, folder: Path, options: DatasetOptions, limits: ReadLimits) -> RawTable:
    """Read delimited text, never the whole of it at once but as columns.

    Args:
        path: The file.
        file_name: For messages.
        folder: Where it may be written anew, as UTF-8.
        options: Those that say how the file is written.
        limits: How much it may hold.

    Raises:
        UserError: empty, header only, bad header, mixed delimiters, a quote that is never closed, or over a limit.
    """
    text = to_utf8(path, file_name, folder, options.encoding)
    end = _end_of_rows(text)
    if end <= text.start:
        raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")
    head = b"".join(islice(text.pieces(end), 1))
    # Excel writes `sep=;` before the header in some countries.
    separator = SEPARATOR_LINE.match(head)
    delimiter = _given_delimiter(separator[1], file_name) if separator else None
    skipped = 1 if separator else 0
    if options.header_row is not None:
        skipped = max(skipped, options.header_row - 1)
    top = b"".join(head.splitlines(keepends=True)[skipped:]) if skipped else head
    notes: tuple[str, ...] = ()
    if delimiter is None:
        titles = 0 if options.header_row is not None else title_lines(top)
        if titles:
            skipped, top = titles, b"".join(top.splitlines(keepends=True)[titles:])
            notes = (f"The column names are in row {titles + 1}; what is above was left out.",)
        delimiter = detect_delimiter(top.lstrip(b"\r\n"), file_name)
    header, header_row, body, lines = _read_header(text, skipped, delimiter, file_name)
    names = check_names(header, file_name, header_row)
    rows = count_bytes(body.pieces(end), b"\n") + (body.start < end)
    limits.check_cells(rows, len(names), file_name)
    frame = _read_fast(body, end, names, delimiter, lines, rows)
    ragged = no_faults()
    if frame is None:
        frame, ragged = _read_slowly(body, names, delimiter, header_row + 1, file_name, folder, options.footer_rows)
    else:
        frame = frame.with_row_index(ROW, header_row + 1).with_columns(pl.col(ROW).cast(pl.Int64))
        frame = without_blank_rows(frame)
        frame = frame.head(frame.height - options.footer_rows) if options.footer_rows else frame
    frame = drop_nameless_last(frame, file_name)
    refuse_without_rows(frame, ragged, file_name)
    return RawTable(frame, True, ragged, text.encoding, delimiter, notes=notes)


def count_bytes(pieces: Iterable[bytes], byte: bytes) -> int:
    """How often a byte comes."""
    return sum(piece.count(byte) for piece in pieces)


def _given_delimiter(given: bytes, file_name: str) -> str:
    delimiter = given.decode(errors="replace")
    if NO_SEPARATOR.match(delimiter) or not delimiter.isascii():
        raise UserError(
            f"{file_name}, row 1: sep={delimiter} names no sign that can separate columns. Use a comma, a semicolon, a tab "
            "or |, or delete that line."
        )
    return delimiter


def _end_of_rows(text: TextFile) -> int:
    """Where the last line that is not blank ends: blank ones at the end would cost the fast way."""
    end = text.path.stat().st_size
    with text.path.open("rb") as file:
        while end > text.start:
            begin = max(text.start, end - (1 << 16))
            file.seek(begin)
            piece = file.read(end - begin)
            if kept := piece.rstrip(b"\r\n"):
                # Blanks alone are no table; blanks in the last row are.
                return begin + len(kept) if kept.strip() or begin > text.start else text.start
            end = begin
    return end


def _read_header(text: TextFile, skipped: int, delimiter: str, file_name: str) -> tuple[list[str], int, TextFile, int]:
    """The header's fields, its row number (blank rows above it count), the rows below it, and the lines above those."""
    with text.path.open("rb") as stream:
        stream.seek(text.start)
        lines = 0

        def read_line() -> str:
            nonlocal lines
            line = stream.readline(MAX_HEADER_BYTES)
            if len(line) == MAX_HEADER_BYTES:
                raise UserError(
                    f"{file_name}, row {row + 1}: the line is over {MAX_HEADER_BYTES >> 20} MB long, as no header is."
                )
            lines += bool(line)
            return line.decode(errors="replace")

        row = 0
        while row < skipped and read_line():
            row += 1
        before = lines

        def of_header() -> Iterator[str]:
            while line := read_line():
                if lines - before > MAX_HEADER_LINES + row - skipped:
                    raise _open_quote(file_name, row + 1, None)
                yield line

        try:
            for record in csv.reader(of_header(), delimiter=delimiter):
                row += 1
                if any(field.strip() for field in record):
                    return record, row, text.at(stream.tell()), lines
                if row > skipped + MAX_BLANK_LINES:
                    break
        except csv.Error as error:
            raise _open_quote(file_name, row + 1, None) from error
    raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")


def _read_fast(
    body: TextFile, end: int, names: list[str], delimiter: str, lines: int, rows: int
) -> pl.DataFrame | None:
    """The rows by polars; None if it refuses, or where it would fill up or swallow rows."""
    schema = dict.fromkeys(names, pl.String)
    if rows == 0:
        return pl.DataFrame(schema=schema)
    try:
        # Lazily and by the streaming engine, so that no column is there twice, as read and as cleaned.
        frame = clean_text(_scan(body.path, schema, delimiter, lines, rows)).collect(engine="streaming")
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    # Fewer rows than lines: cells hold line ends. polars is lenient with stray quotes and may have swallowed rows.
    if frame.height != rows or _has_short_rows(frame, body, end, delimiter):
        return None
    return frame


def _scan(path: Path, schema: dict[str, Any], delimiter: str, lines: int = 0, rows: int | None = None) -> pl.LazyFrame:
    return pl.scan_csv(
        path,
        has_header=False,
        separator=delimiter,
        schema=schema,
        empty_string_is_null=False,
        skip_lines=lines,
        n_rows=rows,
        glob=False,
    )


def _has_short_rows(frame: pl.DataFrame, body: TextFile, end: int, delimiter: str) -> bool:
    """Whether a row has fewer fields than the header: polars gives such a row empty cells at its end.

    Every full row has one delimiter less than it has fields; those inside of quotes are left in the cells.
    """
    if frame[frame.columns[-1]].null_count() == 0:
        return False
    delimiters = count_bytes(body.pieces(end), delimiter.encode())
    if any(b'"' in piece for piece in body.pieces(end)):
        inside = frame.select(cs.string().str.count_matches(delimiter, literal=True).sum())
        delimiters -= int(inside.sum_horizontal().item())
    return delimiters != (frame.width - 1) * frame.height


def _read_slowly(
    body: TextFile, names: list[str], delimiter: str, first_row: int, file_name: str, folder: Path, footer_rows: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows by the csv module: those with the header's number of fields, and a fault for each other row."""
    width = len(names)
    rows = array("q")
    ragged: list[tuple[int, list[str]]] = []
    target = folder / "even.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        for row, record in _without_last(_records(body, delimiter, first_row, file_name), footer_rows):
            if len(record) > width and not any(field.strip() for field in record[width:]):
                record = record[:width]  # delimiters at the end of the line
            if len(record) == width:
                rows.append(row)
                writer.writerow(record)
            else:
                ragged.append((row, record))
    refuse_mixed(ragged, delimiter, width, file_name)
    schema = dict.fromkeys(names, pl.String)
    frame = (
        clean_text(_scan(target, schema, delimiter)).collect(engine="streaming")
        if rows
        else pl.DataFrame(schema=schema)
    )
    faults = [(row, None, _wrong_width(len(fields), width), delimiter.join(fields)) for row, fields in ragged]
    numbered = frame.insert_column(0, pl.Series(ROW, rows, dtype=pl.Int64))
    return without_blank_rows(numbered), pl.DataFrame(faults, schema=SCHEMA, orient="row")


def _without_last(records: Iterator[tuple[int, list[str]]], count: int) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, but for the last `count` of them."""
    held: deque[tuple[int, list[str]]] = deque()
    for row, record in records:
        if any(field.strip() for field in record):
            held.append((row, record))
            if len(held) > count:
                yield held.popleft()


def _records(body: TextFile, delimiter: str, first_row: int, file_name: str) -> Iterator[tuple[int, list[str]]]:
    with body.path.open("rb") as file:
        file.seek(body.start)
        # The end mark is a record of its own unless a quote is still open.
        lines = chain(io.TextIOWrapper(file, encoding="utf-8", newline=""), [END])
        row = first_row - 1
        try:
            for row, record in enumerate(csv.reader(_ended(lines), delimiter=delimiter), first_row):
                if record and END in record[-1]:
                    if record != [END]:
                        raise _open_quote(file_name, row, record[-1])
                    return
                yield row, record
        except csv.Error as error:  # a field longer than csv's limit: the quote swallowed the rest of the file
            raise _open_quote(file_name, row + 1, None) from error


def _ended(lines: Iterable[str]) -> Iterator[str]:
    """The lines, each with a line end, so that the end mark does not follow on the last one."""
    for line in lines:
        yield line if line.endswith(("\n", "\r", END)) else line + "\n"


def _open_quote(file_name: str, row: int, field: str | None) -> UserError:
    begins = (
        f" (the cell begins {quote(field[:30])})" if field else f", or a cell is over {csv.field_size_limit():,} long"
    )
    return UserError(f"{file_name}, row {row}: a quote is opened and never closed{begins}. Close or double the quote.")


def _wrong_width(found: int, width: int) -> str:
    return f"has {found} {'field' if found == 1 else 'fields'}, the header has {width}"

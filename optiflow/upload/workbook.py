"""What a workbook (.xlsx) holds, counted in its XML before a reader makes a full table of it.

A reader makes a cell for every place between the first and the last one that has a value, and a text for every cell that
refers to one. What belongs here: counting and refusing. What does not: reading cells (`excel_table`).
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from optiflow.errors import UserError
from optiflow.read_limits import ReadLimits
from optiflow.upload.faults import quote

PIECE = 1 << 22
PLACE = re.compile(rb"""\sr=["']([A-Za-z]{1,3})(\d{1,7})["']""")
ROW_TAG = re.compile(rb"""<(?:\w+:)?row[\s>/](?:[^>]*?\sr=["'](\d{1,7})["'])?""")
CELL_TAG = re.compile(rb"<(?:\w+:)?c[\s>/]")
TAGS = re.compile(rb"<(?:\w+:)?(row|c)\b([^>]*?)(/?)>(</)?")
TEXT_CELL = re.compile(rb"""<(?:\w+:)?c\b([^>]*?\st=["']s["'][^>]*)>\s*(?:<(?:\w+:)?f\b.*?)?<(?:\w+:)?v>\s*(\d+)""")
TEXT = re.compile(rb"<(?:\w+:)?si\b[^>]*?(?:/>|>(.*?)</(?:\w+:)?si>)", re.DOTALL)
ROW_NUMBER = re.compile(rb"""\sr=["'](\d+)["']""")
MAX_COLUMNS = 16_384
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass(frozen=True)
class Extent:
    """The rows and columns down to which a sheet has cells; `place` is the furthest of them."""

    rows: int
    columns: int
    place: str = ""


def check_workbook(path: Path, file_name: str, limits: ReadLimits) -> None:
    """Refuse a workbook that would not fit into memory; says the sheet and the cell.

    Raises:
        UserError: it is over a limit, or no workbook.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [part for part in archive.infolist() if part.filename.lower().endswith((".xml", ".rels"))]
            limits.check_unpacked(
                sum(part.file_size for part in parts), sum(part.file_size for part in parts), file_name
            )
            sheets = _sheets(archive)
            lengths = _text_lengths(archive, file_name, limits)
            for part in parts:
                if part.filename in sheets:
                    _check_sheet(archive, part.filename, sheets[part.filename], lengths, file_name, limits)
                elif "sharedstrings" not in part.filename.lower():
                    for _ in _pieces(archive, part.filename):  # to its end: the directory may say less than there is
                        pass
    except (
        zipfile.BadZipFile,
        zlib.error,
        ElementTree.ParseError,
        KeyError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        said = str(error).splitlines() or [type(error).__name__]
        raise UserError(
            f"{file_name}: not a readable Excel workbook ({said[0][:200]}). Save and upload it again."
        ) from error


def _sheets(archive: zipfile.ZipFile) -> dict[str, str]:
    """The name of each sheet by the part of the archive that holds it."""
    named = {part.filename.lower(): part.filename for part in archive.infolist()}
    book = ElementTree.fromstring(archive.read(named["xl/workbook.xml"]))
    links = ElementTree.fromstring(archive.read(named["xl/_rels/workbook.xml.rels"]))
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    found = {}
    for sheet in book.iter():
        if sheet.tag.rpartition("}")[2] == "sheet":
            target = targets.get(
                sheet.get(RELATION) or next((v for k, v in sheet.attrib.items() if k.endswith("}id")), None), ""
            )
            part = target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
            found[named.get(part.lower(), part)] = sheet.get("name", "")
    return found


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part, in pieces that end with a tag."""
    rest = b""
    with archive.open(part) as file:
        while piece := file.read(PIECE):
            whole, end, rest = (rest + piece).rpartition(b">")
            if end:
                yield whole + end
    if rest.strip():
        yield rest


def _text_lengths(archive: zipfile.ZipFile, file_name: str, limits: ReadLimits) -> np.ndarray:
    """How long each shared text is, with its tags, in bytes."""
    part = next((name for name in archive.namelist() if name.lower() == "xl/sharedstrings.xml"), None)
    if part is None:
        return np.zeros(0, dtype=np.int64)
    lengths: list[int] = []
    rest = b""
    for piece in _pieces(archive, part):
        data, end = rest + piece, 0
        for found in TEXT.finditer(data):
            lengths.append(found.end(1) - found.start(1) if found[1] else 0)
            end = found.end()
        rest = data[end:]
        if len(lengths) > limits.sheet_cells:
            raise _too_many(f"{file_name}: more than {limits.sheet_cells:,} different texts", limits)
    return np.array(lengths, dtype=np.int64)


def _check_sheet(
    archive: zipfile.ZipFile, part: str, sheet: str, lengths: np.ndarray, file_name: str, limits: ReadLimits
) -> None:
    rows = columns = cells = places = row_tags = texts = 0
    for piece in _pieces(archive, part):
        found = PLACE.findall(piece)
        places += len(found)
        cells += len(CELL_TAG.findall(piece))
        numbers = ROW_TAG.findall(piece)
        row_tags += len(numbers)
        texts += piece.count(b't="s"') + piece.count(b"t='s'")
        rows = max(rows, *(int(row) for _, row in found), *(int(row) for row in numbers if row), 0)
        columns = max(columns, *(_column(letters) for letters in {letters for letters, _ in found}), 0)
    rows, columns = max(rows, row_tags), max(columns, 0 if places >= cells else min(cells, MAX_COLUMNS))
    if max(rows * columns, cells) > limits.sheet_cells:
        _check_extent(_extent(archive, part), sheet, file_name, limits)
    if texts * int(lengths.max(initial=0)) > limits.unpacked_bytes:
        _check_texts(archive, part, sheet, lengths, file_name, limits)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _extent(archive: zipfile.ZipFile, part: str) -> tuple[Extent, int]:
    """How far the cells that have a value reach, and how many there are; places that are not said follow on the last one."""
    row = column = cells = 0
    rows = columns = 0
    top = left = 1 << 30
    place = (0, 0)
    for piece in _pieces(archive, part):
        for tag in TAGS.finditer(piece):
            kind, attributes, closed, empty = tag.groups()
            if kind == b"row":
                number = ROW_NUMBER.search(attributes + b" ")
                row, column = int(number[1]) if number else row + 1, 0
                continue
            found = PLACE.search(b" " + attributes)
            column, row = (_column(found[1]), int(found[2])) if found else (column + 1, row)
            if closed or empty:
                continue
            cells += 1
            top, left = min(top, row), min(left, column)
            if row > rows or column > columns:
                place = max(place, (row, column), key=lambda at: at[0] * at[1])
            rows, columns = max(rows, row), max(columns, column)
    return Extent(rows, columns, f"{_letters(place[1])}{place[0]}"), cells


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _check_extent(found: tuple[Extent, int], sheet: str, file_name: str, limits: ReadLimits) -> None:
    extent, cells = found
    if max(extent.rows * extent.columns, cells) <= limits.sheet_cells:
        return
    raise _too_many(
        f"{file_name}: sheet {quote(sheet)} reaches down to cell {extent.place}, so it has {extent.rows:,} rows by "
        f"{extent.columns:,} columns, most of them empty" if cells * 2 < extent.rows * extent.columns
        else f"{file_name}: sheet {quote(sheet)} has {cells:,} cells with values",
        limits,
    )  # fmt: skip


def _too_many(what: str, limits: ReadLimits) -> UserError:
    return UserError(
        f"{what}; OPTIFLOW_UPLOAD_MAX_SHEET_CELLS allows {limits.sheet_cells:,} cells. Delete the rows and columns beyond "
        "the table, or export it as CSV."
    )


def _check_texts(
    archive: zipfile.ZipFile, part: str, sheet: str, lengths: np.ndarray, file_name: str, limits: ReadLimits
) -> None:
    size, longest, where = 0, -1, ""
    for piece in _pieces(archive, part):
        for attributes, index in TEXT_CELL.findall(piece):
            length = int(lengths[int(index)]) if int(index) < len(lengths) else 0
            size += length
            if length > longest:
                place = PLACE.search(b" " + attributes)
                longest, where = (
                    length,
                    f"cell {(place[1] + place[2]).decode() if place else '?'} of sheet {quote(sheet)}",
                )
    limits.check_text(size, where, file_name)

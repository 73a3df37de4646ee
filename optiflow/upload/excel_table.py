"""Excel into a `RawTable`: which sheet, where its header is, which rows are no data.

What belongs here: finding the table in a workbook. What does not: whether it fits into memory (`workbook`), and types.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.proposals import ProposalError, options_file
from optiflow.read_limits import ReadLimits
from optiflow.split import ROW
from optiflow.upload.faults import no_faults, quote, quote_all
from optiflow.upload.table import (
    RawTable,
    check_names,
    clean_text,
    drop_nameless_last,
    refuse_without_rows,
    without_blank_rows,
)
from optiflow.upload.turned_dates import with_plain_dates
from optiflow.upload.typed_table import whole_numbers, widen
from optiflow.upload.workbook import check_workbook

if TYPE_CHECKING:
    import fastexcel

ZIP_MAGIC = b"PK"
TOP_ROWS = 200
MAX_TITLE_ROWS = 50
FEW_ROWS = 20
"""A sheet of fewer rows is a remark or a summary where another has more."""
HEADER_SHARE = 0.8


@dataclass(frozen=True)
class Sheet:
    """A sheet that can hold a table: its header's row (from 0) and names, and how many rows there are below."""

    name: str
    top: int
    header: tuple[str, ...]
    rows: int


def read_excel(path: Path, file_name: str, options: DatasetOptions, limits: ReadLimits) -> RawTable:
    """Read the sheet of a workbook that holds a table, or those that the option `sheet` names.

    Row numbers are those that the spreadsheet shows; those of a second sheet go on after the first.

    Raises:
        UserError: corrupt, over a limit, no sheet with a table, several that could be it, header only, a bad header.
    """
    import fastexcel

    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns of every column without values
    with path.open("rb") as file:
        if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:  # whatever its name ends in: the reader goes by this, too
            check_workbook(path, file_name, limits)
    try:
        workbook = fastexcel.read_excel(path)
        sheets, notes = _chosen(workbook, options, file_name)
        parts = [_read_sheet(workbook, sheet, options, file_name) for sheet in sheets]
    except fastexcel.FastExcelError as error:
        raise UserError(
            f"{file_name}: not a readable Excel workbook ({str(error).splitlines()[0]}). Save and upload it again."
        ) from error
    except pl.exceptions.PanicException as error:
        raise UserError(f"{file_name}: not a readable Excel workbook. Save and upload it again.") from error
    frame, more = _below_one_another(parts, sheets)
    frame = drop_nameless_last(without_blank_rows(frame), file_name)
    refuse_without_rows(frame, no_faults(), file_name)
    return RawTable(frame, is_text=True, notes=(*notes, *more))


def _chosen(
    workbook: "fastexcel.ExcelReader", options: DatasetOptions, file_name: str
) -> tuple[list[Sheet], tuple[str, ...]]:
    names = workbook.sheet_names
    if unknown := [name for name in options.sheet if name not in names]:
        raise UserError(
            f"{file_name}: option sheet names {quote_all(unknown)}, but the sheets are {quote_all(names)}. Correct it in "
            f"{options_file(file_name)}."
        )
    wanted = options.sheet or tuple(names)
    found = [sheet for name in wanted if (sheet := _look_at(workbook, name, options)) is not None]
    if options.sheet:
        if len(found) < len(wanted):
            empty = [name for name in wanted if name not in {sheet.name for sheet in found}]
            raise UserError(
                f"{file_name}: sheet {quote_all(empty)} holds no table. Name another one in the option sheet."
            )
        if odd := [sheet.name for sheet in found if not _alike(sheet, found[0])]:
            raise UserError(
                f"{file_name}: sheet {quote_all(odd)} has other columns than {quote(found[0].name)}, so they cannot be read "
                "as one table. Name sheets of the same columns in the option sheet."
            )
        return found, ()
    if not found:
        raise UserError(f"{file_name}: no sheet of the workbook holds a table. Fill one and upload it again.")
    found = [sheet for sheet in found if sheet.rows >= FEW_ROWS] or found[:1]
    alike = [sheet for sheet in found if _alike(sheet, found[0])]
    if len(alike) > 1:
        raise ProposalError(
            f"{file_name}: the sheets {quote_all([sheet.name for sheet in alike])} have the same columns. Say which are to be "
            "read; all of them, one below the other, or one.",
            file_name,
            {"sheet": [sheet.name for sheet in alike]},
            {"sheet": alike[-1].name},
        )
    notes = []
    if len(names) > 1:
        others = ", ".join(f"{quote(s.name)} ({s.rows:,} rows)" for s in found[1:])
        rest = f"{others} would be read by the option sheet" if others else "no other holds as much of a table"
        notes.append(f"The sheet {quote(found[0].name)} was read; {rest}.")
    if found[0].top and options.header_row is None:
        notes.append(f"The column names are in row {found[0].top + 1}.")
    return found[:1], tuple(notes)


def _alike(one: Sheet, other: Sheet) -> bool:
    """Whether two sheets have the same columns, in whatever order."""
    return sorted(one.header) == sorted(other.header)


def _look_at(workbook: "fastexcel.ExcelReader", name: str, options: DatasetOptions) -> Sheet | None:
    # skip_rows=0 keeps blank rows, so that row numbers are those that the spreadsheet shows.
    sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string", n_rows=TOP_ROWS)
    cells = sheet.to_polars()
    if options.header_row is not None and options.header_row > cells.height:
        sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string", n_rows=options.header_row)
        cells = sheet.to_polars()
    records = cells.rows()
    filled = [at for at, record in enumerate(records) if any(record)]
    if not filled or cells.width < 2:
        return None
    if options.header_row is None:
        top = header_at(records)
    elif options.header_row > len(records):
        return None
    else:
        top = options.header_row - 1
    # The header is within the top; below it, blank rows count, which is near enough for choosing.
    return Sheet(name, top, tuple((text or "").strip() for text in records[top]), sheet.total_height - top - 1)


def header_at(records: Sequence[Sequence[str | None]]) -> int:
    """Which record holds the column names: the first that is not blank, or below titles the first that is as wide as the rows.

    Args:
        records: Rows of cells from the top, at least one of which is not blank.
    """
    filled = [sum(bool(text and text.strip()) for text in record) for record in records]
    first = next(at for at, count in enumerate(filled) if count)
    rows = sorted(count for count in filled[first + 1 :] if count)
    needed = HEADER_SHARE * (rows[len(rows) // 2] if rows else 0)
    if filled[first] >= max(needed, 2):
        return first
    for at in range(first + 1, min(len(records), first + MAX_TITLE_ROWS)):
        texts = [text.strip() for text in records[at] if text and text.strip()]
        named = sum(any(letter.isalpha() for letter in text) for text in texts)
        if len(texts) >= max(needed, 2) and named * 2 > len(texts) and len(set(texts)) == len(texts):
            return at
    return first


def _read_sheet(
    workbook: "fastexcel.ExcelReader", sheet: Sheet, options: DatasetOptions, file_name: str
) -> pl.DataFrame:
    cells = workbook.load_sheet(sheet.name, header_row=None, skip_rows=sheet.top + 1, schema_sample_rows=None)
    frame = cells.to_polars()
    names = check_names(list(sheet.header), file_name, sheet.top + 1)
    if frame.width > len(names):
        raise UserError(
            f"{file_name}, row {sheet.top + 1}: column {len(names) + 1} has no name. Give every column a name."
        )
    if frame.is_empty():
        frame = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    frame.columns = names[: frame.width]
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in names[frame.width :])
    frame = widen(frame).with_row_index(ROW, sheet.top + 2).with_columns(pl.col(ROW).cast(pl.Int64))
    frame = without_blank_rows(clean_text(whole_numbers(frame)))
    frame = frame.head(frame.height - options.footer_rows) if options.footer_rows else frame
    return with_plain_dates(frame, options, file_name)


def _below_one_another(parts: Sequence[pl.DataFrame], sheets: Sequence[Sheet]) -> tuple[pl.DataFrame, list[str]]:
    """The sheets as one table, with the row numbers of each after those of the one before."""
    frames, notes, last = [], [], 0
    for frame, sheet in zip(parts, sheets, strict=True):
        if last:
            notes.append(f"Row 1 of sheet {quote(sheet.name)} is called row {last + 1}.")
        numbered = frame.with_columns(pl.col(ROW) + last)
        frames.append(numbered.select(parts[0].columns))
        last += int(frame[ROW].max() or 0)  # pyright: ignore[reportArgumentType]
    if len(frames) == 1:
        return frames[0], notes
    # A column may be whole numbers in one sheet and text in another.
    schemas = [frame.schema for frame in frames]
    mixed = [name for name in frames[0].columns if len({schema[name] for schema in schemas}) > 1]
    texts = [frame.with_columns(pl.col(mixed).cast(pl.String)) for frame in frames] if mixed else frames
    return pl.concat(texts), notes

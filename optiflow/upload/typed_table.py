"""Parquet and Excel into a `RawTable`: formats whose cells have types of their own."""

import io

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.split import ROW
from optiflow.upload.faults import quote_all
from optiflow.upload.table import RawTable, check_names, clean_text, drop_nameless_last, refuse_without_rows


def read_parquet(data: bytes, file_name: str, drop_columns: tuple[str, ...] = ()) -> RawTable:
    """Read Parquet; declared types stay, in their widest form (Int64, Float64, String).

    Raises:
        UserError: corrupt, empty, a bad header, or a column of lists or structs that `drop_columns` does not name.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(
            f"{file_name}: not a readable Parquet file ({str(error).splitlines()[0]}). Write and upload it again."
        ) from error
    frame = _named(frame, file_name)
    nested = frame.select(cs.nested() | cs.binary() | cs.object()).columns
    if left := [name for name in nested if name not in drop_columns]:
        raise UserError(
            f"{file_name}: columns {quote_all(left)} hold lists, structs or bytes. Name them in drop_columns, "
            "or write them as plain values."
        )
    frame = _widen(frame.drop(nested))
    rows = pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias(ROW)
    frame = frame.select(rows, pl.all())
    refuse_without_rows(frame, frame.clear(), file_name)
    return RawTable(frame, is_text=False, left_out=tuple(nested))


def read_excel(data: bytes, file_name: str) -> RawTable:
    """Read the first sheet of a workbook that holds a table; its first row that is not blank is the header.

    Raises:
        UserError: corrupt, no sheet with a table, header only, a bad header.
    """
    import fastexcel

    try:
        workbook = fastexcel.read_excel(data)
        for index in range(len(workbook.sheet_names)):
            # skip_rows=0 keeps blank rows, so that row numbers are those that the spreadsheet shows.
            cells = workbook.load_sheet(index, header_row=None, skip_rows=0, dtypes="string").to_polars()
            filled = _filled_rows(cells)
            if len(filled) and cells.width > 1:
                break
        else:
            raise UserError(f"{file_name}: no sheet of the workbook holds a table. Fill one and upload it again.")
        top = filled[0]
        frame = workbook.load_sheet(index, header_row=top, skip_rows=0, schema_sample_rows=None).to_polars()
    except fastexcel.FastExcelError as error:
        raise UserError(
            f"{file_name}: not a readable Excel workbook ({str(error).splitlines()[0]}). Save and upload it again."
        ) from error
    frame.columns = check_names([name or "" for name in cells.row(top)], file_name, top + 1)
    frame = _widen(frame).with_row_index(ROW, top + 2).with_columns(pl.col(ROW).cast(pl.Int64))
    frame = drop_nameless_last(clean_text(_whole_numbers(frame)), file_name)
    refuse_without_rows(frame, frame.clear(), file_name)
    return RawTable(frame, is_text=True)


def _filled_rows(cells: pl.DataFrame) -> list[int]:
    if cells.width == 0:
        return []
    return cells.select(pl.any_horizontal(pl.all().is_not_null()).arg_true()).to_series().to_list()


def _named(frame: pl.DataFrame, file_name: str) -> pl.DataFrame:
    if frame.width == 0:
        raise UserError(f"{file_name}: the file has no columns. Upload a table with a header and rows.")
    names = check_names(frame.columns, file_name)
    if "" in names:
        raise UserError(f"{file_name}, row 1: column {len(names)} has no name. Give every column a name.")
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _widen(frame: pl.DataFrame) -> pl.DataFrame:
    """Int64, Float64 (no NaN), String, Boolean, Date and Datetime('us') by the wall's clock; durations in seconds."""
    frame = frame.with_columns(
        (cs.integer() - cs.by_dtype(pl.UInt64, pl.Int128, pl.UInt128)).cast(pl.Int64),
        cs.by_dtype(pl.UInt64, pl.Int128, pl.UInt128).cast(pl.Float64),
        cs.duration().dt.total_microseconds() / 1e6,
        (cs.float() | cs.decimal()).cast(pl.Float64).fill_nan(None),
        (cs.categorical() | cs.enum() | cs.time() | cs.by_dtype(pl.Null)).cast(pl.String),
        cs.datetime(time_zone="*").dt.replace_time_zone(None),  # the hour that people saw, and so their day
    )
    return frame.with_columns(cs.datetime().dt.cast_time_unit("us"))


def _whole_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Float columns of whole numbers as Int64: a workbook knows only floats."""
    floats = frame.select(cs.float())
    whole = [s.name for s in floats if s.is_not_null().any() and bool(((s == s.floor()) & (s.abs() < 2**53)).all())]
    return frame.with_columns(pl.col(whole).cast(pl.Int64)) if whole else frame

"""A table as a file for other programs: CSV, a workbook, or Parquet, by the file's suffix."""

import json
import os
from pathlib import Path

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.formula_guard import without_formulas
from optiflow.parquet import write_parquet
from optiflow.workbook import MAX_COLUMNS, MAX_ROWS, write_workbook

SUFFIXES = (".csv", ".xlsx", ".parquet")


def export_table(table: pl.LazyFrame, target: Path) -> int:
    """Write a table, put in place whole.

    CSV is UTF-8 with a byte order mark, commas, a header and ISO dates; text that would be a formula has an apostrophe
    before it, which a workbook does not need. Lists and structs are JSON in CSV and workbooks.

    Args:
        table: What is written.
        target: The file; its suffix says how.

    Returns:
        How many rows were written.

    Raises:
        UserError: the suffix is none of `SUFFIXES`, there is no such folder, or a workbook cannot hold the table.
    """
    suffix = check_target(target)
    rows = int(table.select(pl.len()).collect().item())
    width = len(table.collect_schema())
    if suffix == ".xlsx" and (rows >= MAX_ROWS or width > MAX_COLUMNS):
        raise UserError(
            f"{target.name}: {rows:,} rows and {width:,} columns are more than a workbook holds ({MAX_ROWS - 1:,} and "
            f"{MAX_COLUMNS:,}): write {target.stem}.parquet or {target.stem}.csv."
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if suffix == ".parquet":
            write_parquet(table, temporary)
        elif suffix == ".csv":
            without_formulas(_flat(table)).sink_csv(temporary, include_bom=True)
        else:
            write_workbook(_flat(table).collect(), temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def check_target(target: Path) -> str:
    """The suffix of a file that a table can be written to, in lower case.

    Raises:
        UserError: as in `export_table`.
    """
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{target.name}: write a file whose name ends in {', '.join(SUFFIXES)}.")
    if not target.absolute().parent.is_dir():
        raise UserError(f"There is no folder {target.absolute().parent}: make it, or name another file.")
    return suffix


def _flat(table: pl.LazyFrame) -> pl.LazyFrame:
    nested = [name for name, dtype in table.collect_schema().items() if dtype.is_nested()]
    if nested:
        frame = table.collect()
        table = frame.with_columns(
            pl.Series(name, map(_as_json, frame[name].to_list()), pl.String) for name in nested
        ).lazy()
    return table.with_columns(cs.duration().dt.total_microseconds() / 1e6, cs.binary().bin.encode("hex"))


def _as_json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)

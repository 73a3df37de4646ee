"""Reading a channel into a matrix: header-less CSV, or Parquet of which only the order of the columns counts.

As in SageMaker's built-in XGBoost the target comes first, an empty cell is a missing value, and all files of a channel
are one table. What does not belong here: parsing people's uploads; these files were written by a program.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.matrix import Matrix

if TYPE_CHECKING:
    import numpy as np

CSV = "text/csv"
PARQUET = "application/x-parquet"
PARQUET_MAGIC = b"PAR1"
MISSING = ("", "NA", "NaN", "nan", "null")
"""What a CSV cell without a value may look like."""


def channel_files(folder: Path) -> list[Path]:
    """The channel's files in the order of their paths, without hidden ones and markers such as `_SUCCESS`.

    Raises:
        UserError: there is none.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith((".", "_")))
    if not files:
        raise UserError(f"channel {folder.name} has no file: give it at least one.")
    return files


def read_channel(folder: Path, content_type: str | None, *, weights: bool = False) -> Matrix:
    """All files of a channel, the first column being the target and, with `weights`, the second the weight.

    Raises:
        UserError: no file, no row, no feature column, a cell that is no finite number, or files of unequal width.
    """
    import numpy as np

    files = channel_files(folder)
    leading = 2 if weights else 1
    tables = [read_file(path, content_type) for path in files]
    for path, table in zip(files, tables, strict=True):
        if table.shape[1] != tables[0].shape[1]:
            raise UserError(f"{_name(path)} has {table.shape[1]} columns, {files[0].name} {tables[0].shape[1]}.")
        if table.shape[1] <= leading:
            raise UserError(
                f"{_name(path)} has {table.shape[1]} column(s): expected the target"
                f"{', the weight' if weights else ''} and at least one feature."
            )
        _check_finite(path, table[:, 0], "target")
        if weights:
            _check_finite(path, table[:, 1], "weight")
    table = tables[0] if len(tables) == 1 else np.concatenate(tables)
    if not len(table):
        raise UserError(f"channel {folder.name} has no row: {', '.join(path.name for path in files)} is empty.")
    return Matrix(table[:, leading:], target=table[:, 0], weight=table[:, 1] if weights else None)


def read_file(path: Path, content_type: str | None) -> "np.ndarray":
    """One file as rows x columns of float32, NaN for a missing value.

    Raises:
        UserError: unknown content type, not such a file, or a cell that is no number or infinite.
    """
    if content_type is None:
        with path.open("rb") as file:
            content_type = PARQUET if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC else CSV
    if content_type == CSV:
        table = _read_csv(path)
    elif content_type == PARQUET:
        table = _read_parquet(path)
    else:
        raise UserError(f"{_name(path)}: content type {content_type!r} is not read here: use {CSV} or {PARQUET}.")
    return _to_matrix(path, table)


def _read_csv(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.csv

    with path.open("rb") as file:
        first = file.readline()
    if not first:
        raise UserError(f"{_name(path)} is empty.")
    width = first.count(b",") + 1
    try:
        return pyarrow.csv.read_csv(
            path,
            # A blank line in a file of one column is a row whose only value is missing.
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=width > 1),
            read_options=pyarrow.csv.ReadOptions(column_names=[str(i) for i in range(width)]),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={str(i): pa.float64() for i in range(width)}, null_values=MISSING
            ),
        )
    except pa.ArrowInvalid as error:
        raise UserError(next(_bad_rows(path, width), f"{_name(path)}: {error}")) from error


def _bad_rows(path: Path, width: int) -> Iterator[str]:
    """Say what is wrong with each row that does not have `width` numbers; the slow way, to explain a failure."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if row and len(row) != width:
                yield f"{_name(path)}, row {number}: {len(row)} columns, row 1 has {width}."
            for column, cell in enumerate(row, start=1):
                if cell.strip() not in MISSING and not _is_number(cell):
                    hint = " Is it a header? These files have none." if number == 1 else ""
                    yield f"{_name(path)}, row {number}, column {column}: {cell[:40]!r} is not a number.{hint}"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _read_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{_name(path)} is not a Parquet file: {str(error).splitlines()[0]}") from error


def _to_matrix(path: Path, table: Any) -> "np.ndarray":
    import numpy as np

    # One column after the other is written, so columns are kept together; XGBoost reads either order.
    matrix = np.empty((table.num_rows, table.num_columns), dtype=np.float32, order="F")
    for index, column in enumerate(table.columns):
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is reported below
            matrix[:, index] = _numbers(path, index, table.field(index), column)
        infinite = np.isinf(matrix[:, index])
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise UserError(f"{_name(path)}, row {row}, column {index + 1}: the value is infinite or beyond float32.")
    return matrix


def _numbers(path: Path, index: int, field: Any, column: Any) -> "np.ndarray":
    import pyarrow as pa

    if pa.types.is_boolean(field.type) or pa.types.is_null(field.type):
        column = column.cast(pa.float32())
    elif pa.types.is_decimal(field.type):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        raise UserError(
            f"{_name(path)}, column {index + 1} ({field.name!r}) is of type {field.type}, not a number: "
            "encode it before training."
        )
    return column.to_numpy()


def _check_finite(path: Path, values: "np.ndarray", what: str) -> None:
    import numpy as np

    missing = np.isnan(values)
    if missing.any():
        row = int(missing.argmax()) + 1
        raise UserError(
            f"{_name(path)}, row {row}: the {what} is missing in {int(missing.sum())} row(s): leave them out."
        )


def _name(path: Path) -> str:
    return f"channel {path.parent.name}, file {path.name}"

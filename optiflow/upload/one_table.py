"""The cells of many files as one table: columns that go by other names, types that differ, and what folders tell.

What does not belong here: which rows count (`repeats`), types of text (`columns`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.roles import find_roles
from optiflow.split import ROW
from optiflow.upload.faults import quote_all
from optiflow.upload.table import RawTable

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

EXACT = 2**53
"""Up to here a float holds every whole number."""

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark name the folder of rows without a value."""


@dataclass(frozen=True)
class Cells:
    """One file's cells, with the columns that its folders tell; `roles` is role -> column.

    `key` is the column that tells its rows apart, where the file says so itself.
    """

    name: str
    modified_ns: int
    raw: RawTable
    roles: dict[str, str]
    key: str | None = None

    @property
    def written(self) -> tuple[int, str]:
        """Sorts files by when they were written."""
        return self.modified_ns, self.name


def cells_of(raw: RawTable, name: str, modified_ns: int, options: DatasetOptions, pipeline: "Pipeline") -> Cells:
    """A file's cells, if it has the columns that are needed.

    Raises:
        UserError: it lacks one.
    """
    told = {column: value for column, value in _hive_columns(name).items() if column not in raw.frame.columns}
    values = [pl.lit(value, pl.String).alias(column) for column, value in told.items()]
    raw = replace(raw, frame=raw.frame.with_columns(values))
    names = [column for column in raw.names if column not in options.drop_columns]
    roles = find_roles(pipeline.roles, names, options.columns, name)
    wanted = [column for column in (options.target, options.date_column) if column is not None and not pipeline.roles]
    if missing := [column for column in wanted if column not in raw.names]:
        raise UserError(f"{name}: no column {quote_all(missing)}. The columns are {quote_all(raw.names)}.")
    return Cells(name, modified_ns, raw, roles)


def _hive_columns(name: str) -> dict[str, str | None]:
    """`store=12/day=2024-01-05/part-0.parquet` -> store 12, day 2024-01-05."""
    pairs = [part.partition("=") for part in name.split("/")[:-1] if "=" in part]
    return {unquote(key): None if value == HIVE_NULL else unquote(value) for key, _, value in pairs if key}


def one_table(cells: Sequence[Cells]) -> tuple[RawTable, pl.DataFrame]:
    """All rows, numbered through in the order of the files, and which numbers each file has.

    A column with a role goes by the name that the first file has for it. One that a file lacks is empty there; one whose
    types differ from file to file is the wider number that holds all of them, else text.

    Returns:
        The table, and one row a file: `file`, `first_row`, `rows`, and `offset`: what was added to its own row numbers.
    """
    names: dict[str, str] = {}
    for each in cells:
        names = {**each.roles, **names}
    frames, ragged, unread, files, offset = [], [], [], [], 0
    for each in cells:
        renamed = {column: names[role] for role, column in each.roles.items() if column != names[role]}
        numbered = pl.col(ROW) + offset
        frames.append(each.raw.frame.rename(renamed).with_columns(numbered))
        ragged.append(each.raw.ragged.with_columns(numbered))
        unread.append(each.raw.cells.with_columns(numbered, pl.col("column").replace(renamed)))
        rows = [*frames[-1][ROW].head(1), *frames[-1][ROW].tail(1), *ragged[-1][ROW]]
        files.append((each.name, min(rows), each.raw.rows_in, offset))
        offset = max(rows) - 1  # the next file's header counts as a row, so that its first row follows on
    schema = _schema(frames)
    whole = pl.concat([frame.select(_as(frame, schema)) for frame in frames], how="diagonal").select(ROW, *schema)
    first = cells[0].raw
    told = pl.DataFrame(
        files, schema={"file": pl.String, "first_row": pl.Int64, "rows": pl.Int64, "offset": pl.Int64}, orient="row"
    )
    return (
        RawTable(
            whole,
            is_text=any(each.raw.is_text for each in cells),
            ragged=pl.concat(ragged),
            encoding=first.encoding,
            delimiter=first.delimiter if len({each.raw.delimiter for each in cells}) == 1 else None,
            left_out=tuple(dict.fromkeys(name for each in cells for name in each.raw.left_out)),
            cells=pl.concat(unread),
            notes=tuple(dict.fromkeys(note for each in cells for note in each.raw.notes)),
        ),
        told,
    )


def _schema(frames: Sequence[pl.DataFrame]) -> dict[str, pl.DataType]:
    """The type of each column in the order of their first appearance; a column without a value has no say."""
    found: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if name != ROW:
                types = found.setdefault(name, set())
                if frame[name].null_count() < frame.height:
                    types.add(dtype)
    return {name: _wider(types, [f[name] for f in frames if name in f.columns]) for name, types in found.items()}


def _wider(types: set[pl.DataType], columns: Sequence[pl.Series]) -> pl.DataType:
    if len(types) == 1:
        return next(iter(types))
    if types and all(dtype.is_numeric() for dtype in types):
        # Beyond 2**53 a float would make two ids one.
        whole = [column for column in columns if column.dtype == pl.Int64]
        exact = all(bool(column.is_between(-EXACT, EXACT).all()) for column in whole)
        return pl.Float64() if exact else pl.String()
    if types and all(dtype in (pl.Date, pl.Datetime) for dtype in types):
        return pl.Datetime("us")
    return pl.String()


def _as(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> list[pl.Expr]:
    whole = cs.by_name(ROW)
    casts = [
        pl.lit(None, schema[name]).alias(name)
        if frame[name].null_count() == frame.height
        else _cast(frame[name], schema[name])
        for name in frame.columns
        if name != ROW
    ]
    return [whole.as_expr(), *casts]


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column.name)
    if dtype == pl.String and column.dtype.is_float() and bool((column == column.round(0)).all()):
        value = value.cast(pl.Int64, strict=False)  # 17850.0 is customer 17850
    return value.cast(dtype)

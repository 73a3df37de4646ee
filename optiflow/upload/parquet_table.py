"""Parquet into a `RawTable`.

pyarrow reads it, for it is made for files that nobody vouches for: polars panics on time zones that are offsets, and on times
that its calendar does not reach. Times come as bare counts and become dates here, where they can be dates.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

import polars as pl

from optiflow.errors import UserError
from optiflow.read_limits import ReadLimits
from optiflow.split import ROW
from optiflow.upload.date_formats import FIRST_YEAR, LAST_YEAR
from optiflow.upload.faults import cell_faults, no_faults, quote, quote_all
from optiflow.upload.table import RawTable, check_names, clean_text, refuse_without_rows, without_blank_rows
from optiflow.upload.typed_table import whole_or_text, widen

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 15
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""How many of a unit are a second."""
DAY_SECONDS = 86_400
OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?")
FIRST_DAY, LAST_DAY = (
    (pl.Series([f"{year}-{day}"]).str.to_date().to_physical()[0]) for year, day in ((FIRST_YEAR, "01-01"), (LAST_YEAR, "12-31"))
)  # fmt: skip
NO_DATE = f"is no date of the years {FIRST_YEAR} to {LAST_YEAR}"


@dataclass(frozen=True)
class Count:
    """What a column of times counts: units of `per_second` (0 for days), as a `moment`, a time of the day or a length."""

    kind: str
    unit: str
    zone: str | None = None


def read_parquet(path: Path, file_name: str, drop_columns: tuple[str, ...], limits: ReadLimits) -> RawTable:
    """Read Parquet; declared types stay, in their widest form (Int64, Float64, String); times are those of their zone's clocks.

    Raises:
        UserError: corrupt, empty, a bad header, over a limit, or a column of lists or structs that `drop_columns` does not name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, arrow_extensions_enabled=False) as file:
            schema = file.schema_arrow
            names = _names(schema.names, file_name)
            nested = [name for name, field in zip(names, schema, strict=True) if not _is_plain(field.type)]
            if left := [name for name in nested if name not in drop_columns]:
                raise UserError(
                    f"{file_name}: columns {quote_all(left)} hold lists, structs or bytes. Name them in drop_columns, "
                    "or write them as plain values."
                )
            unpacked = sum(file.metadata.row_group(at).total_byte_size for at in range(file.num_row_groups))
            limits.check_unpacked(unpacked, unpacked, file_name)
            limits.check_cells(file.metadata.num_rows, len(names), file_name)
            kept = [name for name, own in zip(schema.names, names, strict=True) if own not in nested]
        counts = {own: _count(schema.field(name).type) for name, own in zip(schema.names, names, strict=True)}
        texts = [
            field.name
            for field in schema
            if pa.types.is_string(_values(field.type)) or pa.types.is_large_string(_values(field.type))
        ]
        with pq.ParquetFile(path, arrow_extensions_enabled=False, read_dictionary=texts) as file:
            batches = file.iter_batches(BATCH_ROWS, columns=kept if nested else None)
            frame = _frame(_bounded(batches, file_name, limits), dict(zip(schema.names, names, strict=True)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{file_name}: not a readable Parquet file ({said[0][:200]}). Write and upload it again."
        ) from error
    rows = pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias(ROW)
    frame = frame.select(rows, pl.all())
    frame, cells = _with_times(
        frame, {name: count for name, count in counts.items() if count is not None and name in frame.columns}, file_name
    )
    whole = [own for name, own in zip(schema.names, names, strict=True) if _is_whole_decimal(schema.field(name).type)]
    digits = [frame[name] for name in whole if name in frame.columns]
    cleaned = clean_text(widen(frame.with_columns(whole_or_text(column) for column in digits)))
    # A row with nothing but a time that is none is not blank: it is rejected for it.
    there = pl.concat([without_blank_rows(cleaned).select(ROW), cells.select(ROW)])
    frame = cleaned.join(there, on=ROW, how="semi", maintain_order="left")
    refuse_without_rows(frame, no_faults(), file_name)
    return RawTable(frame, is_text=False, left_out=tuple(nested), cells=cells)


def _names(given: list[str], file_name: str) -> list[str]:
    if not given:
        raise UserError(f"{file_name}: the file has no columns. Upload a table with a header and rows.")
    names = check_names(given, file_name)
    if "" in names:
        raise UserError(f"{file_name}, row 1: column {len(names)} has no name. Give every column a name.")
    return names


def _values(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_plain(kind: "pa.DataType") -> bool:
    from pyarrow import types

    tests = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_string,
        types.is_large_string,
    )
    more = (types.is_string_view, types.is_date, types.is_timestamp, types.is_time, types.is_duration, types.is_null)
    return any(test(_values(kind)) for test in (*tests, *more))


def _is_whole_decimal(kind: "pa.DataType") -> bool:
    from pyarrow import types

    kind = _values(kind)
    return types.is_decimal(kind) and kind.scale == 0


def _count(kind: "pa.DataType") -> Count | None:
    from pyarrow import types

    kind = _values(kind)
    if types.is_date32(kind):
        return Count("day", "d")
    if types.is_date64(kind):
        return Count("moment", "ms")
    if types.is_timestamp(kind):
        return Count("moment", kind.unit, kind.tz)
    if types.is_time(kind):
        return Count("clock", kind.unit)
    return Count("length", kind.unit) if types.is_duration(kind) else None


def _bounded(batches: "Iterator[pa.RecordBatch]", file_name: str, limits: ReadLimits) -> "Iterator[pa.RecordBatch]":
    """The batches, once what their texts come to is within the limit: a dictionary stores a text once for all its cells.

    Times are bare counts, decimals floats, and those without decimals their digits.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    size = 0
    for batch in batches:
        columns: list[pa.Array] = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_dictionary(column.type):
                if pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type):
                    lengths: pa.Array = pc.call_function("binary_length", [column.dictionary]).cast(pa.int64())
                    size += pc.call_function("sum", [lengths.take(column.indices)]).as_py() or 0
                    limits.check_text(size, f"column {quote(name)}", file_name)
                column = column.dictionary_decode()
            column.validate(full=True)  # polars takes text for UTF-8 unseen, and panics later on what is none
            columns.append(_bare(column))
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _bare(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    kind = column.type
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.view(pa.int32())
    if (
        pa.types.is_date64(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_time64(kind)
        or pa.types.is_duration(kind)
    ):
        return column.view(pa.int64())
    if pa.types.is_decimal(kind):
        # Whole ones may be ids of more digits than a float holds.
        return column.cast(pa.string()) if kind.scale == 0 else column.cast(pa.float64())
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column


def _frame(batches: "Iterator[pa.RecordBatch]", names: dict[str, str]) -> pl.DataFrame:
    import pyarrow as pa

    found = list(batches)
    if not found:
        return pl.DataFrame(schema=dict.fromkeys(names.values(), pl.String))
    frame = pl.from_arrow(pa.Table.from_batches(found))
    assert isinstance(frame, pl.DataFrame)
    return frame.rename({name: names[name] for name in frame.columns})


def _with_times(frame: pl.DataFrame, counts: dict[str, Count], file_name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Counts as dates, times and seconds; and a fault for each that is no date."""
    faults = [no_faults()]
    times: dict[str, pl.Expr] = {}
    for name, count in counts.items():
        if not frame.schema[name].is_integer():  # no batch at all
            continue
        column, per_second = pl.col(name).cast(pl.Int64), UNITS.get(count.unit, 1)
        if count.kind == "length":
            times[name] = column / per_second
            continue
        day = 1 if count.kind == "day" else DAY_SECONDS * per_second
        edges = (0, day - 1) if count.kind == "clock" else (FIRST_DAY * day, (LAST_DAY + 1) * day - 1)
        # The least number is what programs write for no time at all, in whatever unit.
        within = column.is_between(max(edges[0], 1 - 2**63), min(edges[1], 2**63 - 1))
        bad = frame.select(~within).to_series().fill_null(False)
        if bad.any():
            said = frame.select(ROW, pl.format("{} {} since 1970", name, pl.lit(count.unit)).alias(name))
            faults.append(cell_faults(said, name, bad, NO_DATE))
        times[name] = _time(pl.when(within).then(column), count, per_second, name, file_name)
    return frame.with_columns(expression.alias(name) for name, expression in times.items()), pl.concat(faults)


def _time(column: pl.Expr, count: Count, per_second: int, name: str, file_name: str) -> pl.Expr:
    if count.kind == "day":
        return column.cast(pl.Int32).cast(pl.Date)
    if count.kind == "clock":
        return (column * (1_000_000_000 // per_second)).cast(pl.Time)
    moment = (column * (1_000_000 // per_second) if per_second <= 1_000_000 else column // 1_000).cast(
        pl.Datetime("us")
    )
    if count.zone is None or count.zone.upper() in ("UTC", "GMT", "Z", "ETC/UTC"):
        return moment
    if offset := OFFSET.fullmatch(count.zone):
        minutes = (int(offset[2]) * 60 + int(offset[3] or 0)) * (-1 if offset[1] == "-" else 1)
        return moment + pl.duration(minutes=minutes)
    if count.zone not in available_timezones():
        raise UserError(
            f"{file_name}, column {quote(name)}: the time zone {quote(count.zone)} is not known. Write the times without one."
        )
    return moment.dt.replace_time_zone("UTC").dt.convert_time_zone(count.zone).dt.replace_time_zone(None)

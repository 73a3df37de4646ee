"""The digest of tables, by which a piece of work is recognised: equal rows, equal digest, in every process.

What belongs here: turning each kind of column into bytes that depend on its values alone. What does not: what else a job's
name depends on (`resources.jobs`).

No two different tables give the same bytes: everything of variable length is preceded by its lengths, and a missing
value is in no column's values but in a bitmap before them. So neither what lies under a missing value nor the codes that
a process gives to categories nor how a column is cut into chunks counts.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import polars as pl


def content_digest(*tables: pl.DataFrame) -> str:
    """sha256 hex of the tables' column names, types and values, in their order.

    0.0 and -0.0 are one value, and so are all NaN; a missing value is none of them.

    Raises:
        TypeError: a column holds Python objects, which have no bytes of their own.
    """
    digest = hashlib.sha256()
    for table in tables:
        columns = [(column.name, _type(column.dtype)) for column in table]
        for piece in (_framed(json.dumps([table.height, columns]).encode()), *map(_pieces, table)):
            for part in piece:
                digest.update(part)
    return digest.hexdigest()


def _type(dtype: pl.DataType) -> str:
    # The words of polars for an Enum leave long lists of categories out.
    return f"Enum{dtype.categories.to_list()}" if isinstance(dtype, pl.Enum) else str(dtype)


def _pieces(column: pl.Series) -> Iterator[Any]:
    """What the column holds, as bytes and arrays whose total length follows from the type, the height and themselves."""
    import numpy as np

    missing = column.null_count()
    yield missing.to_bytes(8, "little")
    if missing:
        yield np.packbits(column.is_null().to_numpy())
        column = column.drop_nulls()
    yield from _values(column)


def _values(column: pl.Series) -> Iterator[Any]:
    import numpy as np

    dtype = column.dtype
    if dtype.is_float():
        yield _floats(column)
    elif dtype == pl.Boolean:
        yield np.packbits(column.to_numpy())
    elif dtype.is_temporal() or (dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128)):
        yield column.to_physical().to_numpy()
    elif dtype in (pl.String, pl.Binary):
        yield from _texts(column)
    elif isinstance(dtype, pl.List):
        lengths = column.list.len()
        yield lengths.to_numpy()
        yield from _pieces(column.filter(lengths > 0).explode())
    elif isinstance(dtype, pl.Array):
        yield from _values(column.arr.to_list())
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _pieces(column.struct.field(field.name))
    elif dtype == pl.Object:
        raise TypeError(f"column {column.name!r} holds Python objects.")
    elif dtype != pl.Null:
        # Categories by their names, and numbers of more than 64 bits by their digits.
        yield from _texts(column.cast(pl.String))


def _floats(column: pl.Series) -> Any:
    import numpy as np

    values = column.to_numpy()
    values = values + values.dtype.type(0)  # a copy, in which -0.0 has become 0.0
    values[np.isnan(values)] = np.nan
    return values


def _texts(column: pl.Series) -> Iterator[Any]:
    import numpy as np

    lengths = column.str.len_bytes() if column.dtype == pl.String else column.bin.size()
    yield lengths.cast(pl.UInt64).to_numpy()
    # The form with offsets holds nothing but the texts, one after the other; polars' own also holds what it had before.
    array: Any = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(array):
        offsets = np.frombuffer(array.buffers()[1], np.int64)
        first, last = offsets[array.offset], offsets[array.offset + len(array)]
        yield memoryview(array.buffers()[2] or b"")[first:last]


def _framed(data: bytes) -> tuple[bytes, bytes]:
    return len(data).to_bytes(8, "little"), data

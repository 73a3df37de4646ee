"""Fields of JSON rows: by their path, and as columns of a table."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

MISSING = object()
"""What a row that lacks a field has there; `None` is a field that is there and empty."""


def field_of(row: Any, path: str) -> Any:
    """The value at a path: `item.code` is `code` in `item`, unless a field has that very name."""
    if not isinstance(row, dict):
        return MISSING
    if path in row:
        return row[path]
    first, dot, rest = path.partition(".")
    return field_of(row[first], rest) if dot and first in row else MISSING


def digest(row: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that stand for a row's content."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=False).encode(errors="replace")).hexdigest()[:12]


def plain_fields(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields that hold no list or object in any row, in the order of their first appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    nested = {name for row in rows for name, value in row.items() if isinstance(value, dict | list)}
    return [name for name in names if name not in nested]


def as_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pl.DataFrame:
    """Rows as a table; a column is of whole numbers, numbers or yes and no if all its values are, else text.

    Whole numbers that neither Int64 nor, beside other numbers, a float holds are text, too.
    """
    return pl.DataFrame([_column(name, [field_of(row, path) for row in rows]) for name, path in columns.items()])


EXACT = 2**53
"""Up to here a float holds every whole number; beyond, two ids would become one."""


def _column(name: str, values: list[Any]) -> pl.Series:
    values = [None if value is MISSING else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds and kinds <= {int, float} and all(type(value) is not int or abs(value) <= EXACT for value in values):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    text = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pl.Series(name, text, dtype=pl.String)

"""The digest of a piece of work's rows: equal in every process where the rows are equal, another one where they are not."""

import math
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from optiflow.content_digest import content_digest

TYPED = {
    "boolean": pl.Series([True, None, False]),
    "integer": pl.Series([2**62 + 1, None, 2**62 + 3], dtype=pl.Int64),
    "wide": pl.Series([2**100, None, -1], dtype=pl.Int128),
    "float": pl.Series([0.5, None, math.nan]),
    "decimal": pl.Series([Decimal("1.10"), None, Decimal("-2.05")]),
    "text": pl.Series(["a", None, "ä b"]),
    "binary": pl.Series([b"\x00", None, b"\xff\x00"]),
    "categorical": pl.Series(["x", None, "y"], dtype=pl.Categorical),
    "enum": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x"])),
    "day": pl.Series([date(2024, 1, 1), None, date(2024, 1, 2)]),
    "instant": pl.Series([datetime(2024, 1, 1, tzinfo=UTC), None, datetime(2024, 1, 2, tzinfo=UTC)]),
    "clock": pl.Series([time(1, 2, 3), None, time(4)]),
    "length": pl.Series([timedelta(seconds=1), None, timedelta(0)]),
    "list": pl.Series([["a"], None, ["b", None]]),
    "array": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int16, 2)),
    "struct": pl.Series([{"p": True, "q": "a"}, None, {"p": None, "q": "b"}]),
    "null": pl.Series([None, None, None], dtype=pl.Null),
}
OTHER_PROCESS = """
import polars as pl
pl.Series({first!r}, dtype=pl.Categorical)  # gives the categories other codes than they have elsewhere
import sys; sys.path.insert(0, {tests!r})
from test_content_digest import TYPED
from optiflow.content_digest import content_digest
for name, column in TYPED.items():
    print(name, content_digest(pl.DataFrame({{name: column}})))
"""


def digests_elsewhere(seed: str, first: list[str]) -> list[str]:
    program = OTHER_PROCESS.format(first=first, tests=str(Path(__file__).parent))
    variables = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_two_processes_give_every_kind_of_column_the_same_digest() -> None:
    one, other = digests_elsewhere("1", ["y", "x"]), digests_elsewhere("2", ["z", "x", "w", "y"])
    assert [left for left, right in zip(one, other, strict=True) if left != right] == []
    assert len(one) == len(set(one)) == len(TYPED)


@pytest.mark.parametrize("name", [name for name in TYPED if name != "null"])
def test_every_value_of_every_kind_of_column_counts(name: str) -> None:
    column = TYPED[name]
    variants = [column, column[[0, 0, 2]], column[[0, 2, 1]], column[[2, 1, 0]], column[[0, 1]], column.clear()]
    tables = [pl.DataFrame({"c": variant}) for variant in variants]
    assert len({content_digest(table) for table in tables}) == len(tables)
    assert content_digest(tables[0]) == content_digest(pl.concat([tables[0][:1], tables[0][1:]], rechunk=False))


def test_what_looks_alike_as_bytes_is_told_apart() -> None:
    pairs = [
        ({"a": [2**53 + 1, None]}, {"a": [2**53, None]}),
        ({"a": [0, None]}, {"a": [0, 0]}),
        ({"a": [0.0, None]}, {"a": [0.0, math.nan]}),
        ({"ab": ["c"]}, {"a": ["bc"]}),
        ({"a": ["a", "b"]}, {"a": ["ab", ""]}),
        ({"a": ["", None]}, {"a": [None, ""]}),
        ({"a": [["x"], ["y", "z"]]}, {"a": [["x", "y"], ["z"]]}),
        ({"a": [[], [1]]}, {"a": [[1], []]}),
        ({"a": [[None]]}, {"a": [None]}),
        ({"a": [1], "b": [2]}, {"b": [1], "a": [2]}),
        ({"a": [{"p": 1, "q": None}]}, {"a": [{"p": None, "q": 1}]}),
    ]
    for left, right in pairs:
        assert content_digest(pl.DataFrame(left)) != content_digest(pl.DataFrame(right)), (left, right)
    bitmap, missing = (pl.DataFrame({"a": values}, schema={"a": pl.UInt8}) for values in ([128, 5], [None, 5]))
    assert content_digest(bitmap) != content_digest(missing)
    whole = pl.DataFrame({"a": [1, 2]})
    assert content_digest(whole[:1], whole[1:]) != content_digest(whole)
    assert content_digest(whole) != content_digest(whole.cast(pl.UInt64))
    assert content_digest(pl.DataFrame({"a": [-0.0]})) == content_digest(pl.DataFrame({"a": [0.0]}))


TYPES = [
    *(pl.Boolean, pl.Int8, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time),
    *(pl.Datetime("us"), pl.Duration("ms"), pl.Categorical, pl.Decimal(12, 2), pl.List(pl.String)),
]
tables = dataframes(max_cols=2, max_size=5, allow_null=True, allowed_dtypes=TYPES)


@settings(max_examples=50, deadline=None)
@given(tables, tables, st.data())
def test_the_digest_is_equal_exactly_where_the_tables_are(one: pl.DataFrame, other: pl.DataFrame, data) -> None:
    same = one.schema == other.schema and one.equals(other)
    assert (content_digest(one) == content_digest(other)) == same
    assert content_digest(one) == content_digest(pl.DataFrame(one.to_dict(as_series=False), schema=one.schema))
    if one.height > 1:
        order = data.draw(st.permutations(range(one.height)))
        shuffled = one[order]
        assert (content_digest(one) == content_digest(shuffled)) == one.equals(shuffled)

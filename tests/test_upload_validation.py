"""Roles, row-level validation, the row balance, and what refuses an upload whole."""

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.upload.reading import Upload, read_upload
from optiflow.upload.validation import schema_faults, table_schema

HEADER = "Order Date,Order Quantity,Unit Price,Channel"


def lines(rows: int = 60) -> list[str]:
    return [f"2018-05-{i % 28 + 1:02d},{i},{i}.5,{'Online' if i % 2 else 'Store'}" for i in range(rows)]


def read(folder: Path, rows: list[str], **options: Any) -> Upload:
    path = folder / "f"
    path.write_text("\n".join([HEADER, *rows]))
    defaults = {"target": "Order Quantity", "date_column": "Order Date"}
    return read_upload(path, "my orders.csv", DatasetOptions.model_validate(defaults | options))


def refusal(folder: Path, rows: list[str], **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(folder, rows, **options)
    assert "my orders.csv" in str(error.value)
    return str(error.value)


def test_a_missing_target_is_refused_with_the_numeric_columns_and_the_options_file(tmp_path: Path):
    message = refusal(tmp_path, lines(), target=None, date_column=None)
    for part in (
        *("no target is set", "'Order Quantity', 'Unit Price'", "my orders.csv.options.yaml"),
        *("\n  target: Order Quantity", "\n  date_column: Order Date"),
    ):
        assert part in message


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("target", "order quantity", ["target 'order quantity' is not a column", "Did you mean 'Order Quantity'?"]),
        ("date_column", "OrderDate", ["date_column 'OrderDate' is not a column", "Did you mean 'Order Date'?"]),
        ("target", "zzz", ["The columns are 'Order Date', 'Order Quantity', 'Unit Price', 'Channel'"]),
        ("drop_columns", ["Chanel"], ["drop_columns names 'Chanel'", "Did you mean 'Channel'?"]),
        ("keep_columns", ["Unit price"], ["keep_columns names 'Unit price'", "Did you mean 'Unit Price'?"]),
        ("drop_columns", ["Order Date"], ["'Order Date' is the date_column and in drop_columns"]),
    ],
)
def test_options_that_name_wrong_columns_are_refused(tmp_path: Path, option: str, value: Any, parts: list[str]):
    message = refusal(tmp_path, lines(), **{option: value})
    for part in parts:
        assert part in message


def test_fewer_than_twenty_usable_rows_are_refused(tmp_path: Path):
    assert read(tmp_path, lines(20)).accepted.height == 20
    assert "only 19 usable rows of 19; at least 20" in refusal(tmp_path, lines(19))
    rows = [*lines(20)[:-1], "2018-05-01,,1,Online"]
    assert "only 19 usable rows of 20" in refusal(tmp_path, rows)


def test_a_constant_target_is_refused(tmp_path: Path):
    message = refusal(tmp_path, [f"2018-05-{i % 28 + 1:02d},7,{i},x" for i in range(40)])
    assert "target 'Order Quantity' is 7 in every row" in message


def test_the_limit_of_rejected_rows_is_kept_to_the_row(tmp_path: Path):
    rows = lines()
    for i in (3, 5, 7):
        rows[i] = rows[i].replace(f",{i},", ",many,")
    assert read(tmp_path, rows).rejected["row"].to_list() == [5, 7, 9]
    rows[9] = f"{rows[9]},extra"
    assert "4 of 60 rows (6.7%)" in refusal(tmp_path, rows)
    assert read(tmp_path, rows, max_rejected_fraction=0.1).accepted.height == 56


def test_an_upload_over_the_limit_is_refused_with_the_first_three_faults(tmp_path: Path):
    rows = lines()
    for i in range(10, 30):
        rows[i] = rows[i].replace(f",{i},", f",many{i}{'x' * 90},")
    rows[2] = "2018-05-03"
    message = refusal(tmp_path, rows)
    for part in (
        *("21 of 60 rows (35.0%)", "max_rejected_fraction allows 5.0%", "end the file before the first such day"),
        "row 4: has 1 field, the header has 4 ('2018-05-03')",
        "row 12, column 'Order Quantity': is not a number ('many10xxx",
        "row 13, column 'Order Quantity'",
    ):
        assert part in message
    assert "row 14" not in message
    assert "x" * 41 not in message


def test_a_row_with_two_faults_has_two_lines_and_counts_once(tmp_path: Path):
    rows = lines()
    rows[8] = "soon,many,1.5,Online"
    upload = read(tmp_path, rows)
    assert upload.rejected.rows() == [
        (10, "Order Date", "is not a date like %Y-%m-%d", "soon"),
        (10, "Order Quantity", "is not a number", "many"),
    ]
    assert upload.accepted.height == 59
    assert upload.rejected.schema == {"row": pl.Int64, "column": pl.String, "reason": pl.String, "value": pl.String}


def test_the_table_schema_finds_nulls_and_infinities_in_their_rows():
    raw = pl.DataFrame({"row": [2, 5, 9], "d": ["1", "", "3"], "y": ["7", "8", "1e999"]})
    typed = pl.DataFrame({"row": [2, 5, 9], "d": [1, None, 3], "y": [7.0, 8.0, float("inf")]})
    faults = schema_faults(typed, raw, table_schema(["d", "y"], ["y"]), "f.csv").sort("row")
    assert faults.rows() == [(5, "d", "is empty", ""), (9, "y", "is not a finite number", "1e999")]


def corrupt(row: str, kind: int, rng: random.Random) -> str:
    cells = row.split(",")
    if kind == 0:
        return ",".join(cells[: rng.randint(1, 3)])
    if kind == 1:
        return row + ",extra"
    if kind == 2:
        cells[0] = rng.choice(["", "soon", "2018-13-45", "31/12/2018"])
    if kind == 3:
        cells[1] = rng.choice(["", "NA", "many", "1.2.3", "inf"])
    if kind == 4:
        cells[2] = rng.choice(["?", "unknown", "#REF!"])
    return ",".join(cells)


@settings(max_examples=50, deadline=None)
@given(
    faults=st.dictionaries(st.integers(0, 199), st.integers(0, 4), max_size=19),
    seed=st.integers(0, 1000),
    blank=st.booleans(),
)
def test_accepted_and_rejected_rows_balance(
    tmp_path_factory: pytest.TempPathFactory, faults: dict[int, int], seed: int, blank: bool
):
    rng = random.Random(seed)
    rows = [corrupt(row, faults[i], rng) if i in faults else row for i, row in enumerate(lines(200))]
    gap = 1 if blank else 0
    upload = read(tmp_path_factory.getbasetemp(), [""] * gap + rows, max_rejected_fraction=0.1)
    bad = {i + 2 + gap for i in faults}
    assert set(upload.rejected["row"]) == bad
    assert upload.accepted["row"].to_list() == [i + 2 + gap for i in range(200) if i not in faults]
    assert upload.accepted.height + upload.rejected["row"].n_unique() == upload.rows_in == 200
    assert upload.accepted["Order Quantity"].to_list() == [i for i in range(200) if i not in faults]
    assert upload.accepted["Unit Price"].dtype == pl.Float64

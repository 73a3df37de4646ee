"""Which columns become features: every recogniser with what it must find and what it must leave alone."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from optiflow.pipelines.orders.features import SAMPLE_ROWS, choose_features
from optiflow.split import ROW

ROWS = 200
NUMBERS = range(ROWS)


def reasons(values: list[Any] | pl.Series, name: str, **arguments: Any) -> dict[str, str]:
    """Why the one column in question is left out; empty if it is a feature."""
    frame = pl.DataFrame({ROW: list(range(len(values))), name: values})
    frame = frame.with_columns(day=pl.lit(date(2024, 1, 1)), y=pl.lit(1.0))
    chosen = {"drop": (), "keep": ()} | arguments
    features, left_out = choose_features(frame, target="y", date_column="day", reserved=(ROW,), **chosen)
    assert features + [column.column for column in left_out] == [name]
    return {column.column: column.reason for column in left_out}


def spread(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in NUMBERS]


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("OrderNumber", [f"SO - {i:06d}" for i in NUMBERS], "an identifier: 100%"),
        ("Order ID", list(NUMBERS), "an identifier: 100%"),
        ("ORDER_ID", list(NUMBERS), "an identifier"),
        ("id", list(NUMBERS), "an identifier"),
        ("Row No", list(NUMBERS), "an identifier"),
        ("basket", [f"b{i}" for i in NUMBERS], "an identifier"),
        ("Postal Code", [f"{i // 2:05d}" for i in NUMBERS], "an identifier: 50%"),
        ("Customer Name", spread("Ann Lee", "Bo Yi", "Cy Young"), "names of persons"),
        ("first_name", spread("Ann", "Bo"), "names of persons"),
        ("Client", spread("Ann Lee", "Bo Yi"), "names of persons"),
        ("contact", [f"p{i % 9}@shop{i % 5}.example" for i in NUMBERS], "e-mail addresses"),
        ("Phone", [f"+1 (555) 010-{i:04d}" for i in NUMBERS], "phone numbers"),
        ("reach", [f"555-010-{i % 20:04d}" for i in NUMBERS], "phone numbers"),
        ("Mobile", spread("555 010 1234", "0555-010-9876", "unknown"), "phone numbers"),
        ("remark", [f"please leave parcel number {i % 150} at the door" for i in NUMBERS], "free text: 8 words"),
        ("Ship Date", [date(2024, 1, 1) + timedelta(days=i % 9) for i in NUMBERS], "a second date"),
        ("currency", ["USD"] * ROWS, "the same value in every training row"),
        ("empty", pl.Series([None] * ROWS, dtype=pl.Float64), "empty in every training row"),
    ],
)
def test_a_column_that_cannot_serve_is_left_out_with_its_reason(name: str, values: Any, reason: str) -> None:
    assert reasons(values, name)[name].startswith(reason)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Product Name", [f"Desk {i % 40}" for i in NUMBERS]),
        ("Customer Segment", spread("Home", "Office")),
        ("Customer Country", spread("Peru", "Chad")),
        ("Order Quantity", [i + 1 for i in NUMBERS]),
        ("Units", list(NUMBERS)),
        ("Number of items", list(NUMBERS)),
        ("Paid", list(NUMBERS)),
        ("_StoreID", [i % 60 for i in NUMBERS]),
        ("Customer ID", [i % 60 for i in NUMBERS]),
        ("Discount", [i / 7 for i in NUMBERS]),
        ("Price Code", [i / 7 for i in NUMBERS]),
        ("Barcode", spread("4006381333931", "4006381333948") + ["short"] * 40),
        ("Warehouse", spread("WARE-UHY1004", "WARE-NMK1003")),
        ("Category", spread("a tool for work in the garden", "a toy for small or big children")),
        ("express", spread(True, False)),
        ("gift", [None if i % 3 else "yes" for i in NUMBERS]),
    ],
)
def test_a_column_that_only_looks_alike_stays_a_feature(name: str, values: Any) -> None:
    assert reasons(values, name) == {}


def test_the_user_has_the_last_word_but_for_columns_without_information() -> None:
    ids = [f"SO - {i}" for i in NUMBERS]
    assert reasons(ids, "OrderNumber", keep=("OrderNumber",)) == {}
    assert reasons([1, 2] * 9, "Units", drop=("Units",)) == {"Units": "left out by the option drop_columns"}
    assert reasons(["USD"] * 9, "currency", keep=("currency",)) == {"currency": "the same value in every training row"}
    assert "drop_columns" in reasons(ids, "OrderNumber", keep=("OrderNumber",), drop=("OrderNumber",))["OrderNumber"]


def test_target_date_and_our_own_columns_are_neither_features_nor_listed() -> None:
    frame = pl.DataFrame({ROW: [1, 2], "d": [date(2024, 1, 1)] * 2, "y": [1, 2], "x": [1, 2], "DGS10": [1.0, 2.0]})
    chosen = choose_features(frame, target="y", date_column="d", reserved=(ROW,), drop=(), keep=())
    assert chosen == (["x", "DGS10"], [])


def test_long_columns_are_judged_by_the_same_sample_every_time() -> None:
    values = [f"p{i}@shop.example" if i % 2 else "none" for i in range(SAMPLE_ROWS * 3)]
    assert reasons(values, "contact") == reasons(values, "contact")

"""What the report of `orders` says of the held-out orders by name."""

import polars as pl

from optiflow.pipelines.orders.furthest_off import furthest_off, told_orders, what_to_do
from optiflow.report.model import LeftOut

LEFT_OUT = [
    LeftOut("order_id", "an identifier: 100% of its values are distinct"),
    LeftOut("mail", "e-mail addresses: personal data, and no help for orders of new customers"),
    LeftOut("note", "free text: 9 words on average and 80% of its values are distinct"),
]
HELD = pl.DataFrame(
    {
        "row": [7, 8, 9],
        "date": ["2020-01-01", "2020-01-02", "2020-01-03"],
        "predicted": [10.0, 20.0, 30.0],
        "actual": [12.0, 60.0, None],
        "order_id": ["A-7", "A-8", "A-9"],
        "order_date": ["2020-01-01", "2020-01-02", "2020-01-03"],
        "product": ["tent", "stove", "tent"],
        "price": [99.5, 20.0, 99.5],
        "mail": ["a@example.com", "b@example.com", "c@example.com"],
        "note": ["x", "y", "z"],
        "UNRATE": [4.0, 4.0, 4.0],
    }
)


def told() -> pl.DataFrame:
    return told_orders(HELD, "quantity", LEFT_OUT, ("UNRATE",))


def test_the_download_names_each_order_and_leaves_out_what_tells_of_persons():
    assert told().columns == [
        "row", "order_id", "order_date", "product", "price", "note", "predicted", "actual", "missed_by",
    ]  # fmt: skip
    assert told()["missed_by"].to_list() == [-2.0, -40.0, None]


def test_the_orders_that_were_furthest_off_come_first_by_their_ids():
    table = furthest_off(told(), "order_date", LEFT_OUT, "pieces")
    assert table.header[:4] == ("Row", "order_id", "order_date", "product")
    assert table.header[-3:] == ("Predicted (pieces)", "Actual (pieces)", "Missed by")
    assert [row[1] for row in table.rows] == ["A-8", "A-7"]
    assert table.rows[0][-3:] == (20.0, 60.0, -40.0)


def test_what_to_do_begins_with_the_order_that_was_missed_most_and_says_by_how_much_a_plan_is_off():
    said = list(what_to_do(told(), furthest_off(told(), "order_date", LEFT_OUT, ""), "quantity"))
    assert said[0].startswith("Look at what the model missed most: order_id A-8 and order_id A-7.")
    assert "0 were predicted too high and 2 too low" in said[1]
    assert "58.3 % too low (30 instead of 72)" in said[2]

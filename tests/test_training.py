"""Channels of a training job, and the digest by which a piece of work is recognised."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from optiflow.content_digest import content_digest
from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines.orders.feature_encoding import FeatureEncoder
from optiflow.pipelines.orders.training import VALIDATION_FRACTION, mean_contributions, prepare_training
from optiflow.split import ROW


def orders(rows: int = 300) -> pl.DataFrame:
    draw = np.random.default_rng(1)
    return pl.DataFrame(
        {
            ROW: range(2, rows + 2),
            "day": [date(2024, 1, 1) + timedelta(days=i // 3) for i in range(rows)],
            "OrderNumber": [f"SO-{i}" for i in range(rows)],
            "Channel": draw.choice(["web", "shop"], rows),
            "item": [f"i{i}" for i in draw.integers(0, 40, rows)],
            "price": draw.normal(10, 2, rows),
            "quantity": draw.integers(1, 9, rows),
        }
    )


def prepare(rows: pl.DataFrame, **options: object):
    return prepare_training(rows, target="quantity", date_column="day", options=merge_options(options))


def test_channels_have_the_target_first_and_the_encoders_columns_after_it() -> None:
    rows = orders()
    data = prepare(rows)
    for channel in (data.train, data.validation):
        assert channel.columns == ["target", *data.encoder.names]
        assert set(channel.dtypes) == {pl.Float32}
    assert data.validation.height == rows.height * VALIDATION_FRACTION
    assert data.train["target"].to_list() == rows["quantity"][: data.train.height].to_list()
    assert [(column.column, column.reason[:13]) for column in data.left_out] == [("OrderNumber", "an identifier")]


def test_rows_that_early_stopping_watches_teach_the_encoder_nothing() -> None:
    rows = orders()
    watched = pl.col(ROW) > rows.height * (1 - VALIDATION_FRACTION) + 1
    new = rows.with_columns(
        item=pl.when(watched).then(pl.lit("never seen")).otherwise("item"),
        quantity=pl.when(watched).then(10**6).otherwise("quantity"),
        Channel=pl.when(watched).then(pl.lit("fax")).otherwise("Channel"),
    )
    assert prepare(new).encoder == prepare(rows).encoder
    assert prepare(new).train.equals(prepare(rows).train)
    assert prepare(new).validation["target"].min() == 10**6


def test_a_random_split_is_watched_at_random_too() -> None:
    rows = orders()
    drawn = prepare(rows, split={"strategy": "random"}).validation["day: days since start"]
    newest = prepare(rows).validation["day: days since start"]
    assert drawn.min() < 50 < newest.min()  # pyright: ignore[reportOperatorIssue]


def test_a_feature_may_be_called_target() -> None:
    data = prepare(orders().rename({"price": "target"}))
    assert data.train.columns[1:] == data.encoder.names
    assert data.train[data.train.columns[0]].to_list() == orders()["quantity"][: data.train.height].to_list()
    assert "target" in data.encoder.names


def test_options_choose_columns() -> None:
    data = prepare(orders(), drop_columns=["price", "item"], keep_columns=["OrderNumber"])
    assert "price" not in data.encoder.names
    assert "OrderNumber: mean quantity" in data.encoder.names


def test_the_digest_changes_with_every_value_name_shape_and_missing_value() -> None:
    table = pl.DataFrame({"a": [1.0, 2.0, None], "b": [1.0, 1.0, 1.0]}, schema={"a": pl.Float32, "b": pl.Float32})
    variants = [
        table,
        table.rename({"a": "c"}),
        table.with_columns(a=pl.Series([1.0, 2.0, 0.0], dtype=pl.Float32)),
        table.with_columns(a=pl.Series([1.0, None, 2.0], dtype=pl.Float32)),
        table.select("b", "a"),
        table.head(2),
        table.reverse(),
    ]
    digests = [content_digest(variant) for variant in variants] + [content_digest(table, table)]
    assert len(set(digests)) == len(digests)
    assert content_digest(table) == content_digest(table.clone().rechunk())
    assert content_digest(pl.concat([table.head(1), table.tail(2)], rechunk=False)) == content_digest(table)


def test_equal_rows_give_equal_channels_however_they_are_stored() -> None:
    rows = orders()
    one, other = prepare(rows), prepare(rows.sample(fraction=1.0, shuffle=True, seed=3))
    assert content_digest(one.train, one.validation) == content_digest(other.train, other.validation)


def test_contributions_tell_the_feature_that_moves_the_target_from_the_others(tmp_path) -> None:
    import xgboost

    rows = orders().with_columns(quantity=(pl.col("price") * 3).round())
    data = prepare(rows)
    matrix = xgboost.DMatrix(data.train.drop("target").to_numpy(), label=data.train["target"].to_numpy())
    xgboost.train({"max_depth": 3, "nthread": 1}, matrix, 30).save_model(tmp_path / "model.ubj")
    shares = mean_contributions(tmp_path / "model.ubj", data.encoder, rows)
    assert list(shares) == data.encoder.names
    assert max(shares, key=lambda name: shares[name]) == "price"
    assert min(shares.values()) >= 0


def test_without_any_column_the_calendar_still_teaches() -> None:
    data = prepare(orders().select(ROW, "day", "quantity"))
    assert isinstance(data.encoder, FeatureEncoder)
    assert all(name.startswith("day: ") for name in data.encoder.names)


def test_one_row_cannot_be_trained_on() -> None:
    with pytest.raises(UserError, match="1 rows cannot be split"):
        prepare(orders(1))

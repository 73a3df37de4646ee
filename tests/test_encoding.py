"""The encoder learns from training rows alone, and no row learns its own target."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.pipelines.orders.feature_encoding import FOLDS, MAX_ONE_HOT, SMOOTHING_ROWS, FeatureEncoder
from optiflow.split import ROW

FEATURES = ["region", "StoreID", "item", "price"]
TARGET = "Sold No"  # an integer that looks like a code, which the target must not be taken for


def table(rows: int = 200, items: int = 60, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            ROW: draw.permutation(rows) + 2,
            "day": [date(2023, 12, 30) + timedelta(days=int(d)) for d in draw.integers(0, 90, rows)],
            "region": [None if i % 17 == 0 else f"r{draw.integers(4)}" for i in range(rows)],
            "StoreID": draw.integers(10, 15, rows),
            "item": [None if i % 19 == 0 else f"i{i % items}" for i in range(rows)],
            "price": [None if i % 23 == 0 else float(draw.normal(10, 3)) for i in range(rows)],
            TARGET: draw.integers(0, 100, rows),
        }
    )


def fit(train: pl.DataFrame) -> FeatureEncoder:
    return FeatureEncoder.fit(train, target=TARGET, date_column="day", features=FEATURES)


MEAN = f"item: mean {TARGET}"


def test_the_encoded_columns_are_the_names_in_their_order_all_float32() -> None:
    train = table()
    encoder = fit(train)
    assert encoder.names == [
        *("day: month", "day: day of month", "day: weekday", "day: days since start", "price"),
        *(f"region = r{i}" for i in range(4)),
        *(f"StoreID = {i}" for i in range(10, 15)),
        MEAN,
    ]
    for encoded in (encoder.transform(train), encoder.transform_train(train)):
        assert encoded.columns == encoder.names
        assert set(encoded.dtypes) == {pl.Float32}
        assert encoded.height == train.height


def test_calendar_parts_are_those_of_the_date() -> None:
    train = table()
    first = fit(train).transform(train).row(0, named=True)
    day, start = train["day"][0], train["day"].min()
    expected = (day.month, day.day, day.isoweekday(), (day - start).days)
    assert tuple(first[f"day: {part}"] for part in ("month", "day of month", "weekday", "days since start")) == expected
    assert "day: hour" not in first
    timed = train.with_columns(pl.col("day").dt.combine(pl.time(17, 30)))
    assert fit(timed).transform(timed)["day: hour"].unique().to_list() == [17]


def test_a_missing_value_stays_missing_or_is_no_category() -> None:
    train = table()
    for encoded in (fit(train).transform(train), fit(train).transform_train(train)):
        assert encoded["price"].is_null().equals(train["price"].is_null())
        assert encoded[MEAN].is_null().equals(train["item"].is_null())
        ones = encoded.select(pl.sum_horizontal(pl.col("^region = .*$"))).to_series()
        assert (ones == 0).equals(train["region"].is_null())


def test_an_unseen_category_is_none_or_the_overall_mean_and_is_counted() -> None:
    train = table()
    encoder = fit(train)
    new = train.head(3).with_columns(region=pl.lit("r9"), StoreID=pl.lit(99), item=pl.Series(["i1", "new", None]))
    encoded = encoder.transform(new)
    assert encoded.select(pl.max_horizontal(pl.col("^region = .*$", "^StoreID = .*$"))).to_series().to_list() == [0] * 3
    assert encoded[MEAN].to_list()[1:] == [pytest.approx(train[TARGET].mean()), None]
    assert encoder.unseen(new) == {"region": 3, "StoreID": 3, "item": 1}
    assert encoder.unseen(train) == {}


def test_a_level_mean_is_pulled_towards_the_overall_mean() -> None:
    train = table()
    overall, own = train[TARGET].mean(), train.filter(pl.col("item") == "i1")[TARGET]
    assert isinstance(overall, float)
    expected = (float(own.sum()) + SMOOTHING_ROWS * overall) / (own.len() + SMOOTHING_ROWS)
    encoded = fit(train).transform(train).filter(train["item"] == "i1")[MEAN]
    assert encoded.to_list() == pytest.approx([expected] * own.len())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 199), st.integers(-(10**6), 10**6), st.sampled_from([40, 60, 190]))
def test_no_training_row_sees_its_own_target(position: int, value: int, items: int) -> None:
    train = table(items=items)
    changed = train.with_row_index().with_columns(
        pl.when(pl.col("index") == position).then(pl.lit(value)).otherwise(pl.col(TARGET)).alias(TARGET)
    )
    before, after = (fit(rows).transform_train(rows) for rows in (train, changed.drop("index")))
    assert after.row(position) == before.row(position)


def test_out_of_fold_means_differ_from_those_of_the_whole_and_come_from_the_other_folds() -> None:
    train = table(rows=400, items=40).with_columns(pl.col("item").fill_null("i0"))
    encoder = fit(train)
    inside, outside = encoder.transform(train)[MEAN], encoder.transform_train(train)[MEAN]
    assert (inside != outside).mean() == pytest.approx(1.0, abs=0.05)
    row = train.row(7, named=True)
    others = train.filter(pl.col(ROW).rank("ordinal") % FOLDS != (train[ROW] <= row[ROW]).sum() % FOLDS)
    own, overall = others.filter(pl.col("item") == row["item"])[TARGET], others[TARGET].mean()
    assert isinstance(overall, float)
    assert outside[7] == pytest.approx((float(own.sum()) + SMOOTHING_ROWS * overall) / (own.len() + SMOOTHING_ROWS))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_how_the_table_is_stored_changes_no_encoding(random) -> None:
    train = table()
    order = list(range(train.height))
    random.shuffle(order)
    shuffled = train[order]
    assert fit(shuffled).names == fit(train).names
    for one, other in zip(
        fit(shuffled).transform_train(shuffled), fit(train).transform_train(train)[order], strict=True
    ):
        assert one.to_list() == pytest.approx(other.to_list())


def test_the_number_of_categories_decides_between_one_hot_and_mean() -> None:
    for count in (MAX_ONE_HOT, MAX_ONE_HOT + 1):
        encoder = fit(
            table(rows=400, items=count).with_columns(item=pl.int_range(pl.len()) % count).cast({"item": str})
        )
        assert (MEAN in encoder.names) is (count > MAX_ONE_HOT)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=50, unique=True))
def test_json_keeps_the_encoder_as_it_is(levels: list[str]) -> None:
    train = table(rows=len(levels) * 2).with_columns(item=pl.Series(levels * 2))
    encoder = fit(train)
    again = FeatureEncoder.from_json(encoder.to_json())
    assert again == encoder
    assert again.transform(train).equals(encoder.transform(train))


def test_whole_numbers_with_few_values_are_numbers_and_have_their_mean_beside_them_row_numbers_and_amounts_not() -> (
    None
):
    train = table().with_columns(
        shop=pl.int_range(pl.len()) % 8 + 1, line=pl.int_range(pl.len()), rate=pl.lit(3) + pl.int_range(pl.len()) % 4
    )
    encoder = FeatureEncoder.fit(
        train, target=TARGET, date_column="day", features=["shop", "line", "rate"], amounts=("rate",)
    )
    assert encoder.names[4:] == ["shop", "line", "rate", f"shop: mean {TARGET}"]
    encoded = encoder.transform(train)
    assert encoded["shop"].to_list() == train["shop"].to_list()
    own, overall = train.filter(pl.col("shop") == 3)[TARGET], train[TARGET].mean()
    assert isinstance(overall, float)
    expected = (float(own.sum()) + SMOOTHING_ROWS * overall) / (own.len() + SMOOTHING_ROWS)
    assert encoded.filter(train["shop"] == 3)[f"shop: mean {TARGET}"][0] == pytest.approx(expected)
    assert encoder.transform(train.with_columns(pl.col("shop").cast(pl.Float64))).equals(encoded)
    assert FeatureEncoder.from_json(encoder.to_json()) == encoder


def test_a_number_that_was_never_seen_among_whole_ones_has_the_mean_of_all_and_not_that_of_its_whole_part() -> None:
    train = table().with_columns(shop=pl.int_range(pl.len()).cast(pl.Float64) % 8 + 1)
    encoder = FeatureEncoder.fit(train, target=TARGET, date_column="day", features=["shop"])
    new = train.head(4).with_columns(shop=pl.Series([7.5, 7.0, None, float("nan")]))
    encoded = encoder.transform(new)[f"shop: mean {TARGET}"]
    assert encoded[0] == pytest.approx(train[TARGET].mean())
    assert encoded[1] == encoder.transform(train.filter(pl.col("shop") == 7))[f"shop: mean {TARGET}"][0]
    assert encoded[2:].null_count() == 2

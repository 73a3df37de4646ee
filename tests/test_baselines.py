"""The naive predictors: what they learn, from which rows, and what they do with what they never saw."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.baselines import GroupMeanBaseline, MeanBaseline, fit_baselines
from optiflow.errors import UserError
from optiflow.metrics import regression_metrics


def orders(rows: int = 600, seed: int = 3) -> pl.DataFrame:
    """Quantity depends on product strongly and on store weakly; `colour` is noise, `order_id` a label."""
    rng = np.random.default_rng(seed)
    product, store, colour = rng.integers(0, 6, rows), rng.integers(0, 4, rows), rng.integers(0, 5, rows)
    return pl.DataFrame(
        {
            "order_id": np.arange(rows),
            "day": [date(2020, 1, 1) + timedelta(days=int(i // 3)) for i in range(rows)],
            "product": [f"p{p}" for p in product],
            "store": [None if s == 0 else f"s{s}" for s in store],
            "colour": [f"c{c}" for c in colour],
            "quantity": 10.0 * product + rng.normal(0, 1, rows),
        }
    )


def test_the_mean_baseline_predicts_the_training_mean_for_every_row():
    baseline = MeanBaseline.fit(pl.DataFrame({"quantity": [1, 2, None, 6]}), "quantity")
    assert baseline.name == "mean of quantity"
    assert baseline.predict(pl.DataFrame({"x": [0, 0]})).to_list() == [3.0, 3.0]


def test_the_group_that_predicts_best_is_chosen_and_labels_and_noise_are_not():
    baseline = GroupMeanBaseline.fit(
        orders(), "quantity", ["order_id", "colour", "product", "store"], date_column="day"
    )
    assert baseline is not None
    assert baseline.name == "mean of quantity per product"
    means = orders().group_by("product").agg(pl.col("quantity").mean())
    for product, mean in means.iter_rows():
        assert baseline.predict(pl.DataFrame({"product": [product]})).item() == pytest.approx(mean)


def test_a_pair_is_chosen_when_only_both_columns_together_tell():
    frame = orders().with_columns(
        quantity=pl.when((pl.col("product") < "p3") == (pl.col("colour") < "c2")).then(100.0).otherwise(0.0)
        + pl.col("quantity") / 100
    )
    baseline = GroupMeanBaseline.fit(frame, "quantity", ["store", "colour", "product"])
    assert baseline is not None
    assert baseline.name == "mean of quantity per colour and product"


def test_unseen_groups_get_the_mean_and_missing_keys_are_a_group_of_their_own():
    train = pl.DataFrame({"store": ["a"] * 4 + [None] * 4, "quantity": [1.0] * 4 + [9.0] * 4})
    baseline = GroupMeanBaseline.fit(train, "quantity", ["store"])
    assert baseline is not None
    assert baseline.predict(pl.DataFrame({"store": ["b", None, "a"]})).to_list() == [5.0, 9.0, 1.0]


def test_the_choice_reads_the_last_training_rows_when_there_is_a_date():
    # `old` tells the early quantities exactly and nothing of the late ones; `new` tells a little of all.
    rng = np.random.default_rng(5)
    n = 400
    late = np.arange(n) >= 320
    old, new = rng.integers(0, 4, n), rng.integers(0, 4, n)
    frame = pl.DataFrame(
        {
            "day": [date(2020, 1, 1) + timedelta(days=i) for i in range(n)],
            "old": old,
            "new": new,
            "quantity": np.where(late, 0.0, 9.0 * old) + 3.0 * new,
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)
    by_date = GroupMeanBaseline.fit(frame, "quantity", ["old", "new"], date_column="day")
    drawn = GroupMeanBaseline.fit(frame, "quantity", ["old", "new"])
    assert by_date is not None
    assert drawn is not None
    assert by_date.groups == ("new",)
    assert "old" in drawn.groups


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.floats(-1e6, 1e6))
def test_predictions_do_not_depend_on_the_test_target(seed, shift):
    frame = orders(200, seed)
    train, test = frame.head(150), frame.tail(50)
    for baseline in fit_baselines(train, "quantity", ["product", "store", "colour"], date_column="day"):
        straight = baseline.predict(test)
        assert straight.equals(baseline.predict(test.with_columns(pl.col("quantity") + shift)))
        assert straight.equals(baseline.predict(test.drop("quantity")))
        assert straight.dtype == pl.Float64
        assert straight.null_count() == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16))
def test_group_means_never_fit_the_training_rows_worse_than_the_mean(seed):
    frame = orders(120, seed)
    mean, group = fit_baselines(frame, "quantity", ["colour", "store"])
    errors = [regression_metrics(frame["quantity"], b.predict(frame))["mse"] for b in (mean, group)]
    assert errors[1] <= errors[0] * (1 + 1e-9)


def test_the_same_rows_and_seed_choose_the_same_group_in_any_row_order_of_a_dated_table():
    frame = orders()
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=9)
    one, other = (
        GroupMeanBaseline.fit(f, "quantity", ["product", "store"], date_column="day") for f in (frame, shuffled)
    )
    assert one is not None
    assert other is not None
    assert one.groups == other.groups == ("product",)


@pytest.mark.parametrize(
    "candidates",
    [[], ["order_id"], ["quantity"], ["constant"], ["nested"]],
    ids=["none", "a label", "the target", "one value", "a list column"],
)
def test_without_a_group_column_only_the_mean_is_left(candidates):
    frame = orders(60).with_columns(constant=pl.lit("x"), nested=pl.concat_list("product", "colour"))
    assert GroupMeanBaseline.fit(frame, "quantity", candidates) is None
    assert [b.name for b in fit_baselines(frame, "quantity", candidates)] == ["mean of quantity"]


def test_a_constant_target_is_predicted_exactly():
    frame = orders(60).with_columns(quantity=pl.lit(7))
    for baseline in fit_baselines(frame, "quantity", ["product"]):
        assert baseline.predict(frame).to_list() == [7.0] * 60


def test_a_training_set_without_any_target_is_an_error_that_names_the_column():
    frame = pl.DataFrame({"product": ["a", "b"], "quantity": [None, float("nan")]})
    with pytest.raises(UserError, match="'quantity'"):
        fit_baselines(frame, "quantity", ["product"])


def test_group_keys_of_another_type_or_an_awkward_name_still_match():
    train = pl.DataFrame({"predicted": [1, 1, 1, 2, 2, 2], "quantity": [1, 1, 1, 5, 5, 5]})
    baseline = GroupMeanBaseline.fit(train, "quantity", ["predicted"])
    assert baseline is not None
    test = pl.DataFrame({"predicted": [2, 1]}, schema={"predicted": pl.Int16})
    assert baseline.predict(test).to_list() == [5.0, 1.0]


def test_orders_baseline_counts_stores_that_are_numbers():
    from benchmarks.verdicts.run import report_of
    from optiflow.options import DatasetOptions
    from optiflow.pipelines.orders.pipeline import ORDERS

    rng = np.random.default_rng(2)
    store = np.tile(np.arange(1, 13), 60)
    table = pl.DataFrame(
        {
            "Store": store,
            "Date": [date(2020, 1, 1) + timedelta(days=int(i // 12)) for i in range(720)],
            "Sold": rng.permutation(12)[store - 1] * 100.0 + rng.normal(0, 5, 720),
        }
    )
    report = report_of(ORDERS, table, DatasetOptions(target="Sold", date_column="Date"), nthread=1, num_round=60)
    assert report.best_baseline == "mean of Sold per Store"
    assert report.outcome != "better"


@pytest.mark.parametrize(
    ("levels", "rows_each"),
    [((0, 1), 360), ((1, 2), 360), (range(100, 160), 12)],
    ids=["flag", "two stores", "few rows"],
)
def test_orders_baseline_counts_whole_numbers_of_two_values_and_of_few_rows_each(levels: Sequence[int], rows_each: int):
    from benchmarks.verdicts.run import report_of
    from optiflow.options import DatasetOptions
    from optiflow.pipelines.orders.pipeline import ORDERS

    rng = np.random.default_rng(3)
    count = len(levels) * rows_each
    level = rng.permutation(np.repeat(levels, rows_each))
    usual = dict(zip(levels, rng.permutation(len(levels)) * 40.0 + 10, strict=True))
    table = pl.DataFrame(
        {
            "group": level,
            "Date": [date(2020, 1, 1) + timedelta(days=int(i // 12)) for i in range(count)],
            "Sold": [usual[int(value)] for value in level] + rng.normal(0, 5, count),
        }
    )
    report = report_of(ORDERS, table, DatasetOptions(target="Sold", date_column="Date"), nthread=1, num_round=60)
    assert report.best_baseline == "mean of Sold per group"
    assert report.outcome != "better"

"""Hold-out splits are partitions of the rows, and depend on nothing but the rows and the options."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import SplitOptions
from optiflow.split import ROW, split_rows

DAY = "day"
days = st.lists(st.integers(0, 30), min_size=2, max_size=80)
options = st.builds(
    SplitOptions,
    strategy=st.sampled_from(["time", "random"]),
    test_fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**32),
)


def table(offsets: list[int]) -> pl.DataFrame:
    dates = [date(2024, 1, 1) + timedelta(days=offset) for offset in offsets]
    return pl.DataFrame({ROW: pl.int_range(2, len(dates) + 2, eager=True), DAY: dates, "x": offsets})


@settings(max_examples=200, deadline=None)
@given(days, options, st.randoms(use_true_random=False))
def test_every_row_is_in_one_set_whatever_the_order_of_the_table(offsets, chosen, random) -> None:
    rows = table(offsets)
    train, test = split_rows(rows, DAY, chosen)
    assert pl.concat([train, test]).sort(ROW).equals(rows)
    order = list(range(rows.height))
    random.shuffle(order)
    train_again, test_again = split_rows(rows[order], DAY, chosen)
    assert train_again.equals(train)
    assert test_again.equals(test)
    assert train.height >= 1
    assert test.height >= 1
    wanted = min(max(rows.height * chosen.test_fraction, 1), rows.height - 1)
    assert abs(test.height - wanted) < 1.000001


@settings(max_examples=100, deadline=None)
@given(days, st.floats(0.001, 0.999))
def test_a_split_by_time_holds_out_the_newest_rows(offsets, fraction) -> None:
    train, test = split_rows(table(offsets), DAY, SplitOptions(test_fraction=fraction))
    newest_train, oldest_test = train.sort(DAY, ROW).row(-1), test.sort(DAY, ROW).row(0)
    assert (newest_train[1], newest_train[0]) < (oldest_test[1], oldest_test[0])


def test_hours_of_one_day_are_split_in_their_order() -> None:
    times = pl.datetime(2024, 1, 1, pl.Series(DAY, [23, 1, 12, 5])).alias(DAY)
    _, test = split_rows(pl.DataFrame({ROW: [2, 3, 4, 5]}).with_columns(times), DAY, SplitOptions(test_fraction=0.5))
    assert test[ROW].to_list() == [4, 2]


def test_a_random_split_draws_over_the_whole_time_and_by_its_seed() -> None:
    rows = table(list(range(1000)))
    drawn = [split_rows(rows, DAY, SplitOptions(strategy="random", seed=seed))[1][ROW].to_list() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 400 < sum(drawn[0]) / len(drawn[0]) < 600


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_that_cannot_be_split_is_refused(rows: int) -> None:
    with pytest.raises(UserError, match=f"{rows} rows cannot be split"):
        split_rows(table([0, 0])[:rows], DAY, SplitOptions())

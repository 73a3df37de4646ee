"""Closed and absurd weeks of `store_sales`: what they are told by, what is done with them, and what they must not do.

The right values are those of the same sales without the bad rows, or known since the sales are simulated.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optiflow.errors import UserError
from optiflow.learners import store_sales as learner
from optiflow.learners.store_sales.history import prepare
from optiflow.learners.store_sales.intervals import Bands
from optiflow.learners.store_sales.misses import mean_miss
from optiflow.learners.store_sales.model import Model
from optiflow.learners.store_sales.odd_weeks import closed_every_year, find_odd_weeks
from optiflow.learners.store_sales.panel import read_panel
from optiflow.learners.store_sales.seasonal_growth import Growth
from optiflow.options import DatasetOptions
from optiflow.pipelines.store_sales.odd_weeks import in_words, odd_rows
from optiflow.pipelines.store_sales.pipeline import STORE_SALES

FIRST = date(2019, 1, 4)
WEEKS, STORES = 120, 6
BAD = 4
NAMES = "abcdefghijkl"


def sales(weeks: int = WEEKS, stores: int = STORES) -> np.ndarray:
    """Weeks x stores: levels apart, a wave over the year, 3 % of noise, and a Christmas of twice the sales."""
    week = np.arange(weeks)[:, None]
    wave = 1 + 0.3 * np.sin(2 * np.pi * week / 52) + (week % 52 == 50)
    return 1000 * (1 + np.arange(stores)) * wave * np.random.default_rng(0).lognormal(0, 0.03, (weeks, stores))


def rows(matrix: np.ndarray, leave: np.ndarray | None = None, ask: int = 0) -> pl.DataFrame:
    """A row a cell, those of `leave` left out, and `ask` weeks to forecast."""
    whole = np.vstack([matrix, np.full((ask, matrix.shape[1]), np.nan)])
    cells = [
        (n, NAMES[store], FIRST + timedelta(weeks=week), None if np.isnan(whole[week, store]) else whole[week, store])
        for n, (week, store) in enumerate(np.ndindex(*whole.shape))
        if not (week < len(matrix) and np.isnan(matrix[week, store]))
        if leave is None or week >= len(matrix) or not leave[week, store]
    ]
    schema = {"row": pl.Int64, "store": pl.String, "date": pl.Date, "sales": pl.Float64}
    return pl.DataFrame(cells, schema=schema, orient="row")


def with_bad_rows(factor: float, places: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The sales with a factor on some weeks of one store, and which cells those are."""
    bad = np.zeros((WEEKS, STORES), bool)
    bad[places, BAD] = True
    return np.where(bad, sales() * factor, sales()), bad


SEVENTEEN = sorted(np.random.default_rng(5).choice(WEEKS - 1, 17, replace=False).tolist())


@pytest.mark.parametrize(
    ("factor", "places"), [(0.0, [70, 95]), (1e-6, SEVENTEEN), (1e6, SEVENTEEN), (0.0, [*range(60, 68)])]
)
def test_a_file_with_bad_rows_is_learned_from_as_if_it_lacked_them(factor: float, places: list[int]) -> None:
    matrix, bad = with_bad_rows(factor, places)
    with_them, without = read_panel(rows(matrix).to_arrow()), read_panel(rows(matrix, bad).to_arrow())

    assert np.array_equal(with_them.logs, without.logs, equal_nan=True)
    assert np.array_equal(with_them.known, without.known)
    assert with_them.odd.any.sum() == len(places)


def test_other_stores_forecasts_do_not_move_with_one_stores_bad_rows(tmp_path: Path) -> None:
    good_sales = sales(stores=12)
    bad = np.zeros(good_sales.shape, bool)
    bad[30:47, BAD] = True
    matrix = np.where(bad, 1e-6 * good_sales, good_sales)
    others = pl.col("store") != NAMES[BAD]
    good, spoilt = (scored(tmp_path, cells).filter(others)["predicted"] for cells in (good_sales, matrix))
    lacking = scored(tmp_path, np.where(bad, np.nan, good_sales)).filter(others)["predicted"]

    assert spoilt.equals(lacking)
    assert float((spoilt / good - 1).abs().mean()) < 0.001  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("factor", [0.0, 1e-6, 0.1, 10.0, 1e6])
def test_bad_weeks_are_found_wherever_they_lie_and_no_good_one_is(factor: float) -> None:
    found = wrong = 0
    for seed in range(20):
        places = np.random.default_rng(seed).choice(WEEKS, 10, replace=False)
        matrix, bad = with_bad_rows(factor, places.tolist())
        odd = find_odd_weeks(matrix).any
        found += (odd & bad).sum()
        wrong += (odd & ~bad).sum()
    assert wrong == 0
    assert found >= 0.95 * 200  # two bad weeks that lie a year apart pass for a season


def test_what_all_stores_share_and_what_every_year_has_is_not_absurd() -> None:
    lockdown = sales()
    lockdown[60:66] *= 0.1
    season = sales()
    season[[20, 72], BAD] *= 8

    assert not find_odd_weeks(lockdown).any.any()
    assert not find_odd_weeks(season).any.any()


def test_a_closure_is_filled_from_another_year_and_not_by_a_line_through_christmas() -> None:
    matrix, _ = with_bad_rows(0.0, [*range(99, 105)])  # week 102 is the second Christmas
    filled = np.exp(read_panel(rows(matrix).to_arrow()).logs[99:105, BAD])

    assert np.abs(filled / sales()[99:105, BAD] - 1).max() < 0.25


def test_weeks_before_the_first_sale_are_those_of_a_store_that_was_not_there_yet() -> None:
    matrix, _ = with_bad_rows(0.0, [*range(30)])
    panel = read_panel(rows(matrix).to_arrow())

    assert np.isnan(panel.logs[:30, BAD]).all()
    assert panel.lengths()[BAD] == WEEKS - 30


def scored(folder: Path, matrix: np.ndarray, ask: int = 8) -> pl.DataFrame:
    """Forecasts of last year's week times growth, from a model written by hand."""
    bands = Bands({}, 0.05, {"80": [1.0] * 4, "95": [2.0] * 4})
    Model("seasonal_growth", ("seasonal_growth",), Growth(), None, "week_end", bands, bands).save(folder)
    forecast = pl.from_arrow(learner.score(folder, rows(matrix, ask=ask).to_arrow()))
    assert isinstance(forecast, pl.DataFrame)
    return forecast


def test_a_closure_of_last_year_is_not_forecast_again_and_one_of_every_year_is(tmp_path: Path) -> None:
    matrix = sales()
    matrix[70, 1] = 0  # 52 weeks before week 122
    matrix[[18, 70], 2] = 0
    forecast = scored(tmp_path, matrix)
    at = FIRST + timedelta(weeks=122)
    once, yearly = (forecast.filter(store=store, date=at).row(0, named=True) for store in ("b", "c"))

    assert once["predicted"] == pytest.approx(2000 * (1 + 0.3 * np.sin(2 * np.pi * 122 / 52)), rel=0.1)
    assert (yearly["predicted"], yearly["hi_95"], yearly["method"]) == (0, 0, "closed")
    assert forecast.filter(pl.col("store") == "c", pl.col("date") != at)["predicted"].min() > 1000  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_a_store_that_has_long_been_closed_is_forecast_as_0_and_a_short_pause_is_not(tmp_path: Path) -> None:
    matrix = sales()
    matrix[-12:, 0] = 0
    matrix[-2:, 1] = 0
    matrix[:, 3] = 0
    by_store = scored(tmp_path, matrix).group_by("store").agg(pl.col("predicted").mean()).sort("store")

    sold = dict(by_store.iter_rows())
    assert (sold["a"], sold["d"]) == (0, 0)
    assert sold["b"] > 1500


def test_a_file_without_any_sale_is_refused() -> None:
    with pytest.raises(UserError, match="every row has 0 sales"):
        read_panel(rows(np.zeros((30, 2))).to_arrow())


def test_a_year_counts_only_where_the_store_has_a_row() -> None:
    closed, known = np.zeros((120, 2), bool), np.ones((120, 2), bool)
    closed[[18, 70]] = True
    known[18, 1] = False

    assert closed_every_year(closed, known, 122).tolist() == [True, False]


def test_one_stores_error_counts_at_most_as_a_miss_of_all() -> None:
    errors = np.full(100, np.log(1.03))
    errors[0] = np.log(1e6)

    assert mean_miss(errors) == pytest.approx((99 * 0.03 + 1) / 100)


def test_a_store_that_swings_without_measure_does_not_bend_the_others_patterns() -> None:
    calm = sales(stores=12)
    wild = calm.copy()
    wild[:, BAD] *= np.random.default_rng(1).lognormal(0, 1.5, WEEKS)
    one, two = (prepare(read_panel(rows(matrix).to_arrow()), 4, "week_end").pooled for matrix in (calm, wild))
    others = np.arange(12) != BAD

    assert np.abs(one - two)[:, others].mean() < 0.004


def test_the_report_names_closed_and_absurd_weeks() -> None:
    matrix, _ = with_bad_rows(0.0, [60, 61, 62])
    matrix[30, 2] = 0.9
    matrix[40, 3] = 4e6
    said = in_words(odd_rows(rows(matrix)))

    assert (
        "4 store-weeks have sold nothing, or nearly so: store c, 2019-08-02; store e, 2020-02-28 to 2020-03-13"
        in said[0]
    )
    assert "1 store-week has sold what cannot be right" in said[1]
    assert "store d, 2019-10-11: 4,000,000, where" in said[1]
    assert in_words(odd_rows(rows(sales()))) == ()


def test_the_upload_says_them_too() -> None:
    matrix, _ = with_bad_rows(0.0, [60])

    assert len(STORE_SALES.remarks(rows(matrix), DatasetOptions())) == 1

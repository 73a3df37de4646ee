"""Error figures and skill: by hand, against scikit-learn, and by their invariants."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from optiflow.metrics import _of_sums, next_skill_interval, regression_metrics, skill, skill_interval

FLOATS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


def columns(count: int, min_size: int = 1):
    shape = st.integers(min_size, 40)
    return shape.flatmap(lambda n: st.tuples(*[hnp.arrays(np.float64, n, elements=FLOATS)] * count))


def test_the_figures_equal_a_hand_computation():
    figures = regression_metrics(pl.Series([2, 4, 0, 10]), pl.Series([3.0, 2.0, 1.0, 10.0]))
    assert figures == {
        "mse": 1.5,
        "rmse": pytest.approx(1.224744871),
        "mae": 1.0,
        "wape": 0.25,
        "mape": pytest.approx((0.5 + 0.5 + 0.0) / 3),
        "mape_excluded": 1,
        "bias": 0.0,
        "r2": pytest.approx(1 - 6 / 56),
    }


@settings(max_examples=80, deadline=None)
@given(columns(2, min_size=2))
def test_the_figures_equal_scikit_learns(pair):
    actual, predicted = pair
    assume(np.ptp(actual) > 1e-2)
    figures = regression_metrics(actual, predicted)
    assert figures["mse"] == pytest.approx(sk.mean_squared_error(actual, predicted))
    assert figures["rmse"] == pytest.approx(sk.root_mean_squared_error(actual, predicted))
    assert figures["mae"] == pytest.approx(sk.mean_absolute_error(actual, predicted))
    assert figures["r2"] == pytest.approx(sk.r2_score(actual, predicted))
    kept = actual != 0
    assert figures["mape"] == pytest.approx(sk.mean_absolute_percentage_error(actual[kept], predicted[kept]))
    assert figures["mape_excluded"] == (~kept).sum()


@settings(max_examples=80, deadline=None)
@given(columns(2), st.floats(0.01, 100))
def test_figures_scale_with_the_unit_and_never_undercut_their_bounds(pair, factor):
    actual, predicted = pair
    one, scaled = regression_metrics(actual, predicted), regression_metrics(actual * factor, predicted * factor)
    for key, power in [("mse", 2), ("rmse", 1), ("mae", 1), ("bias", 1), ("wape", 0), ("mape", 0)]:
        expected = None if one[key] is None else pytest.approx(one[key] * factor**power, rel=1e-6, abs=1e-6)
        assert scaled[key] == expected
    assert abs(one["bias"]) <= one["mae"] * (1 + 1e-9)
    assert one["mae"] <= one["rmse"] * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(columns(2), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    straight, shuffled = regression_metrics(*pair), regression_metrics(pair[0][order], pair[1][order])
    assert {k: v if v is None else pytest.approx(v, rel=1e-7, abs=1e-7) for k, v in straight.items()} == shuffled


def test_relative_figures_are_null_when_their_denominator_is_zero():
    zeros = regression_metrics(np.zeros(3), np.ones(3))
    assert (zeros["wape"], zeros["mape"], zeros["mape_excluded"], zeros["r2"]) == (None, None, 3, None)
    # 0.1 summed three times and divided by three is not 0.1.
    assert regression_metrics(np.full(3, 0.1), np.full(3, 0.2))["r2"] is None


@pytest.mark.parametrize(
    ("actual", "predicted", "says"),
    [
        ([1.0, 2.0], [1.0], "2 rows"),
        ([], [], "at least one row"),
        ([1.0, None], [1.0, 2.0], "actual has 1 missing"),
        ([1.0, 2.0], [1.0, math.nan], "predicted has 1 missing or infinite values, the first at row 1"),
        ([1.0, 2.0], [math.inf, 1.0], "first at row 0"),
    ],
)
def test_columns_that_cannot_be_compared_are_refused(actual, predicted, says):
    with pytest.raises(ValueError, match=says):
        regression_metrics(pl.Series(actual, dtype=pl.Float64), pl.Series(predicted, dtype=pl.Float64))


def test_skill_is_the_share_of_the_baselines_error_taken_away():
    assert skill(1.0, 4.0) == 0.75
    assert skill(4.0, 4.0) == 0.0
    assert skill(6.0, 4.0) == -0.5
    assert skill(1.0, 0.0) is None


@settings(max_examples=60, deadline=None)
@given(columns(3, min_size=2))
def test_the_skill_interval_holds_the_skill_in_its_middle(triple):
    actual, predicted, baseline = triple
    naive = regression_metrics(actual, baseline)["mse"]
    assume(naive > 1e-4)
    low, high = skill_interval(actual, predicted, baseline)
    value = skill(regression_metrics(actual, predicted)["mse"], naive)
    assert low <= high
    assert (low + high) / 2 == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_the_skill_interval_covers_the_true_skill_about_95_times_in_100():
    # Errors of variance 1 against 2 in uncorrelated noise: the true skill is 0.5.
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        model, naive = rng.normal(0, 1, 300), rng.normal(0, math.sqrt(2), 300)
        low, high = skill_interval(np.zeros(300), model, naive)
        hits += low <= 0.5 <= high
    assert 0.88 <= hits / 400 <= 0.98


def test_one_row_or_an_exact_baseline_has_no_skill_interval():
    assert skill_interval(np.ones(1), np.ones(1), np.zeros(1)) is None
    assert skill_interval(np.ones(5), np.zeros(5), np.ones(5)) is None


def panel(rng, weeks=12, stores=45, shared=1.0):
    """Errors of a model and a baseline of half its precision; those of one week share a shock, as do those of one store."""
    shocks = rng.normal(0, shared, (weeks, 1, 2)) + rng.normal(0, shared, (1, stores, 2))
    errors = shocks + rng.normal(0, 1, (weeks, stores, 2))
    week, store = (part.ravel() for part in np.indices((weeks, stores)))
    return (
        errors[..., 0].ravel(),
        math.sqrt(2) * errors[..., 1].ravel(),
        pl.Series(week),
        pl.DataFrame({"store": store}),
    )


def test_the_variances_by_week_and_by_store_equal_those_of_statsmodels():
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

    model, naive, week, stores = panel(np.random.default_rng(3))
    parts = model**2 - (model**2).mean() / (naive**2).mean() * naive**2
    fitted = OLS(parts, np.ones(parts.size)).fit()
    store = stores["store"].to_numpy()
    for groups in (week.to_numpy(), store):
        ours, _ = _of_sums(parts / parts.size, groups)
        truth = cov_cluster(fitted, groups, use_correction=False).item() * (n := np.unique(groups).size) / (n - 1)
        assert ours == pytest.approx(truth)
    by_both = cov_cluster_2groups(fitted, store, week.to_numpy(), use_correction=False)[0]
    sums = [_of_sums(parts / parts.size, groups) for groups in (store, week.to_numpy(), np.arange(parts.size))]
    bare = [variance * (count - 1) / count for variance, count in sums]
    assert bare[0] + bare[1] - bare[2] == pytest.approx(np.asarray(by_both).item())


def test_the_limits_by_week_and_by_store_at_once_are_those_of_statsmodels_and_students_quantile():
    from scipy.stats import t
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import cov_cluster

    # Under 12 weeks, so that no quarters are taken; each cell of a week and a store has two rows.
    halves = [panel(np.random.default_rng(seed), weeks=11, stores=20, shared=2.0) for seed in (5, 5)]
    model, naive = (np.concatenate([half[part] for half in halves]) for part in (0, 1))
    model = model + np.random.default_rng(6).normal(0, 1, model.size)
    week, stores = pl.concat([half[2] for half in halves]), pl.concat([half[3] for half in halves])
    store = stores["store"].to_numpy()
    unit = (naive**2).mean()
    parts = (model**2 - (model**2).mean() / unit * naive**2) / unit
    fitted = OLS(parts, np.ones(parts.size)).fit()

    def by(groups: np.ndarray) -> float:
        count = np.unique(groups).size
        return cov_cluster(fitted, groups, use_correction=False).item() * count / (count - 1)

    at_once = by(week.to_numpy()) + by(store) - by(week.to_numpy() * 1000 + store)
    margin = t.ppf(0.975, 10) * math.sqrt(at_once)
    low, high = skill_interval(np.zeros(model.size), model, naive, periods=week, series=stores)
    assert (high - low) / 2 == pytest.approx(margin, rel=1e-6)
    assert at_once > max(by(week.to_numpy()), by(store))


def test_limits_hold_the_true_skill_where_weeks_and_stores_share_shocks_and_those_of_independent_rows_do_not():
    rng = np.random.default_rng(11)
    clustered = alone = 0
    for _ in range(150):
        model, naive, week, stores = panel(rng)
        zeros = np.zeros(model.size)
        low, high = skill_interval(zeros, model, naive, periods=week, series=stores)
        clustered += low <= 0.5 <= high
        low, high = skill_interval(zeros, model, naive)
        alone += low <= 0.5 <= high
    assert alone / 150 < 0.6
    assert clustered / 150 >= 0.88


def test_the_next_windows_skill_is_less_sure_and_as_unsure_as_past_windows_differ():
    assert next_skill_interval((0.3, 0.5)) == pytest.approx((0.4 - 0.1 * math.sqrt(2), 0.4 + 0.1 * math.sqrt(2)))
    assert next_skill_interval((0.3, 0.5), [0.9]) == next_skill_interval((0.3, 0.5))
    low, high = next_skill_interval((0.3, 0.5), [0.0, 0.8])
    assert high - low == pytest.approx(2 * 4.302653 * math.sqrt(2) * 0.4, rel=1e-5)


def test_rows_of_a_single_period_tell_nothing_of_other_periods():
    assert skill_interval(np.zeros(9), np.arange(9), np.ones(9), periods=pl.Series([1] * 9)) is None

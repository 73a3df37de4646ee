"""The learner of daily demand: what it forecasts for which kind of series, and that it never sees the future."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.learners import item_demand
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.item_demand.accuracy import seasonal_naive
from optiflow.learners.item_demand.boosting import _at_origin, learn
from optiflow.learners.item_demand.features import FEATURES, features
from optiflow.learners.item_demand.grid import calendar, read_grid
from optiflow.learners.item_demand.intervals import bands, calibrate
from optiflow.learners.item_demand.kinds import KINDS, kinds
from optiflow.learners.item_demand.multiplicative import RECENT, STEPS, fit_multiplicative, pulled

FIRST = date(2021, 3, 1)
WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.1, 1.3, 1.1])
FAST = {"num_round": 200, "learning_rate": 0.2, "early_stopping_rounds": 5, "horizon": 28, "nthread": 1}


def rates(days: int, stores: int = 3, items: int = 4) -> np.ndarray:
    """Store x item x weekday x season x yearly growth: series x days."""
    day = [FIRST + timedelta(n) for n in range(days)]
    level = np.outer([1.0, 1.5, 0.7][:stores], [20.0, 8.0, 35.0, 12.0][:items]).ravel()
    season = np.array([1 + 0.3 * np.cos(2 * np.pi * (d.month - 7) / 12) for d in day])
    return level[:, None] * season * WEEK[[d.weekday() for d in day]] * [1.1 ** (d.year - 2021) for d in day]


def table(sales: np.ndarray, items: int = 4) -> pl.DataFrame:
    """A learner's table of series x days; NaN is a day without a row."""
    series, days = sales.shape
    frame = pl.DataFrame(
        {
            "date": np.tile(np.arange(days), series) + (FIRST - date(1970, 1, 1)).days,
            "store": [f"S{n // items}" for n in range(series) for _ in range(days)],
            "item": [f"I{n % items}" for n in range(series) for _ in range(days)],
            "sales": sales.ravel(),
        }
    )
    return frame.with_columns(pl.col("date").cast(pl.Int32).cast(pl.Date)).filter(pl.col("sales").is_not_nan())


def asked(history: pl.DataFrame, days: int, *pairs: tuple[str, str]) -> pl.DataFrame:
    """The history, and `days` rows to forecast for each of its pairs and of `pairs`."""
    last = history["date"].max()
    more = pl.DataFrame(pairs, schema={"store": pl.String, "item": pl.String}, orient="row")
    known = pl.concat([history.select("store", "item").unique(maintain_order=True), more])
    ahead = pl.DataFrame({"date": [last + timedelta(n) for n in range(1, days + 1)]})
    rows = known.join(ahead, how="cross").select("date", "store", "item", sales=pl.lit(None, pl.Float64))
    return pl.concat([history.select("date", "store", "item", "sales"), rows])


def score(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(item_demand.score(folder, rows.to_arrow()))


@pytest.fixture(scope="module")
def years() -> np.ndarray:
    return np.random.default_rng(5).poisson(rates(800)).astype(float)


@pytest.fixture(scope="module")
def trained(years: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("model")
    return folder, item_demand.train({"train": table(years[:, :772]).to_arrow()}, FAST, folder, lambda line: None)


def test_every_default_is_a_value_that_the_learner_allows():
    assert parse_hyperparameters(item_demand.PARAMETERS, item_demand.DEFAULTS)["horizon"] == 90
    with pytest.raises(UserError, match="horizon"):
        parse_hyperparameters(item_demand.PARAMETERS, {"horizon": "0"})


@pytest.mark.parametrize("growth", [STEPS, RECENT])
def test_the_closed_form_recovers_the_rates_that_sales_were_drawn_from(years, growth):
    grid, _ = read_grid(table(years[:, :772]).to_arrow(), "auto")
    rate = fit_multiplicative(grid, growth).rate(grid, 772, 800)
    truth = rates(800)[:, 772:]
    assert np.abs(rate / truth - 1).mean() < 0.06
    assert abs(rate.sum() / truth.sum() - 1) < 0.06


def test_forecasts_are_close_to_the_true_rate_and_beat_last_years_sales(years, trained):
    folder, summary = trained
    scored = score(folder, asked(table(years[:, :772]), 28))
    truth = rates(800)[:, 772:].ravel()
    assert np.abs(scored["predicted"].to_numpy() / truth - 1).mean() < 0.08
    judged = {entry["name"]: entry["rmse"] for entry in summary["candidates"]}
    assert judged[summary["chosen"]] < 0.9 * judged["seasonal naive"]
    assert summary["metrics"]["validation:rmse"] == judged[summary["chosen"]]


@pytest.mark.parametrize("growth", [STEPS, RECENT])
def test_what_the_trees_learn_from_at_an_origin_does_not_change_with_what_was_sold_after_it(years, growth):
    grid, _ = read_grid(table(years).to_arrow(), "zero")
    later = grid.sales.copy()
    later[:, 700:] = 50 + 10 * later[:, 700:]
    one, other = (_at_origin(replace(grid, sales=sales), growth, 700, 28) for sales in (grid.sales, later))
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.offset, other.offset)
    assert (other.sold == 50 + 10 * one.sold).all()


def test_intervals_hold_about_as_often_as_they_say(years, trained):
    scored = score(trained[0], asked(table(years[:, :772]), 28)).with_columns(sold=years[:, 772:].ravel())
    for level in (80, 95):
        held = scored.select(pl.col("sold").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
        assert level / 100 - 0.08 < held < min(level / 100 + 0.08, 0.995)
    assert scored.select(
        (pl.col("lo_95") <= pl.col("lo_80")).all() & (pl.col("lo_80") <= pl.col("predicted")).all()
    ).item()
    assert scored.select(
        (pl.col("predicted") <= pl.col("hi_80")).all() & (pl.col("hi_80") <= pl.col("hi_95")).all()
    ).item()


def test_training_twice_gives_the_same_forecasts(years, trained, tmp_path):
    item_demand.train(
        {"train": table(years[:, :772]).sample(fraction=1.0, shuffle=True, seed=1).to_arrow()}, FAST, tmp_path, print
    )
    rows = asked(table(years[:, :772]), 5)
    assert score(tmp_path, rows).equals(score(trained[0], rows))


def test_rows_come_back_in_their_order_with_their_number_and_ids(years, trained):
    rows = asked(table(years[:, :772]), 3).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    rows = rows.sample(fraction=1.0, shuffle=True, seed=3)
    wanted = rows.filter(pl.col("sales").is_null())
    scored = score(trained[0], rows)
    assert scored.select("row", "store", "item", "date").equals(wanted.select("row", "store", "item", "date"))
    assert scored.columns == [
        *("row", "store", "item", "date", "predicted", "lo_95", "lo_80", "hi_80", "hi_95", "method")
    ]


def test_lightgbm_is_champion_where_sales_are_no_product_of_factors(tmp_path):
    # An item that sells three times as much in the first week of each month: the closed form has no such factor.
    days = np.array([(FIRST + timedelta(n)).day for n in range(700)])
    sales = np.random.default_rng(2).poisson(rates(700) * np.where(days <= 7, 3.0, 1.0)).astype(float)
    summary = item_demand.train({"train": table(sales[:, :672]).to_arrow()}, FAST, tmp_path, lambda line: None)
    assert summary["chosen"] == "LightGBM"
    scored = score(tmp_path, asked(table(sales[:, :672]), 28)).with_columns(sold=sales[:, 672:].ravel())
    assert set(scored["method"]) == {"LightGBM"}
    early = scored.filter(pl.col("date").dt.day() <= 7)
    assert early["predicted"].sum() == pytest.approx(early["sold"].sum(), rel=0.15)


def test_features_see_nothing_after_the_origin(years):
    changed = years.copy()
    changed[:, 700:] = 999.0
    made = []
    for sales in (years, changed):
        known = read_grid(table(sales).to_arrow(), "auto")[0].until(700)
        made.append(features(known, fit_multiplicative(known, STEPS), 28))
    assert np.array_equal(made[0][0], made[1][0])
    assert np.array_equal(made[0][1], made[1][1])
    assert made[0][0].shape == (12, 28, len(FEATURES))


def test_lightgbm_learns_from_nothing_where_the_history_is_too_short(years):
    grid, _ = read_grid(table(years[:1, :35]).to_arrow(), "auto")
    assert learn(grid, RECENT, 7, {**item_demand.PARAMETERS, **FAST, "seed": 1}) is None


def test_a_short_file_is_forecast_by_the_closed_form_and_the_summary_says_so(years, tmp_path):
    summary = item_demand.train({"train": table(years[:1, :40]).to_arrow()}, FAST, tmp_path, lambda line: None)
    assert summary["chosen"] == "multiplicative, recent level"
    assert any("too short for LightGBM" in note for note in summary["notes"])
    scored = score(tmp_path, asked(table(years[:1, :40]), 7))
    assert scored["predicted"].mean() == pytest.approx(years[0, :40].mean(), rel=0.3)


def test_closed_stores_discontinued_short_and_new_series_are_told_apart_and_counted(years, tmp_path):
    sales = years[:, :600].copy()
    sales[8:, 540:] = np.nan  # store S2
    sales[0, 500:] = 0.0  # item I0 in store S0
    sales[5, :570] = np.nan  # item I1 in store S1
    rows = table(sales)
    summary = item_demand.train({"train": rows.to_arrow()}, FAST, tmp_path, lambda line: None)
    assert {entry["kind"]: entry["series"] for entry in summary["kinds"]} == {
        "smooth": 6,
        "short": 1,
        "discontinued": 1,
        "closed": 4,
    }
    scored = score(tmp_path, asked(rows, 7, ("S0", "I9"), ("S9", "I2")))
    methods = {(row["store"], row["item"]): row["method"] for row in scored.iter_rows(named=True)}
    assert methods["S2", "I1"] == "closed: 0"
    assert methods["S0", "I0"] == "discontinued: 0"
    assert methods["S1", "I1"] == "short history"
    assert methods["S0", "I9"] == methods["S9", "I2"] == "store and item level"
    gone = scored.filter(pl.col("method").is_in(["closed: 0", "discontinued: 0"]))
    assert gone.select(pl.col("predicted", "hi_95").sum()).row(0) == (0.0, 0.0)
    new = scored.filter(pl.col("store") == "S9")["predicted"].mean()
    others = scored.filter((pl.col("item") == "I2") & pl.col("store").is_in(["S0", "S1"]))["predicted"]
    assert others.min() * 0.5 < new < others.max() * 1.5


def test_a_pair_without_history_takes_after_its_store_and_its_item(years, trained):
    rows = table(years[:, :772]).filter(~((pl.col("store") == "S1") & (pl.col("item") == "I2")))
    scored = score(trained[0], asked(rows, 14, ("S1", "I2"))).filter(
        (pl.col("store") == "S1") & (pl.col("item") == "I2")
    )
    assert scored["predicted"].mean() == pytest.approx(rates(800)[6, 772:786].mean(), rel=0.15)


def test_an_item_out_of_season_is_not_given_up():
    # Sold from March to September only: no sale for 70 days at the end of a December is what it did a year before.
    day = [FIRST + timedelta(n) for n in range(660)]
    ice = np.array([10.0 if 3 <= d.month <= 9 else 0.0 for d in day])
    grid, _ = read_grid(table(np.stack([ice, np.full(660, 5.0)])).to_arrow(), "auto")
    assert grid.sales[0, -70:].sum() == 0
    found = kinds(grid, 28, 56)
    assert [KINDS[kind] for kind in found] == ["intermittent", "smooth"]


def test_rare_sellers_are_told_from_regular_ones_and_forecast_by_their_mean(tmp_path):
    rng = np.random.default_rng(8)
    sales = np.concatenate([rng.poisson(9.0, (4, 500)), rng.poisson(0.15, (8, 500))]).astype(float)
    summary = item_demand.train({"train": table(sales).to_arrow()}, FAST, tmp_path, lambda line: None)
    assert {entry["kind"]: entry["series"] for entry in summary["kinds"]} == {"smooth": 4, "intermittent": 8}
    rare = score(tmp_path, asked(table(sales), 28)).filter(pl.col("store") != "S0")
    assert rare["predicted"].mean() == pytest.approx(0.15, abs=0.05)
    assert rare["lo_95"].max() < 0.05


@pytest.mark.parametrize(("gaps", "mean"), [("zero", 4.0), ("unknown", 10.0), ("auto", 4.0)])
def test_days_without_a_row_are_zero_sales_or_unknown(gaps, mean):
    sales = np.full((2, 200), 10.0)
    sales[:, np.arange(200) % 5 > 1] = np.nan
    grid, _ = read_grid(table(sales).to_arrow(), gaps)
    assert grid.sales.sum() / grid.seen.sum() == pytest.approx(mean, rel=0.02)
    assert grid.gaps == 2 * 117  # the last days, after the last row, are beyond the grid


def test_a_zero_in_the_file_says_that_gaps_are_not_zeros():
    sales = np.full((1, 200), 10.0)
    sales[:, 50:100], sales[:, 0] = np.nan, 0.0
    assert not read_grid(table(sales).to_arrow(), "auto")[0].zero_gaps


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table(np.ones((2, 20))), "spans 20 days"),
        (table(np.zeros((2, 90))), "0 sales"),
        (table(np.ones((1, 90))).with_columns(sales=pl.lit(None, pl.Float64)), "no row has sales"),
    ],
)
def test_a_history_that_allows_no_forecast_is_refused(rows, message, tmp_path):
    with pytest.raises(UserError, match=message):
        item_demand.train({"train": rows.to_arrow()}, FAST, tmp_path, print)


@pytest.mark.parametrize(("shift", "message"), [(0, "not after the last day"), (29, "forecasts 28 days")])
def test_days_outside_the_horizon_are_refused_by_store_and_item(years, trained, shift, message):
    history = table(years[:, :772])
    day = history["date"].max() + timedelta(shift)
    row = pl.DataFrame(
        {"date": [day], "store": ["S1"], "item": ["I3"], "sales": [None]}, schema_overrides=history.schema
    )
    with pytest.raises(UserError, match=rf"'S1', item 'I3'.*{day}.*{message}"):
        score(trained[0], pl.concat([history, row]))


def test_the_naive_forecast_is_364_days_old_or_the_last_same_weekday():
    sales = np.arange(800.0).reshape(2, 400)
    grid, _ = read_grid(table(sales).to_arrow(), "unknown")
    assert seasonal_naive(grid, 3)[0].tolist() == [36.0, 37.0, 38.0]
    assert seasonal_naive(grid.until(100), 9)[0].tolist() == [*range(93, 100), 93.0, 94.0]


@settings(max_examples=50, deadline=None)
@given(st.dates(date(1970, 1, 1), date(2100, 12, 31)))
def test_the_calendar_agrees_with_pythons(day):
    made = calendar(np.array([(day - date(1970, 1, 1)).days]))
    assert (made.weekday[0], made.month[0] + 1, made.year[0]) == (day.weekday(), day.month, day.year)
    assert (made.day_of_month[0], made.day_of_year[0]) == (day.day, day.timetuple().tm_yday)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.just(0.0) | st.floats(0.1, 200)), min_size=2, max_size=20),
    st.floats(0.5, 5),
)
def test_pulled_ratios_lie_between_the_usual_and_their_own(cells, dispersion):
    sold, exposure = (np.array(values, dtype=float) for values in zip(*cells, strict=True))
    made = pulled(sold, exposure, np.ones_like(sold), dispersion)
    own = np.divide(sold, exposure, out=np.ones_like(sold), where=exposure > 0)
    some = exposure > 0
    assert ((made >= np.minimum(own, 1) - 1e-9) & (made <= np.maximum(own, 1) + 1e-9))[some].all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
def test_bands_are_ordered_and_hold_where_they_were_calibrated(seed, mean):
    rng = np.random.default_rng(seed)
    sold, rate = rng.poisson(mean, (10, 40)).astype(float), np.full((10, 40), mean)
    kind, spread = np.zeros(10, dtype=int), np.ones(10)
    made = bands(rate, spread, kind, calibrate(sold, rate, np.ones_like(sold), spread, kind))
    order = ["lo_95", "lo_80", "predicted", "hi_80", "hi_95"]
    assert all((made[low] <= made[high]).all() for low, high in pairwise(order))
    assert ((sold >= made["lo_95"] - 1e-9) & (sold <= made["hi_95"] + 1e-9)).mean() >= 0.95

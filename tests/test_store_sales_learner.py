"""The learner of `store_sales`: what it learns, from what alone, and what it does with short, broken and odd histories."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.learners import store_sales as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.store_sales import per_store
from optiflow.learners.store_sales.calendar_effects import easter, effects
from optiflow.learners.store_sales.history import prepare
from optiflow.learners.store_sales.intervals import Bands, learn_bands
from optiflow.learners.store_sales.panel import read_panel
from optiflow.learners.store_sales.past_totals import total_off
from optiflow.learners.store_sales.seasonal_growth import GRID, Growth, choose_growth, seasonal_growth, seasonal_naive
from optiflow.learners.store_sales.validation import Past, choose, past_origins, past_skills, useful
from optiflow.pipelines.forecasting.naive import naive_forecasts

FIRST = date(2014, 1, 3)  # a Friday
WEEKS, HORIZON = 118, 6
QUICK = {"horizon": str(HORIZON), "origins": "2", "trials": "0", "trees": "20", "nthread": "1"}


def true_sales(weeks: int, store: int) -> np.ndarray:
    """A yearly wave, growth of 10 % a year, half as much again in the week before Easter."""
    day = [FIRST + timedelta(weeks=week) for week in range(weeks)]
    wave = np.exp(0.3 * np.sin(2 * np.pi * np.arange(weeks) / 52 + store))
    lift = [1.5 if 0 < (easter(d.year) - d).days <= 7 else 1.0 for d in day]
    return 1000 * (store + 1) * wave * np.array(lift) * 1.1 ** (np.arange(weeks) / 52)


def table(stores: dict[str, tuple[int, np.ndarray]], ask: int = 0) -> pa.Table:
    """Rows of stores given as name -> (first week, sales; NaN is no row), and `ask` weeks to forecast after the last."""
    last = max(start + len(sales) for start, sales in stores.values())
    cells: list[tuple[str, date, float | None]] = []
    for name, (start, sales) in stores.items():
        known = [(start + i, float(value)) for i, value in enumerate(sales) if not np.isnan(value)]
        cells += [(name, FIRST + timedelta(weeks=week), value) for week, value in known]
        cells += [(name, FIRST + timedelta(weeks=last + i), None) for i in range(ask)]
    return pa.table(
        {
            "row": pa.array([None if value is None else i for i, (_, _, value) in enumerate(cells)], pa.int64()),
            "store": pa.array([cell[0] for cell in cells], pa.string()),
            "date": pa.array([cell[1] for cell in cells], pa.date32()),
            "sales": pa.array([cell[2] for cell in cells], pa.float64()),
        }
    )


def three_stores(weeks: int = WEEKS) -> dict[str, tuple[int, np.ndarray]]:
    noise = np.random.default_rng(0).lognormal(0, 0.02, (3, weeks))
    return {name: (0, true_sales(weeks, i) * noise[i]) for i, name in enumerate("ABC")}


def train(rows: pa.Table, folder: Path, **parameters: str) -> dict[str, Any]:
    values = parse_hyperparameters(learner.PARAMETERS, {**learner.DEFAULTS, **QUICK, **parameters})
    return learner.train({"train": rows}, values, folder, lambda line: None)


@pytest.fixture(scope="module")
def stores() -> dict[str, tuple[int, np.ndarray]]:
    """Three stores with a season, one that has a gap and one that is new."""
    known = three_stores()
    known["B"][1][40:43] = np.nan
    return {**known, "new": (WEEKS - 20, true_sales(WEEKS, 3)[-20:])}


@pytest.fixture(scope="module")
def trained(stores: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("model")
    return folder, train(table(stores), folder)


def test_the_weeks_ahead_are_close_to_what_really_comes(stores, trained):
    made = learner.score(trained[0], table(stores, ask=HORIZON)).to_pandas()
    assert made.groupby("store").size().to_dict() == dict.fromkeys(("A", "B", "C", "new"), HORIZON)
    for i, store in enumerate("ABC"):
        coming = true_sales(WEEKS + HORIZON, i)[-HORIZON:]
        assert np.abs(made.loc[made.store == store, "predicted"] / coming - 1).mean() < 0.04
    assert made["row"].isna().all()
    assert list(made["date"].unique()) == [FIRST + timedelta(weeks=WEEKS + i) for i in range(HORIZON)]


def test_the_naive_forecast_of_a_week_is_what_was_sold_52_weeks_before_it():
    sales = 100.0 + np.arange(WEEKS)
    history = prepare(read_panel(table({"A": (0, sales), "B": (0, 2 * sales)})), 60, "week_end")
    last_year = sales[WEEKS - 52 :]
    coming = np.concatenate([last_year, last_year[:8]])  # beyond a year the last one is repeated
    np.testing.assert_allclose(np.exp(seasonal_naive(history)), np.column_stack([coming, 2 * coming]))


def test_a_gap_that_an_origin_lies_in_is_filled_without_the_weeks_after_it():
    known = three_stores()
    known["B"][1][90:100] = np.nan
    later = {name: (start, sales.copy()) for name, (start, sales) in known.items()}
    later["B"][1][100:] *= 9
    one, other = (read_panel(table(cells)).until(96) for cells in (known, later))
    np.testing.assert_array_equal(one.logs, other.logs)
    # The last weeks before the origin are missing: they get those of a year before.
    np.testing.assert_allclose(np.exp(one.logs[90:96, 1]), known["B"][1][38:44])


def test_a_total_was_off_by_the_stores_whose_sales_are_known_alone():
    known = {"A": (0, np.full(WEEKS, 100.0)), "B": (0, np.full(WEEKS, 300.0)), "late": (WEEKS - 2, np.full(2, 50.0))}
    known["B"][1][-3] = np.nan
    known["A"][1][-1] = 180.0
    panel = read_panel(table(known))
    made = np.log(np.tile([120.0, 200.0], (4, 1)))  # of A and B; the third store came after the origin
    # By hand: 400 of 320 sold; A's 100 of 120 while B has no row; 400 of 320 again; and 480 of 320.
    np.testing.assert_allclose(total_off(panel, WEEKS - 4, made), [0.25, -1 / 6, 0.25, 0.5])


def test_a_week_that_was_filled_is_no_truth_to_judge_by():
    known = three_stores()
    known["B"][1][-3:-1] = np.nan
    (past,) = past_origins(read_panel(table(known)), HORIZON, 1, 13, "week_end")
    assert past.stores == ("A", "B", "C")
    sold = np.column_stack([sales[-HORIZON:] for _, sales in known.values()])
    np.testing.assert_allclose(np.exp(past.actual), sold)
    assert np.isnan(past.actual).sum() == 2


def test_past_skills_are_those_against_the_reports_own_naive_forecasts_and_windows_do_not_overlap():
    known = three_stores()
    rows = table(known)
    panel, sales = read_panel(rows), pl.DataFrame(rows)
    pasts = past_origins(panel, HORIZON, 5, 4, "week_end")
    made = {
        "champion": [seasonal_growth(past.history, Growth()) + past.history.ahead[:, None] for past in pasts],
        "seasonal_naive": [seasonal_naive(past.history) for past in pasts],
    }
    found = past_skills(pasts, made, "champion")
    apart = [
        past for past in pasts if (pasts[0].origin - past.origin) % 8 == 0
    ]  # every 4 weeks, of 6 each: every second
    assert len(apart) == 3
    for turn, past in enumerate(apart):
        days = [panel.day(past.origin + step) for step in range(-1, HORIZON)]
        history = sales.filter(pl.col("date") <= days[0], pl.col("store").is_in(past.stores))
        wanted = sales.filter(pl.col("date").is_in(days[1:]), pl.col("store").is_in(past.stores))
        forecast = pl.DataFrame(np.exp(made["champion"][pasts.index(past)]), list(past.stores)).with_columns(
            date=pl.Series(days[1:])
        )
        forecast = forecast.unpivot(index="date", variable_name="store", value_name="predicted")
        wanted = wanted.join(forecast, ["store", "date"])
        naive = naive_forecasts(history, wanted, ["store"], "date", "sales", period=7)
        assert list(naive) == ["the same week a year before", "mean of the last 8 weeks", "mean of all weeks"]
        error = ((wanted["sales"] - wanted["predicted"]) ** 2).mean()
        for kind, values in zip(("year_before", "lately", "usual"), naive.values(), strict=True):
            expected = 1 - error / ((wanted["sales"] - values) ** 2).mean()
            assert found[kind][turn] == pytest.approx(expected), kind
    assert {kind: len(skills) for kind, skills in found.items()} == dict.fromkeys(found, len(apart))


def test_the_intervals_lie_in_one_another_around_the_forecast(stores, trained):
    made = learner.score(trained[0], table(stores, ask=HORIZON)).to_pandas()
    bounds = made[["lo_95", "lo_80", "predicted", "hi_80", "hi_95"]].to_numpy()
    assert (np.diff(bounds, axis=1) >= 0).all()
    assert (bounds[:, 4] > bounds[:, 0]).all()
    new = (made.hi_95 / made.lo_95)[made.store == "new"].mean()
    assert new > (made.hi_95 / made.lo_95)[made.store != "new"].mean()


def test_the_summary_has_every_candidate_with_its_score_and_the_best_is_not_the_naive(trained):
    summary = trained[1]
    names = {entry["name"] for entry in summary["candidates"]}
    assert {"auto_arima", "theta", "mstl_arima", "forest_and_xgboost", "seasonal_growth", "seasonal_naive"} <= names
    scores = {entry["name"]: entry["mape"] for entry in summary["candidates"]}
    assert summary["metrics"]["mape"] == scores[summary["chosen"]] < scores["seasonal_naive"]
    assert all(np.mean(entry["by_origin"]) == pytest.approx(entry["mape"]) for entry in summary["candidates"])
    assert summary["origins"] == [(FIRST + timedelta(weeks=WEEKS - HORIZON * n - 1)).isoformat() for n in (1, 2)]
    json.dumps(summary, allow_nan=False)


def test_gaps_and_short_histories_are_counted_and_told(stores, trained):
    summary = trained[1]
    assert (summary["filled_weeks"], summary["short_stores"]) == (3, ["new"])
    assert ["3 missing store-weeks" in summary["notes"][0], "1 store with" in summary["notes"][1]] == [True, True]
    made = learner.score(trained[0], table(stores, ask=1)).to_pandas().set_index("store")
    assert made.loc["new", "method"] == "recent_level_and_season_of_other_stores"
    assert made.loc["A", "method"] == summary["chosen"]


def test_rows_come_back_in_the_order_asked_and_their_order_changes_nothing(stores, trained):
    rows = table(stores, ask=3)
    mixed = rows.take(pa.array(np.random.default_rng(1).permutation(rows.num_rows)))
    made, again = learner.score(trained[0], rows), learner.score(trained[0], mixed)
    asked = mixed.filter(mixed["sales"].is_null())
    assert again["store"].to_pylist() == asked["store"].to_pylist()
    keys = [("store", "ascending"), ("date", "ascending")]
    assert again.sort_by(keys).equals(made.sort_by(keys))


def test_the_newest_rows_are_what_a_forecast_goes_on_from(stores, trained):
    later = {name: (start, sales[:-4]) for name, (start, sales) in stores.items()}
    raised = {name: (s, np.concatenate([v[:-30], 2 * v[-30:]])) for name, (s, v) in later.items()}
    plain = learner.score(trained[0], table(later, ask=2)).to_pandas()
    high = learner.score(trained[0], table(raised, ask=2)).to_pandas()
    assert plain["date"].min() == FIRST + timedelta(weeks=WEEKS - 4)
    assert (high.predicted > 1.3 * plain.predicted).all()


def test_equal_seeds_make_equal_models(tmp_path):
    rows = table({"A": three_stores(90)["A"]})
    models = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        summary = train(rows, tmp_path / name, origins="1")
        files = {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}
        models.append((summary, files))
    assert models[0] == models[1]
    assert not any(name.endswith((".pkl", ".pickle")) for name in models[0][1])


def test_where_no_store_has_a_season_the_level_is_forecast_and_said_so(tmp_path):
    flat = np.array([100.0, 104, 96, 100, 102, 98, 100, 101, 99, 100])
    rows = {"A": (0, flat), "B": (2, 10 * flat[2:])}
    summary = train(table(rows), tmp_path, horizon="4")
    assert (summary["chosen"], summary["short_stores"]) == ("recent_level", ["A", "B"])
    made = learner.score(tmp_path, table(rows, ask=2)).to_pandas()
    assert made.predicted.to_list() == pytest.approx([100, 100, 1000, 1000], rel=0.01)
    assert set(made.method) == {"recent_level"}


def test_four_weeks_are_too_few(tmp_path):
    with pytest.raises(UserError, match="has 4 weeks: at least 5"):
        train(table({"A": (0, np.ones(4))}), tmp_path)


def test_a_store_week_that_comes_twice_is_refused_with_its_week(tmp_path):
    rows = table({"A": (0, np.ones(9))})
    twice = pa.concat_tables([rows, rows.slice(3, 1)])
    with pytest.raises(UserError, match=r"store 'A' has two rows for the week of 2014-01-24"):
        train(twice, tmp_path)


@pytest.mark.parametrize(
    ("store", "week", "said"),
    [
        ("A", WEEKS - 3, "must come after"),
        ("A", WEEKS + 104, "at most 104 weeks"),
    ],
)
def test_rows_that_cannot_be_forecast_are_refused(stores, trained, store, week, said):
    rows = table(stores)
    day = pa.array([FIRST + timedelta(weeks=week)], pa.date32())
    one = {"row": pa.array([1]), "store": pa.array([store]), "date": day, "sales": pa.array([None], pa.float64())}
    with pytest.raises(UserError, match=said):
        learner.score(trained[0], pa.concat_tables([rows, pa.table(one)]))


def test_a_store_that_reports_late_is_forecast_from_its_own_last_week(stores, trained):
    late = {**stores, "C": (0, stores["C"][1][:-2])}
    rows = table(late, ask=1)
    day = pa.array([FIRST + timedelta(weeks=WEEKS - 1)], pa.date32())
    asked = {"row": pa.array([9]), "store": pa.array(["C"]), "date": day, "sales": pa.array([None], pa.float64())}
    made = learner.score(trained[0], pa.concat_tables([rows, pa.table(asked)])).to_pandas()
    assert made.iloc[-1].method == "last_year_same_week"
    assert made.iloc[-1].predicted == pytest.approx(stores["C"][1][WEEKS - 53])


def test_nothing_after_an_origin_is_seen_there(stores):
    panel = read_panel(table(stores))
    changed = {name: (start, np.where(np.arange(len(v)) + start < 100, v, 9e6)) for name, (start, v) in stores.items()}
    other = read_panel(table(changed))
    for past, again in zip(*(past_origins(p, 18, 1, 13, "week_end") for p in (panel, other)), strict=True):
        assert past.origin == again.origin == 100
        np.testing.assert_array_equal(past.history.pooled, again.history.pooled)
        np.testing.assert_array_equal(past.history.ahead, again.history.ahead)
        assert not np.allclose(past.actual, again.actual)


@pytest.mark.parametrize(
    ("year", "day"),
    [(2010, date(2010, 4, 4)), (2011, date(2011, 4, 24)), (2012, date(2012, 4, 8)), (2025, date(2025, 4, 20))],
)
def test_easter_is_on_the_right_sunday(year, day):
    assert easter(year) == day


def test_the_week_before_easter_is_learned_and_moved_to_its_new_place():
    panel = read_panel(table(three_stores(115)))  # up to March 2016: Easter is on the 27th
    added = effects(panel, 6, "week_end")
    ahead = {panel.day(115 + i): effect for i, effect in enumerate(added[115:])}
    assert max(ahead, key=ahead.__getitem__) == date(2016, 3, 25)
    assert 0.25 < ahead[date(2016, 3, 25)] - np.median(list(ahead.values())) < 0.45  # log 1.5 = 0.41


def test_the_growth_that_fits_the_past_is_chosen():
    panel = read_panel(table(three_stores()))
    pasts = past_origins(panel, HORIZON, 6, 4, "week_end")
    found = choose_growth([(past.history, past.actual) for past in pasts])

    def loss(growth: Growth) -> float:
        made = [seasonal_growth(past.history, growth) + past.history.ahead[:, None] - past.actual for past in pasts]
        return float(np.mean([np.nanmean(np.abs(np.expm1(error))) for error in made]))

    assert loss(found) == min(map(loss, GRID))


def test_a_mean_of_the_useful_wins_unless_one_is_clearly_better():
    pasts = [Past(origin, None, np.zeros((1, 1))) for origin in (90, 80)]  # pyright: ignore[reportArgumentType]

    def with_mape(*mapes: float) -> list[np.ndarray]:
        return [np.full((1, 1), np.log1p(value)) for value in mapes]

    forecasts = {
        "a": with_mape(0.040, 0.040),
        "b": with_mape(0.050, 0.050),
        "seasonal_naive": with_mape(0.06, 0.08),
        "theta": with_mape(0.09, 0.09),
        "new": with_mape(0.01),  # could not be fitted at the older origin: a member, but no champion
        "late": with_mape(0.065),
    }
    assert useful(pasts, forecasts) == ["new", "a", "b"]
    assert choose(pasts, {**forecasts, "mean_of_candidates": with_mape(0.041, 0.041)}) == "mean_of_candidates"
    assert choose(pasts, {**forecasts, "mean_of_candidates": with_mape(0.044, 0.044)}) == "a"
    assert choose(pasts, forecasts) == "a"


def test_theta_is_fitted_only_from_two_seasons_on_and_follows_the_store_s_own_season():
    rng = np.random.default_rng(5)
    season = np.tile(np.exp(rng.normal(0, 0.2, 52)), 3)
    panel = read_panel(table({"A": (0, 1000 * season[:110] * rng.normal(1, 0.01, 110))}))
    made = per_store.forecast(prepare(panel, 8, "week_end"), ("theta", "own_mstl_arima"), 1)
    for logs in made.values():
        assert np.exp(logs[:, 0]) == pytest.approx(1000 * season[110:118], rel=0.05)
    young = prepare(panel.until(100), 8, "week_end")
    assert set(per_store.forecast(young, ("theta", "own_mstl_arima"), 1)) == {"own_mstl_arima"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1e7)), min_size=2, max_size=90), st.integers(0, 20))
def test_any_history_becomes_a_panel_without_holes(sales, start):
    values = np.array([np.nan if value is None else value for value in sales])
    if np.isnan(values).all():
        return
    other = np.ones(start + len(values))
    panel = read_panel(table({"A": (start, values), "B": (0, other)}))
    if not (values > 0).any():
        assert (panel.stores, panel.never) == (("B",), ("A",))
        return
    told = panel.known[:, 0]
    first = int(np.flatnonzero(told)[0])
    assert np.isnan(panel.logs[:first, 0]).all()
    assert np.isfinite(panel.logs[first:]).all()
    assert panel.filled() == int((~told[first:]).sum())
    # Whatever the file tells of is known or odd; a week without a sale is never a level.
    padded = np.concatenate([np.full(start, np.nan), values])
    assert (panel.rows[:, 0] == ~np.isnan(padded)).all()
    assert not told[padded == 0].any()
    assert np.exp(panel.logs[told, 0]) == pytest.approx(padded[told])
    pooled = prepare(panel.columns(np.array([False, True])), 3, "week_end") if panel.weeks > 52 else None
    assert pooled is None or np.isfinite(pooled.pooled).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([1.0, 3.0]))
def test_bands_hold_their_share_of_errors_like_those_they_were_learned_from(seed, scale):
    rng = np.random.default_rng(seed)
    errors = rng.normal(0, 0.05 * scale, (6, 8, 20))
    bands = learn_bands(errors, [str(i) for i in range(20)])
    fresh = np.abs(rng.normal(0, 0.05 * scale, (8, 20)))
    for coverage, share in (("80", 0.8), ("95", 0.95)):
        half = np.stack([bands.half_width(coverage, [str(i)], np.arange(1, 9)) for i in range(20)], axis=1)
        assert abs((fresh <= half).mean() - share) < 0.12
        assert (np.diff(half, axis=0) >= 0).all()


def test_a_band_goes_on_widening_beyond_the_weeks_that_were_tried():
    bands = Bands({"A": 0.1}, 0.2, {"80": [1.0, 2.0], "95": [2.0, 3.0]})
    assert bands.half_width("80", ["A", "A", "A", "Z"], np.array([1, 2, 8, 1])) == pytest.approx([0.1, 0.2, 0.4, 0.2])

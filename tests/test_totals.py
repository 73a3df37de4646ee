"""Bands of totals: what they are learned from, where there is none, and how often they hold."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from optiflow.learners.store_sales.intervals import learn_bands
from optiflow.pipelines.forecasting.totals import forecast_totals, in_words, past_totals, separate_windows

FIRST = date(2021, 1, 1)
HELD = pl.DataFrame(schema={"date": pl.Date, "actual": pl.Float64, "predicted": pl.Float64})


def week(number: int) -> date:
    return FIRST + timedelta(weeks=number)


def history(totals: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"date": [week(i) for i in range(len(totals))], "sales": totals})


def coming(after: int, predicted: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"date": [week(after + i) for i in range(len(predicted))], "predicted": predicted})


def told(offs: dict[int, list[float]]) -> pl.DataFrame:
    entries = [{"origin": week(origin - 1).isoformat(), "off": off} for origin, off in offs.items()]
    return past_totals(entries, HELD, FIRST, 7)


def test_windows_that_overlap_count_once():
    origins = [week(i) for i in (0, 4, 8, 12, 16)]
    assert [separate_windows(origins, 7 * weeks) for weeks in (1, 4, 5, 8, 9, 17)] == [5, 5, 3, 3, 2, 1]


def test_with_four_origins_the_band_is_as_wide_as_the_largest_miss_and_with_three_there_is_none():
    offs = {20: [0.02], 24: [-0.05], 28: [0.01], 32: [-0.03]}
    made = [
        forecast_totals(coming(60, np.array([200.0])), history(np.full(60, 200.0)), told(some), 7).row(0)
        for some in (offs, {origin: offs[origin] for origin in (24, 28, 32)})
    ]
    assert made[0][1:6] == (200.0, pytest.approx(190.0), pytest.approx(210.0), 4, False)
    assert made[1][2:5] == (None, None, 3)


def test_the_hold_out_is_one_more_origin():
    held = pl.DataFrame({"date": [week(41), week(41)], "actual": [60.0, 51.0], "predicted": [50.0, 50.0]})
    past = past_totals([], held, week(40), 7)
    assert past.rows() == [(week(40), week(41), 1, pytest.approx(0.11))]


def test_a_band_goes_to_nothing_at_the_least_where_misses_were_larger_than_the_total():
    offs = {origin: [2.5] for origin in (20, 24, 28, 32)}
    made = forecast_totals(coming(60, np.array([200.0])), history(np.full(60, 200.0)), told(offs), 7)
    assert made.select("low", "high").row(0) == (0.0, pytest.approx(700.0))


def test_christmas_has_no_band_where_only_quiet_weeks_were_tried_and_the_text_names_it():
    totals = np.full(100, 100.0)
    totals[50] = 180.0  # 2021-12-17
    sold, ahead = history(totals), coming(100, np.array([100.0, 100.0, 190.0]))  # to 2022-12-16
    past = told({origin: [0.02, -0.03, 0.01] for origin in range(60, 96, 4)})
    made = forecast_totals(ahead, sold, past, 7)
    assert made["peak"].to_list() == [False, False, True]
    assert made["low"].is_null().to_list() == [False, False, True]
    assert "No range for 2022-12-16: peaks" in in_words(made, past, "week")


def test_peaks_that_were_tried_widen_the_band_of_a_peak_alone():
    totals = np.full(120, 100.0)
    totals[[61, 69, 77, 93]] = 200.0  # the second one comes again after 52 weeks
    offs = {origin: [0.02, -0.01, 0.01, 0.02] for origin in range(56, 112, 4)}
    for at in (61, 69, 77, 93):
        offs[at - 1][1] = 0.3
    made = forecast_totals(coming(120, np.array([100.0, 200.0])), history(totals), told(offs), 7)
    width = (made["high"] / made["predicted"] - 1).to_list()
    assert width == [pytest.approx(0.02, abs=0.011), pytest.approx(0.3)]


def test_a_forecast_that_misses_christmas_has_no_band_there_either():
    totals = np.full(100, 100.0)
    totals[50] = 180.0
    past = told({origin: [0.02, -0.03, 0.01] for origin in range(60, 96, 4)})
    flat = forecast_totals(coming(100, np.full(3, 100.0)), history(totals), past, 7)
    assert flat["low"].is_null().to_list() == [False, False, True]


def test_christmas_has_no_band_in_a_first_year_and_a_steep_season_has_one():
    rising = 100 * 1.05 ** np.arange(53)
    past = told({origin: [0.01, -0.02, 0.01, 0.02] for origin in range(10, 48, 4)})
    ahead = forecast_totals(coming(48, rising[48:]), history(rising[:48]), past, 7)  # 2021-12-03 to 2021-12-31
    assert ahead["peak"].to_list() == [False, False, True, True, True]
    assert ahead["low"].is_null().to_list() == [False, False, True, True, True]


def test_five_origins_need_their_largest_miss_too_and_nine_the_last_but_one():
    widths = []
    for count in (5, 9):
        offs = {20 + 4 * i: [0.01 * (i + 1)] for i in range(count)}
        made = forecast_totals(coming(60, np.array([100.0])), history(np.full(60, 100.0)), told(offs), 7)
        widths.append(round(made["high"][0] - 100, 6))
    assert widths == [5.0, 8.0]  # the ceil(0.8 x 6) = 5th of 5, the ceil(0.8 x 10) = 8th of 9


def test_errors_from_other_distances_are_brought_to_the_distance_asked_for():
    offs = {origin: [0.01 * step for step in range(1, 9)] for origin in range(8, 80, 8)}
    made = forecast_totals(coming(100, np.full(8, 100.0)), history(np.full(100, 100.0)), told(offs), 7)
    assert (made["high"] - 100).to_list() == pytest.approx(list(range(1, 9)))


@pytest.mark.parametrize(("shocks_last", "low", "high"), [(True, 0.74, 0.92), (False, 0.74, 0.95)])
def test_bands_of_totals_hold_about_as_often_as_they_say_where_all_stores_share_a_shock(shocks_last, low, high):
    horizon, weeks, held = 8, 140, []
    for seed in range(60):
        shocks = np.random.default_rng(seed).normal(0, 0.02, weeks + horizon)
        logs = np.cumsum(shocks) if shocks_last else shocks
        level = logs if shocks_last else np.zeros_like(logs)  # the best forecast, made the week before
        offs = {
            origin: (np.exp(logs[origin : min(origin + horizon, weeks)] - level[origin - 1]) - 1).tolist()
            for origin in range(64, weeks, 4)
        }
        ahead = coming(weeks, np.full(horizon, 1000 * np.exp(level[weeks - 1])))
        made = forecast_totals(ahead, history(1000 * np.exp(logs[:weeks])), told(offs), 7)
        actual = pl.Series(1000 * np.exp(logs[weeks:]))
        held.append(((actual >= made["low"]) & (actual <= made["high"])).mean())
    assert low < float(np.mean(held)) < high


def poisson(mean: float, days: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, days) / mean


def noisy(noise: float, weeks: int, seed: int) -> np.ndarray:
    return 1 + np.random.default_rng(seed).normal(0, noise, weeks)


def surprising(share: float, weeks: int, seed: int) -> np.ndarray:
    """Quiet weeks, and as large a share of others, higher or lower by 30 %, that nobody knows before."""
    rng = np.random.default_rng(seed)
    return 1 + rng.normal(0, 0.03, weeks) + 0.3 * rng.choice([-1, 0, 1], weeks, p=[share / 2, 1 - share, share / 2])


def simulated(draw: Callable[[float, int, int], np.ndarray], size: float, period: int, runs: int) -> pl.DataFrame:
    """Totals around a forecast that is their mean, each with `inside`: whether the band held it."""
    # Two years of days with sixteen origins, or 140 weeks with an origin each month, as the learners have them; till autumn.
    known, horizon, step, first = (644, 28, 28, 196) if period == 1 else (140, 8, 4, 64)
    days = [FIRST + timedelta(period * n) for n in range(known + horizon)]
    made = []
    for seed in range(runs):
        actual = draw(size, known + horizon, seed)
        entries = [
            {"origin": days[at - 1].isoformat(), "off": (actual[at : min(at + horizon, known)] - 1).tolist()}
            for at in range(first, known, step)
        ]
        sold = pl.DataFrame({"date": days[:known], "sales": actual[:known]})
        ahead = pl.DataFrame({"date": days[known:], "predicted": np.ones(horizon)})
        totals = forecast_totals(ahead, sold, past_totals(entries, HELD, FIRST, period), period)
        truth = pl.Series(actual[known:])
        made.append(totals.with_columns(inside=(truth >= totals["low"]) & (truth <= totals["high"])))
    return pl.concat(made)


@pytest.mark.parametrize(
    ("draw", "size", "period", "runs"),
    [(noisy, 0.1, 7, 40), (noisy, 0.15, 7, 40), (noisy, 0.2, 7, 40), (poisson, 25, 1, 12), (poisson, 100, 1, 12)],
)
def test_bands_hold_as_often_as_they_say_whatever_the_noise_where_the_forecast_is_the_mean(draw, size, period, runs):
    made = simulated(draw, size, period, runs)
    usual = made.filter(~pl.col("peak"))
    inside, peaks = float(usual["inside"].to_numpy().mean()), float(made["peak"].to_numpy().mean())
    print(draw.__name__, size, "usual", inside, "peaks", peaks)
    assert usual["low"].null_count() == 0
    assert 0.75 <= inside <= 0.92
    assert peaks < 0.03


def test_large_misses_that_nobody_foresaw_stay_in_the_band_of_usual_weeks():
    made = simulated(surprising, 0.3, 7, 40)
    usual = made.filter(~pl.col("peak"))
    inside = float(usual["inside"].to_numpy().mean())
    print("usual", inside, "of", usual.height)
    assert 0.75 <= inside <= 0.95


def test_a_flat_forecast_does_not_show_that_a_first_christmas_is_no_peak():
    past = told({origin: [0.01] * min(26, 40 - origin) for origin in range(10, 40, 2)})
    made = forecast_totals(coming(40, np.full(26, 100.0)), history(np.full(40, 100.0)), past, 7)  # to 2022-04-01
    assert made.filter("peak")["date"].to_list() == [date(2021, 12, 17), date(2021, 12, 24), date(2021, 12, 31)]
    assert made.filter("peak")["low"].null_count() == 3


def test_a_christmas_that_noise_could_explain_is_a_peak_all_the_same():
    totals = 100 * noisy(0.15, 100, seed=3)
    totals[50:52] = 140.0  # 2021-12-17 and a week later: within three standard deviations
    past = told({origin: (totals[origin : origin + 4] / 100 - 1).tolist() for origin in range(60, 96, 4)})
    made = forecast_totals(coming(100, np.full(4, 100.0)), history(totals), past, 7)  # to 2022-12-23
    assert made["peak"].to_list() == [False, False, True, True]


def test_each_missing_band_has_its_own_reason():
    totals = np.full(120, 100.0)
    totals[[9, 17, 25, 33, 69]] = (
        200.0  # peaks a year before all weeks that were forecast, and before the second one to come
    )
    past = told({61: [0.02], 69: [-0.03], 77: [0.01], 85: [0.02]})
    ahead = coming(120, np.array([100.0, 200.0, 100.0]))
    made = forecast_totals(ahead, history(totals), past, 7)
    assert made["lacks"].to_list() == ["usual", "windows", "windows"]
    words = in_words(made, past, "week")
    assert "No range for 2023-04-21: too few weeks about as far ahead were ever tried that were not peaks." in words
    assert "No range for 2023-04-28, 2023-05-05: the history has under 4 separate windows of that length" in words
    assert made["low"].null_count() == 3


@pytest.mark.parametrize("past", range(4, 40))
def test_a_conformal_band_holds_its_share_of_all_orders_that_errors_can_come_in(past):
    errors = np.arange(1.0, past + 2)  # each is the new one in one of past + 1 equally likely cases
    inside = [
        errors[new]
        <= learn_bands(np.delete(errors, new)[:, None, None], ["A"]).half_width("80", ["A"], np.array([1]))[0]
        for new in range(past + 1)
    ]
    assert 0.8 <= np.mean(inside) < 0.8 + 1 / (past + 1)

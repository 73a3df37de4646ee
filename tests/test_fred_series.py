"""Facts about publication dates, first releases and the as-of calendar."""

import os
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.fred.calendar import asof_calendar
from optiflow.fred.series import (
    PUBLICATION_LAG_DAYS,
    SERIES_SCHEMA,
    check_series_id,
    first_releases,
    infer_frequency,
    lag_days,
    with_publication_lag,
)

SHARED_FRED = Path(os.environ.get("OPTIFLOW_SHARED_DATA", Path(__file__).parents[1] / "../shared/data")) / "fred"
BASE = date(2020, 1, 1)

releases = st.lists(
    st.tuples(
        st.sampled_from(["AAA", "BBB"]),
        st.integers(0, 40),  # observation, days after BASE
        st.integers(0, 60),  # release, days after BASE: in any order, late, or revised
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:3],
)


def series_table(rows) -> pl.DataFrame:
    day = timedelta(days=1)
    data = [(sid, BASE + seen * day, BASE + out * day, value, "latest") for sid, seen, out, value in rows]
    return pl.DataFrame(data, schema=SERIES_SCHEMA, orient="row")


def newest_published(rows, series_id: str, day: date) -> float | None:
    """The definition, word for word: newest observation among those out by the day; of its releases, the last one."""
    known = [
        (seen, out, value)
        for sid, seen, out, value in rows
        if sid == series_id and value is not None and BASE + timedelta(days=out) <= day
    ]
    return max(known, key=lambda row: row[:2])[2] if known else None


@settings(max_examples=120, deadline=None)
@given(rows=releases)
def test_calendar_holds_the_newest_published_value_whatever_the_release_order(rows):
    calendar = asof_calendar(series_table(rows), BASE - timedelta(days=2), BASE + timedelta(days=65))
    assert calendar["day"].to_list() == [BASE + timedelta(days=n) for n in range(-2, 66)]
    for series_id in {row[0] for row in rows}:
        expected = [newest_published(rows, series_id, day) for day in calendar["day"]]
        assert calendar[series_id].to_list() == expected


def test_a_late_release_of_an_older_observation_does_not_replace_a_newer_one():
    rows = [("AAA", 10, 20, 10.0), ("AAA", 5, 30, 5.0), ("AAA", 11, 40, 11.0)]
    calendar = asof_calendar(series_table(rows), BASE, BASE + timedelta(days=50))
    assert calendar["AAA"].to_list() == [None] * 20 + [10.0] * 20 + [11.0] * 11


def test_a_missing_value_leaves_the_last_published_one_standing():
    calendar = asof_calendar(series_table([("AAA", 1, 2, 3.5), ("AAA", 5, 6, None)]), BASE, BASE + timedelta(days=9))
    assert calendar["AAA"].to_list() == [None, None] + [3.5] * 8


def test_a_series_without_any_value_is_a_column_of_nulls():
    calendar = asof_calendar(series_table([("AAA", 1, 2, None)]), BASE, BASE + timedelta(days=3))
    assert calendar.schema["AAA"] == pl.Float64
    assert calendar["AAA"].null_count() == 4


@pytest.mark.parametrize(
    ("interval", "code"),
    [("1d", "D"), ("7d", "W"), ("14d", "BW"), ("1mo", "M"), ("3mo", "Q"), ("6mo", "SA"), ("1y", "A")],
)
def test_frequency_follows_the_spacing_of_the_dates(interval, code):
    dates = pl.date_range(date(2000, 1, 1), date(2010, 1, 1), interval, eager=True)
    assert infer_frequency(dates) == code
    assert infer_frequency(dates.shuffle(seed=1)) == code


def test_business_days_are_daily_and_a_single_date_has_the_slowest_lag():
    days = pl.date_range(date(2020, 1, 1), date(2021, 1, 1), eager=True)
    assert infer_frequency(days.filter(days.dt.weekday() <= 5)) == "D"
    assert lag_days(infer_frequency(days.head(1))) == max(PUBLICATION_LAG_DAYS.values())
    assert lag_days("5Y") == max(PUBLICATION_LAG_DAYS.values())


def test_publication_lag_moves_every_observation_and_keeps_missing_ones_missing():
    observations = pl.DataFrame(
        {
            "series_id": ["AAA"] * 3,
            "observation_date": [date(2020, 3, 1), date(2020, 1, 1), date(2020, 2, 1)],
            "value": [3.0, float("nan"), 2.0],
        }
    )
    series = with_publication_lag(observations, "M")
    assert series.schema == SERIES_SCHEMA
    assert series["value"].to_list() == [None, 2.0, 3.0]
    assert (series["available_at"] - series["observation_date"]).dt.total_days().to_list() == [92, 92, 92]
    assert series["vintage"].unique().to_list() == ["latest"]


def vintages(*rows: tuple[date, date, float | None]) -> pl.DataFrame:
    schema = {"observation_date": pl.Date, "realtime_start": pl.Date, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(series_id=pl.lit("AAA"))


def test_the_first_release_counts_and_revisions_do_not():
    series = first_releases(
        vintages(
            (date(2020, 2, 1), date(2020, 4, 20), 2.2),
            (date(2020, 2, 1), date(2020, 3, 12), 2.0),
            (date(2020, 1, 1), date(2020, 2, 13), 1.0),
            (date(2020, 3, 1), date(2020, 4, 20), 3.0),
        ),
        "M",
    )
    assert series.schema == SERIES_SCHEMA
    assert series["value"].to_list() == [1.0, 2.0, 3.0]
    assert series["available_at"].to_list()[1:] == [date(2020, 3, 12), date(2020, 4, 20)]
    assert series["vintage"].unique().to_list() == ["first_release"]


def test_what_the_archive_began_with_is_dated_by_lag_and_never_after_the_archive_had_it():
    begin = date(1996, 12, 12)
    series = first_releases(
        vintages(
            (date(1960, 1, 1), begin, 1.0),
            (date(1996, 11, 1), begin, 2.0),
            (date(1996, 12, 1), date(1997, 1, 14), 3.0),
        ),
        "M",
    )
    assert series["available_at"].to_list() == [date(1960, 4, 2), begin, date(1997, 1, 14)]


@pytest.mark.parametrize(
    ("observed", "begin", "frequency", "known_by"),
    [
        # FRED's own example of vintages: GNPCA's begin on 1958-12-21, with every year from 1929 on. What the nation made in
        # 1956 was in the papers in 1957; nobody waited for the archive.
        (date(1956, 1, 1), date(1958, 12, 21), "A", date(1957, 12, 31)),
        (date(1929, 1, 1), date(1958, 12, 21), "A", date(1931, 1, 1)),
        # CPIAUCSL's begin on 1972-07-21; January's prices came out in February.
        (date(1972, 1, 1), date(1972, 7, 21), "M", date(1972, 4, 2)),
        (date(1972, 6, 1), date(1972, 7, 21), "M", date(1972, 7, 21)),
    ],
)
def test_the_archives_first_day_is_not_taken_for_the_publication_of_what_was_out_before(
    observed, begin, frequency, known_by
):
    later = (date(observed.year + 40, 1, 1), date(observed.year + 40, 2, 14), 9.0)
    series = first_releases(vintages((observed, begin, 1.0), later), frequency)
    assert series["available_at"].to_list() == [known_by, later[1]]


def test_history_added_to_the_archive_years_later_is_dated_by_lag():
    series = first_releases(
        vintages((date(2010, 1, 1), date(2010, 2, 12), 1.0), (date(1990, 1, 1), date(2015, 5, 5), 0.5)), "M"
    )
    assert series["available_at"].to_list()[0] == date(1990, 4, 3)


def test_a_release_that_came_late_is_not_taken_for_known_by_its_usual_day():
    # New homes sold in December 2018 came out on 5 March 2019, 94 days after the month began: the government was shut down.
    series = first_releases(
        vintages(
            (date(2018, 11, 1), date(2019, 1, 31), 657.0),
            (date(2018, 12, 1), date(2019, 3, 5), 621.0),
            (date(2019, 1, 1), date(2019, 12, 1), 607.0),  # and one that was held up for eight months
        ),
        "M",
    )
    assert series["available_at"].to_list()[1:] == [date(2019, 3, 5), date(2019, 12, 1)]


def test_a_release_without_a_figure_is_not_the_first_release():
    series = first_releases(
        vintages(
            (date(2019, 12, 1), date(2020, 1, 10), 1.0),
            (date(2020, 1, 1), date(2020, 2, 10), None),
            (date(2020, 1, 1), date(2020, 3, 10), 7.0),
            (date(2020, 2, 1), date(2020, 3, 10), float("nan")),
        ),
        "M",
    )
    assert series["value"].to_list() == [1.0, 7.0, None]
    assert series["available_at"].to_list()[1] == date(2020, 3, 10)


@pytest.mark.parametrize("bad", ["", "cpi", "../X", "A/B", "A B", "A" * 41, "A\n", "Ü"])
def test_series_ids_with_other_characters_are_refused(bad):
    with pytest.raises(UserError, match="not a FRED series id"):
        check_series_id(bad)


def test_a_lower_case_series_id_is_answered_with_the_one_meant():
    with pytest.raises(UserError, match="Did you mean 'CPIAUCSL'"):
        check_series_id("cpiaucsl")


@pytest.mark.skipif(not SHARED_FRED.is_dir(), reason="no shared FRED data (OPTIFLOW_SHARED_DATA)")
def test_real_series_have_their_true_frequency_and_an_order_sees_only_what_was_out():
    weekly, daily = {"GASREGW", "ICSA"}, {"DGS10", "DCOILWTICO"}
    frames = []
    for path in sorted(SHARED_FRED.glob("*.csv")):
        table = pl.read_csv(path, schema={"observation_date": pl.Date, path.stem: pl.Float64})
        table = table.rename({path.stem: "value"})
        code = infer_frequency(table["observation_date"])
        assert code == ("W" if path.stem in weekly else "D" if path.stem in daily else "M"), path.stem
        frames.append(with_publication_lag(table.with_columns(series_id=pl.lit(path.stem)), code))
    series = pl.concat(frames)
    calendar = asof_calendar(series, date(2018, 5, 31), date(2020, 12, 30))
    assert calendar.shape == (945, len(frames) + 1)
    assert sum(calendar.null_count().row(0)) == 0
    on_the_day = calendar.row(by_predicate=pl.col("day") == date(2020, 5, 15), named=True)
    # 14.8 % unemployment is April 2020's figure; by the cautious lag the newest one out on 15 May is February's.
    assert on_the_day["UNRATE"] == 3.5

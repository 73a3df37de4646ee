"""Facts about joining orders with series: no row lost, no future seen, what is not covered is said."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich, future_violations, series_coverage, values_by_day
from optiflow.fred.series import SERIES_SCHEMA

BASE = date(2020, 1, 1)
DAY = timedelta(days=1)
MOMENTS = pl.Series(["2020-03-09 23:59:59", "2020-03-12 00:00:00"]).str.to_datetime()


def monthly(series_id: str, first: date = date(2019, 1, 1), months: int = 30, lag: int = 40) -> pl.DataFrame:
    dates = pl.date_range(first, first + timedelta(days=31 * months), "1mo", eager=True).head(months)
    frame = pl.DataFrame({"observation_date": dates, "value": [100.0 + n for n in range(months)]})
    return frame.select(
        series_id=pl.lit(series_id),
        observation_date="observation_date",
        available_at=pl.col("observation_date") + lag * DAY,
        value="value",
        vintage=pl.lit("latest"),
    )


dates = st.dates(date(2019, 6, 1), date(2021, 6, 1))
rows = st.tuples(
    st.sampled_from(["AAA", "BBB"]), dates, st.integers(0, 200), st.one_of(st.none(), st.floats(-1e6, 1e6))
)


@settings(max_examples=60, deadline=None)
def violations(enriched: pl.LazyFrame, series: pl.DataFrame) -> pl.DataFrame:
    return future_violations(values_by_day(enriched, series, "placed").collect(), series)


@given(order_days=st.lists(st.one_of(st.none(), dates), min_size=1, max_size=60), releases=st.lists(rows, min_size=1))
def test_enriching_keeps_every_row_in_place_and_shows_no_future_value(order_days, releases):
    table = [(sid, seen, seen + out * DAY, value, "latest") for sid, seen, out, value in releases]
    series = pl.DataFrame(table, schema=SERIES_SCHEMA, orient="row").unique(["series_id", "observation_date"])
    orders = pl.DataFrame(
        {"id": range(len(order_days)), "placed": order_days}, schema={"id": pl.Int64, "placed": pl.Date}
    )
    calendar = asof_calendar(series, date(2019, 6, 1), date(2021, 6, 1))
    enriched = enrich(orders.lazy(), calendar, "placed").collect()
    assert enriched.select("id", "placed").equals(orders)
    assert enriched.columns == ["id", "placed", *calendar.columns[1:]]
    assert violations(enriched.lazy(), series).is_empty()
    for row in enriched.iter_rows(named=True):
        for series_id in calendar.columns[1:]:
            out = series.filter(pl.col("series_id") == series_id, pl.col("value").is_not_null())
            known = out.filter(pl.col("available_at") <= row["placed"]) if row["placed"] else out.clear()
            newest = known.sort("observation_date")["value"].to_list()[-1:]
            assert [row[series_id]] == (newest or [None])


@pytest.mark.parametrize(
    "moments",
    [
        MOMENTS,
        MOMENTS.dt.replace_time_zone("America/New_York"),
        pl.Series([date(2020, 3, 9), date(2020, 3, 12)]),
    ],
    ids=["datetime", "datetime with a zone", "date"],
)
def test_an_order_counts_to_the_day_that_its_own_clock_shows(moments):
    series = monthly("AAA", first=date(2020, 1, 30), months=2, lag=41)  # out on 11 March and 10 April
    orders = pl.LazyFrame({"placed": moments})
    calendar = asof_calendar(series, date(2020, 1, 1), date(2020, 6, 1))
    assert enrich(orders, calendar, "placed").collect()["AAA"].to_list() == [None, 100.0]


def test_an_orders_column_named_day_survives():
    calendar = asof_calendar(monthly("AAA"), BASE, BASE + 9 * DAY)
    orders = pl.LazyFrame({"placed": [BASE], "day": ["Wednesday"]})
    assert enrich(orders, calendar, "placed").collect().to_dict(as_series=False) == {
        "placed": [BASE],
        "day": ["Wednesday"],
        "AAA": [110.0],
    }


def test_an_orders_column_with_the_name_of_a_series_is_refused():
    calendar = asof_calendar(monthly("AAA"), BASE, BASE + DAY)
    with pytest.raises(UserError, match=r"already have a column AAA.*rename"):
        enrich(pl.LazyFrame({"placed": [BASE], "AAA": [1.0]}), calendar, "placed")


@pytest.mark.parametrize(
    ("frame", "column", "says"),
    [({"placed": [BASE]}, "order_date", "No column 'order_date'"), ({"placed": ["2020-01-01"]}, "placed", "not dates")],
)
def test_a_date_column_that_is_missing_or_holds_no_dates_is_refused(frame, column, says):
    with pytest.raises(UserError, match=says):
        enrich(pl.LazyFrame(frame), asof_calendar(monthly("AAA"), BASE, BASE), column)


def test_a_value_from_the_future_is_found_and_named():
    series = pl.concat([monthly("AAA"), monthly("BBB", lag=70)])
    orders = pl.LazyFrame({"placed": pl.date_range(BASE, BASE + 99 * DAY, eager=True)})
    sound = enrich(orders, asof_calendar(series, BASE, BASE + 99 * DAY), "placed")
    assert violations(sound, series).is_empty()
    by_observation_date = series.with_columns(available_at="observation_date")
    leaky = enrich(orders, asof_calendar(by_observation_date, BASE, BASE + 99 * DAY), "placed")
    found = violations(leaky.with_columns(AAA=sound.collect()["AAA"]), series)
    assert found["series_id"].unique().to_list() == ["BBB"]
    assert found.height == 100
    first = found.sort("day").row(0, named=True)
    assert first == {"day": BASE, "series_id": "BBB", "found": 112.0, "expected": 109.0}


def test_a_single_wrong_row_among_many_is_found():
    series = monthly("AAA")
    orders = pl.LazyFrame({"placed": [BASE + (n % 50) * DAY for n in range(20_000)]})
    frame = enrich(orders, asof_calendar(series, BASE, BASE + 49 * DAY), "placed").with_row_index("n")
    wrong = frame.with_columns(pl.when(pl.col("n") == 12_345).then(None).otherwise("AAA").alias("AAA"))
    assert violations(wrong, series)["found"].to_list() == [None]


def test_a_series_that_begins_after_every_order_is_refused_with_both_dates():
    late = monthly("LATE", first=date(2021, 1, 1), lag=40)
    with pytest.raises(UserError, match=r"LATE was first published on 2021-02-10.*2020-01-01 to 2020-01-05"):
        series_coverage(late, pl.Series([BASE, BASE + 4 * DAY]))


def test_a_series_that_covers_a_part_is_counted_and_loses_no_row():
    series = pl.concat([monthly("AAA"), monthly("LATE", first=date(2020, 1, 1), months=3, lag=31)])
    placed = pl.Series([BASE, None, BASE + 30 * DAY, BASE + 31 * DAY, date(2025, 1, 1)], dtype=pl.Date)
    coverage = series_coverage(series, placed.cast(pl.Datetime("us")))
    assert (coverage["AAA"].rows_before, coverage["LATE"].rows_before) == (0, 2)
    assert coverage["LATE"].first_available == date(2020, 2, 1)
    assert coverage["LATE"].last_available == date(2020, 4, 1)
    assert coverage["LATE"].rows_stale == 1
    calendar = asof_calendar(series, BASE, date(2025, 1, 1))
    assert enrich(placed.to_frame("placed").lazy(), calendar, "placed").collect()["LATE"].null_count() == 3


def test_a_series_without_a_value_is_refused():
    empty = monthly("AAA").with_columns(value=pl.lit(None, pl.Float64))
    with pytest.raises(UserError, match="AAA holds no value"):
        series_coverage(empty, pl.Series([BASE]))

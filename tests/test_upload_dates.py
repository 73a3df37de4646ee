"""One date format per column: inference, ambiguity, overrides, times."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.upload.date_formats import DATE_FORMATS, check_format, parse_dates
from optiflow.upload.dates import DateReading, read_date_format
from optiflow.upload.reading import Upload, read_upload

FIRST = dt.date(2018, 1, 25)
DAYS = [FIRST + dt.timedelta(days=i) for i in range(40)]


def written(date_format: str, days: list[dt.date] = DAYS) -> list[str]:
    return [day.strftime(date_format) for day in days]


def read(folder: Path, dates: list[str], other: list[str] | None = None, **options: Any) -> Upload:
    path = folder / "f"
    table = pl.DataFrame({"d": dates, "y": range(len(dates)), **({"e": other} if other else {})})
    table.write_csv(path)
    return read_upload(path, "f.csv", DatasetOptions.model_validate({"target": "y", "date_column": "d"} | options))


def refusal(folder: Path, dates: list[str], **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(folder, dates, **options)
    return str(error.value)


@pytest.mark.parametrize("date_format", DATE_FORMATS)
def test_every_form_of_dates_is_read(tmp_path: Path, date_format: str):
    upload = read(tmp_path, written(date_format))
    assert upload.accepted["d"].to_list() == DAYS
    assert upload.accepted["d"].dtype == pl.Date


@pytest.mark.parametrize("date_format", ["%-d/%-m/%y", "%-m/%-d/%Y", "%Y-%-m-%-d", "%-d %B %Y", "%B %-d, %Y"])
def test_days_and_months_of_one_digit_are_read(tmp_path: Path, date_format: str):
    assert read(tmp_path, written(date_format)).accepted["d"].to_list() == DAYS


@pytest.mark.parametrize("form", ["{d:%d}/{d:%m}/{y}", "{d:%d}.{d:%m}.{y}", "{y}-{d:%m}-{d:%d} {d:%H:%M}"])
def test_years_counted_as_in_thailand_are_those_of_the_common_era(tmp_path: Path, form: str):
    days = [dt.date(2024, 2, 20) + dt.timedelta(days=i) for i in range(40)]  # 29 February: 2567 itself has none
    upload = read(tmp_path, [form.format(d=day, y=day.year + 543) for day in days])
    assert upload.accepted["d"].cast(pl.Date).to_list() == days
    assert upload.rejected.height == 0
    assert any("543" in note for note in upload.notes)


def test_one_far_day_among_others_is_no_other_era(tmp_path: Path):
    upload = read(tmp_path, [*written("%Y-%m-%d", DAYS[:-1]), "2567-03-05"])
    assert not any("543" in note for note in upload.notes)
    assert upload.accepted["d"].max() == DAYS[-2]


@pytest.mark.parametrize(
    "suffix", [" %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M:%SZ", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S%p"]
)
@pytest.mark.parametrize("date_format", ["%Y-%m-%d", "%d.%m.%y", "%b %d, %Y", "%Y%m%d"])
def test_times_of_day_make_datetimes(tmp_path: Path, date_format: str, suffix: str):
    times = [dt.datetime.combine(day, dt.time(i % 24, 30)) for i, day in enumerate(DAYS)]
    upload = read(tmp_path, [time.strftime(date_format + suffix) for time in times])
    assert upload.accepted["d"].dtype == pl.Datetime("us")
    assert upload.accepted["d"].to_list() == times


@pytest.mark.parametrize("zone", ["+05:30", "+0930", " +13", "Z", " IST", " GMT+0530 (India Standard Time)", "-08:00"])
def test_the_day_is_that_of_the_wall_s_clock_whatever_zone_stands_behind_it(tmp_path: Path, zone: str):
    upload = read(tmp_path, [f"{day} 01:30:00{zone if i % 2 else ''}" for i, day in enumerate(DAYS)])
    assert upload.accepted["d"].to_list() == [dt.datetime.combine(day, dt.time(1, 30)) for day in DAYS]


def test_fractions_of_a_second_may_come_and_go(tmp_path: Path):
    upload = read(tmp_path, [f"{day}T01:30:00{'.25' if i % 3 == 0 else ''}" for i, day in enumerate(DAYS)])
    assert upload.accepted["d"][:2].to_list() == [
        dt.datetime.fromisoformat("2018-01-25T01:30:00.250"),
        dt.datetime.fromisoformat("2018-01-26T01:30"),
    ]


def test_midnight_throughout_is_a_date(tmp_path: Path):
    upload = read(tmp_path, written("%Y-%m-%d 00:00:00"))
    assert upload.accepted["d"].dtype == pl.Date
    assert upload.accepted["d"].to_list() == DAYS


def test_one_value_over_twelve_settles_day_and_month(tmp_path: Path):
    early = [f"{i % 12 + 1}/{i * 5 % 12 + 1}/2018" for i in range(39)]
    assert read(tmp_path, [*early, "13/1/2018"]).accepted["d"][1] == dt.date(2018, 6, 2)
    assert read(tmp_path, [*early, "1/13/2018"]).accepted["d"][1] == dt.date(2018, 2, 6)


AMBIGUOUS = [f"{i % 12 + 1:02d}/{i * 5 % 12 + 1:02d}/2018" for i in range(40)]


def test_ambiguous_days_and_months_are_refused_with_both_readings_and_the_lines_to_write(tmp_path: Path):
    message = refusal(tmp_path, AMBIGUOUS)
    for part in (
        *("f.csv", "column 'd'", "cannot be told apart", "f.csv.options.yaml"),
        "'02/06/2018' is 2 June 2018 as %d/%m/%Y, but 6 February 2018 as %m/%d/%Y",
        "'03/11/2018' is 3 November 2018",
        *('\n  date_format: "%d/%m/%Y"', '\n  date_format: "%m/%d/%Y"'),
    ):
        assert part in message


@pytest.mark.parametrize(
    ("date_format", "second"), [("%d/%m/%Y", dt.date(2018, 6, 2)), ("%m/%d/%Y", dt.date(2018, 2, 6))]
)
def test_the_option_settles_an_ambiguity(tmp_path: Path, date_format: str, second: dt.date):
    upload = read(tmp_path, AMBIGUOUS, date_format=date_format)
    assert (upload.accepted["d"][1], upload.date_formats) == (second, {"d": date_format})


def test_dates_that_are_the_same_both_ways_are_no_ambiguity(tmp_path: Path):
    upload = read(tmp_path, [f"{i % 12 + 1:02d}/{i % 12 + 1:02d}/2018" for i in range(40)])
    assert upload.accepted["d"][1] == dt.date(2018, 2, 2)


def test_an_ambiguous_other_column_follows_the_date_column(tmp_path: Path):
    upload = read(tmp_path, written("%m/%d/%Y"), AMBIGUOUS)
    assert upload.accepted["e"][1] == dt.date(2018, 2, 6)


def test_an_ambiguous_other_column_stays_text_where_nothing_settles_it(tmp_path: Path):
    assert read(tmp_path, written("%Y-%m-%d"), AMBIGUOUS).accepted["e"].to_list() == AMBIGUOUS


def test_another_column_with_one_value_that_is_no_date_stays_text(tmp_path: Path):
    other = [*written("%Y-%m-%d")[1:], "soon"]
    upload = read(tmp_path, written("%Y-%m-%d"), other)
    assert upload.accepted["e"].to_list() == other


def test_values_that_do_not_fit_the_column_s_format_are_rejected(tmp_path: Path):
    dates = written("%d/%m/%Y")
    dates[7] = "2018-02-01"
    dates[9] = "31/02/2018"
    upload = read(tmp_path, dates, max_rejected_fraction=0.1)
    assert upload.rejected.rows() == [
        (9, "d", "is not a date like %d/%m/%Y", "2018-02-01"),
        (11, "d", "is not a date like %d/%m/%Y", "31/02/2018"),
    ]
    assert upload.accepted.height == 38


def test_a_column_of_two_formats_is_refused_with_examples(tmp_path: Path):
    message = refusal(tmp_path, written("%d/%m/%Y")[:30] + written("%Y-%m-%d")[:10])
    for part in (
        "column 'd'",
        "no date format fits",
        "%d/%m/%Y, fits 75.0%",
        "'2018-01-25'",
        "all dates of the file alike",
    ):
        assert part in message


def test_a_date_column_of_words_is_refused_with_examples(tmp_path: Path):
    message = refusal(tmp_path, ["week one", "week two"] * 20)
    for part in ("column 'd'", "no date format fits", "'week one'", "write them as 2024-12-31"):
        assert part in message


def test_plain_numbers_are_dates_only_in_the_date_column_and_only_as_yyyymmdd(tmp_path: Path):
    digits = written("%Y%m%d")
    upload = read(tmp_path, digits, digits)
    assert upload.accepted["d"].to_list() == DAYS
    assert upload.accepted["e"].to_list() == [int(text) for text in digits]
    assert "no date format fits" in refusal(tmp_path, [str(150_000 + i) for i in range(40)])


@pytest.mark.parametrize(("unit", "per_second"), [("epoch_s", 1), ("epoch_ms", 1000)])
def test_times_since_1970_are_refused_until_the_options_say_their_unit(tmp_path: Path, unit: str, per_second: int):
    texts = [str((1_500_000_000 + 60 * i) * per_second) for i in range(40)]
    assert f"date_format: {unit}" in refusal(tmp_path, texts)
    upload = read(tmp_path, texts, date_format=unit)
    assert upload.accepted["d"].dt.epoch("s").to_list() == [1_500_000_000 + 60 * i for i in range(40)]


@pytest.mark.parametrize(
    ("date_format", "part"),
    [
        ("%d/%q/%Y", "unknown directive '%q'"),
        ("%d/%m/%", "unknown directive '%'"),
        ("dd/mm/yyyy", "no directive for the year and the month and the day"),
        ("%d/%Y", "no directive for the month"),
        ("%Y-%m-%d", "fits only 0.0% of the values"),
    ],
)
def test_a_wrong_date_format_option_is_refused(tmp_path: Path, date_format: str, part: str):
    message = refusal(tmp_path, AMBIGUOUS, date_format=date_format)
    assert part in message
    assert "f.csv.options.yaml" in message


def test_python_s_own_spelling_of_a_format_is_understood(tmp_path: Path):
    upload = read(tmp_path, [f"{day:%-d.%-m.%Y} 01:02:03.5" for day in DAYS], date_format="%-d.%-m.%Y %H:%M:%S.%f")
    assert upload.accepted["d"][0] == dt.datetime.fromisoformat("2018-01-25T01:02:03.500")


def test_the_only_column_of_dates_is_the_date_column(tmp_path: Path):
    assert read(tmp_path, written("%d/%m/%Y"), ["x"] * 40, date_column=None).date_column == "d"


def test_two_columns_of_dates_and_no_date_column_are_refused_with_the_line_to_write(tmp_path: Path):
    with pytest.raises(UserError) as error:
        read(tmp_path, written("%d/%m/%Y"), written("%Y-%m-%d"), date_column=None)
    for part in ("several columns hold dates: 'd', 'e'", "f.csv.options.yaml", "\n  date_column: d"):
        assert part in str(error.value)


def test_no_column_of_dates_is_refused(tmp_path: Path):
    message = refusal(tmp_path, ["x", "z"] * 20, date_column=None)
    assert "no column reads as dates" in message
    assert "Add a column with the day of each row" in message


def test_a_two_digit_year_is_not_the_first_century():
    values = pl.Series("d", ["31/5/18"])
    assert parse_dates(values, "%d/%m/%Y").to_list() == [None]
    assert parse_dates(values, "%d/%m/%y").to_list() == [dt.date(2018, 5, 31)]
    assert check_format("%d/%m/%y", "here") == "%d/%m/%y"


@settings(max_examples=80, deadline=None)
@given(
    date_format=st.sampled_from(DATE_FORMATS),
    days=st.lists(st.dates(dt.date(1975, 1, 1), dt.date(2060, 12, 31)), min_size=1, max_size=60),
    seed=st.integers(0, 9),
)
def test_a_written_column_is_read_back_or_called_ambiguous(date_format: str, days: list[dt.date], seed: int):
    random.Random(seed).shuffle(days)
    values = pl.Series("d", written(date_format, days))
    reading = read_date_format(values, allow_digits=True)
    assert isinstance(reading, DateReading)
    assert reading.share == 1.0
    readings = [parse_dates(values, f).to_list() for f in (reading.date_format, reading.rival) if f is not None]
    assert days in readings
    assert len(readings) == 1 or readings[0] != readings[1]

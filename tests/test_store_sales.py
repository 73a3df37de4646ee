"""The pipeline `store_sales`: what it refuses, merges, counts and holds out, and what its report shows."""

from datetime import date, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import polars as pl
import pytest
from finished_runs import Finished, finished_run
from matplotlib.figure import Figure

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.pipelines.forecasting.naive import naive_forecasts
from optiflow.pipelines.item_demand.pipeline import ITEM_DEMAND
from optiflow.pipelines.orders.pipeline import ORDERS
from optiflow.pipelines.store_sales.actions import what_to_do
from optiflow.pipelines.store_sales.pipeline import STORE_SALES
from optiflow.pipelines.store_sales.sample import SAMPLE_OPTIONS, store_sales
from optiflow.pipelines.store_sales.weekly_tables import Told, coming_table, stores_table, weeks_table
from optiflow.pipelines.store_sales.weeks import naming_in_words, with_weeks
from optiflow.report.tables import PAGE_ROWS
from optiflow.upload.reading import read_upload

OPTIONS = DatasetOptions.model_validate(SAMPLE_OPTIONS)
HEADER = "Store,Date,Weekly_Sales,Holiday_Flag,Temperature,Fuel_Price,CPI,Unemployment"
FIRST = date(2010, 2, 5)


def upload(path: Path, text: str, **options: object):
    path.write_text(text)
    return read_upload(path, path.name, DatasetOptions.model_validate(options), STORE_SALES)


def file_of(weeks: int, *more: str, header: str = HEADER) -> str:
    days = [f"{FIRST + timedelta(weeks=week):%d-%m-%Y}" for week in range(weeks)]
    lines = [f"{store},{day},{1000 * store},0,42.31,2.572,211.09,8.1" for store in (1, 2) for day in days]
    return "\n".join([header, *lines, *more]) + "\n"


def test_walmarts_columns_are_found_and_its_day_first_dates_are_read(tmp_path):
    read = upload(tmp_path / "sales.csv", file_of(20))
    assert dict(zip(read.accepted.columns, read.accepted.dtypes, strict=True)) == {
        "row": pl.Int64,
        "store": pl.String,
        "date": pl.Date,
        "sales": pl.Float64,
        "holiday": pl.Int64,  # as written, since no model reads it
        **dict.fromkeys(("temperature", "fuel_price", "cpi", "unemployment"), pl.Float64),
    }
    assert read.accepted["date"].max() == FIRST + timedelta(weeks=19)


def test_weather_and_prices_may_be_missing_and_other_names_are_given_by_the_option_columns(tmp_path):
    lines = [f"A,{FIRST + timedelta(weeks=week)},{week}" for week in range(20)]
    text = "\n".join(["Haus,Week,Wert", *lines])
    with pytest.raises(UserError, match=r"no column for store .*sales"):
        upload(tmp_path / "sales.csv", text)
    read = upload(tmp_path / "sales.csv", text, columns={"store": "Haus", "sales": "Wert"})
    assert read.accepted["sales"].to_list() == list(range(20))


def test_every_row_of_a_store_week_that_comes_twice_is_listed_also_under_another_day(tmp_path):
    twice = ("1,05-02-2010,7,0,1,1,1,1", "2,13-02-2010,7,0,1,1,1,1")  # 13 February is in the week of the 12th
    read = upload(tmp_path / "sales.csv", file_of(40, *twice), max_rejected_fraction=0.1)
    assert read.rejected["row"].to_list() == [2, 43, 82, 83]
    assert read.rejected["reason"][0] == (
        "the same store-week more than once; the option `duplicates: sum` adds them up"
    )
    assert (
        read.rejected["value"].to_list()
        == [
            "1, 2010-02-05: 2 times, first in row 2",
            "2, 2010-02-12: 2 times, first in row 43",
        ]
        * 2
    )


def test_store_weeks_that_come_twice_are_added_up_if_the_options_say_so(tmp_path):
    read = upload(tmp_path / "sales.csv", file_of(40, "1,05-02-2010,7,0,1,1,1,1"), duplicates="sum")
    assert (read.rejected.height, read.merged) == (0, 1)
    assert read.accepted.filter(row=2)["sales"].to_list() == [1007]
    assert "week" not in read.accepted.columns


def test_sales_below_zero_are_rejected_with_their_row(tmp_path):
    read = upload(tmp_path / "sales.csv", file_of(40, "1,12-11-2010,-5,0,1,1,1,1"))
    assert read.rejected.select("row", "column", "value").row(0) == (82, "Weekly_Sales", "-5.0")


def test_an_upload_is_counted_by_what_a_forecast_depends_on():
    def rows(store: str, *weeks: int) -> list[tuple[str, date, float]]:
        return [(store, FIRST + timedelta(weeks=week), float(week > 2)) for week in weeks]

    cells = rows("A", *range(50), *range(52, 80)) + rows("new", *range(60, 80)) + rows("closed", *range(70))
    table = pl.DataFrame(cells, schema=["store", "date", "sales"], orient="row")
    assert STORE_SALES.counts(table, OPTIONS) == {
        "stores": 3,
        "weeks": 80,
        "missing_store_weeks": 2,
        "zero_sales_rows": 6,
        "stores_with_short_history": 1,
        "stores_without_row_in_4_weeks": 1,
    }


def test_a_week_is_seven_days_from_the_files_first_day():
    days = pl.DataFrame({"date": [FIRST + timedelta(days=day) for day in range(15)]})
    assert with_weeks(days)["week"].to_list() == [FIRST + timedelta(days=day // 7 * 7) for day in range(15)]


def test_the_horizon_is_an_option_that_reaches_the_learner_and_holds_out_so_many_weeks(tmp_path):
    assert STORE_SALES.hyperparameters(DatasetOptions())["horizon"] == "12"
    with pytest.raises(UserError, match="horizon"):
        STORE_SALES.hyperparameters(DatasetOptions(horizon=60))
    table = upload(tmp_path / "sales.csv", file_of(60)).accepted
    train, test = STORE_SALES.split(table, DatasetOptions(horizon=5))
    assert (train.height, test.height) == (110, 10)
    assert test["date"].min() == FIRST + timedelta(weeks=55)


def test_the_year_before_is_beside_the_forecast_only_where_it_is_whole():
    sold = pl.DataFrame(
        {"store": ["A", "A", "B"], "date": [FIRST, FIRST + timedelta(weeks=1), FIRST], "sales": [50.0, 50, 9]}
    )
    ahead = [FIRST + timedelta(weeks=52), FIRST + timedelta(weeks=53)]
    forecast = pl.DataFrame({"store": ["A", "A", "B", "B"], "date": ahead * 2, "predicted": [60.0, 50, 7, 7]})
    made = coming_table(sold, forecast.with_columns(lo_80=pl.col("predicted") - 1, hi_80=pl.col("predicted") + 1))
    assert made.rows == (("A", 60, 59, 61, 110, 100, "10.0 %"), ("B", 7, 6, 8, 14, None, None))


def test_a_store_that_opened_since_does_not_pass_for_growth_of_all():
    week = FIRST + timedelta(weeks=52)
    sold = pl.DataFrame({"store": ["A", "B"], "date": [FIRST, FIRST + timedelta(weeks=9)], "sales": [50.0, 80.0]})
    forecast = pl.DataFrame({"store": ["A", "B"], "date": [week] * 2, "predicted": [55.0, 90.0]})
    totals = pl.DataFrame({"date": [week], "predicted": [145.0], "low": [140.0], "high": [150.0], "tried": [7]})
    assert weeks_table(totals, sold, forecast, "").rows == ((week.isoformat(), 145, 140, 150, 7, 55, 50, "10.0 %"),)


def held_out(stores: int) -> pl.DataFrame:
    """The first store is forecast exactly, each next one 1 more too high."""
    return pl.DataFrame({"store": [f"{n:03d}" for n in range(stores)], "actual": 100.0}).with_columns(
        predicted=100.0 + pl.int_range(stores), lo_80=90.0, hi_80=110.0
    )


def test_every_store_is_shown_with_what_it_was_missed_by_a_week():
    shown = stores_table(held_out(45), Told("EUR"))
    assert [row[0] for row in shown.rows] == [f"{n:03d}" for n in range(45)]
    assert shown.rows[-1] == ("044", 100, 44, "44.0 %", "44.0 %", "100.0 %")
    assert shown.header[2] == "Missed by, a week (EUR)"


def test_of_more_stores_than_a_page_shows_the_best_and_the_worst_are_there():
    shown = stores_table(held_out(PAGE_ROWS + 60))
    half = PAGE_ROWS // 2
    assert [row[0] for row in shown.rows] == [f"{n:03d}" for n in (*range(half), *range(half + 60, PAGE_ROWS + 60))]
    assert f"the {half} best and the {half} worst of {PAGE_ROWS + 60} stores" in shown.text


@pytest.mark.parametrize(
    ("week_date", "week", "says"),
    [
        ("ends", "2011-01-29 to 2011-02-04", "Weeks go by their Friday, with which they end."),
        ("begins", "2011-02-04 to 2011-02-10", "Weeks go by their Friday, with which they begin."),
        (None, "2011-02-04", "whether a week begins or ends with it the file does not say: set the option"),
    ],
)
def test_a_table_says_which_days_a_week_has_or_that_it_is_not_known(week_date, week, says):
    day = FIRST + timedelta(weeks=52)
    forecast = pl.DataFrame({"store": ["A"], "date": [day], "predicted": [55.0], "lo_80": [50.0], "hi_80": [60.0]})
    sold = pl.DataFrame({"store": ["A"], "date": [FIRST], "sales": [50.0]})
    totals = pl.DataFrame({"date": [day], "predicted": [55.0], "low": [50.0], "high": [60.0], "tried": [7]})
    told = Told("EUR", week_date)
    weeks, stores = weeks_table(totals, sold, forecast, "", told), coming_table(sold, forecast, told)
    assert weeks.rows[0][0] == week
    assert stores.header[1] == f"Week of {week} (EUR)"
    assert says in naming_in_words(day, week_date)


def test_what_to_do_names_the_stores_that_change_and_those_that_are_hard_to_forecast():
    weeks = {"date": [FIRST, FIRST + timedelta(weeks=1)], "predicted": [1000.0, 1500.0], "low": 900.0, "high": 1100.0}
    totals = pl.DataFrame(weeks)
    stores = pl.DataFrame({"store": ["A", "B", "C", "D"], "change": [-0.2, 0.01, 0.3, None]})
    missed = pl.DataFrame({"store": ["A", "B", "C"], "mape": [0.02, 0.02, 0.09]})
    said = list(what_to_do(totals, stores, missed, Told("EUR", "ends")))
    assert said[0].startswith(
        "Plan staff and stock for the week of 2010-01-30 to 2010-02-05: 1,000 EUR in all stores together, 900 to 1,100 in "
    )
    assert said[1:5] == [
        "Prepare for the week of 2010-02-06 to 2010-02-12, the strongest of the next 2: 1,500 EUR, 50.0 % more than next week.",
        "Do not order as last year where less is coming than a year ago: store A (\u221220.0 %).",
        "Do not order as last year where more is coming than a year ago: store C (30.0 %).",
        "Keep a margin where the forecast was furthest off when it was tried: store C (9.0 %).",
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The sample, from its file to the results."""
    return finished_run(STORE_SALES, store_sales(), OPTIONS, tmp_path_factory.mktemp("run"), origins=1, trials=0)


def test_the_hold_out_is_forecast_without_its_sales_and_closer_than_naively(finished):
    held = finished.run.held_out
    assert held["row"].sort().to_list() == finished.run.test["row"].sort().to_list()
    miss = (held["predicted"] - held["actual"]).abs().mean()
    naive = [(values - held["actual"]).abs().mean() for values in STORE_SALES.baselines(finished.run).values()]
    assert len(naive) == 3
    assert miss < 0.9 * min(naive)


def test_the_forecast_has_the_next_weeks_of_every_store(finished):
    forecast, last = finished.run.results["forecast"], finished.rows["date"].max()
    assert forecast.height == 8 * 4
    assert (forecast["date"].min(), forecast["date"].max()) == (last + timedelta(weeks=1), last + timedelta(weeks=8))
    assert forecast.columns == list(STORE_SALES.results["forecast"].columns)
    assert forecast.filter(store="Airport")["method"].unique().to_list() == ["recent_level_and_season_of_other_stores"]


def test_a_store_that_opened_in_the_hold_out_is_asked_for_too_and_counted(finished):
    run = finished.run
    tables = {"train": run.train.filter(pl.col("store") != "Airport"), "test": run.test, "actuals": run.actuals}
    made = STORE_SALES.scoring(tables, OPTIONS, str)
    assert made.shown == {"rows_of_new_series": run.test.filter(store="Airport").height}
    asked = made.tables["predictions"].filter(pl.col("sales").is_null())
    assert asked.sort("row")["row"].equals(run.test.sort("row")["row"])
    assert made.tables["forecast"].filter(pl.col("sales").is_null(), store="Airport").height == 8


def test_the_report_says_what_is_to_come_how_good_each_store_is_and_who_competed(finished):
    extras = STORE_SALES.extras(finished.run)
    weeks, coming, stores, candidates = extras.tables
    total = finished.run.results["forecast"]["predicted"].sum()
    assert sum(row[1] for row in weeks.rows) == pytest.approx(total, rel=1e-4)
    assert extras.headlines[0].value == f"{total:,.0f}"
    assert [row[0] for row in coming.rows] == ["North Gate", "Riverside", "Airport", "Old Town"]
    misses = [float(row[3].removesuffix(" %")) for row in stores.rows]
    assert misses == sorted(misses)
    assert [row[-1] for row in candidates.rows].count("champion") == 1
    (download,) = extras.downloads
    assert download.rows.select("store", "date").n_unique() == 8 * 4
    assert all(len(row) == len(table.header) for table in extras.tables for row in table.rows)
    assert extras.metrics is not None
    assert 0.5 < extras.metrics["coverage_80"] <= extras.metrics["coverage_95"] <= 1


def test_the_figures_show_all_stores_and_the_best_and_the_worst_one(finished):
    figures = STORE_SALES.extras(finished.run).figures
    assert len({figure.name for figure in figures}) == 3
    lines = []
    for figure in figures:
        axes = Figure().subplots()
        figure.draw(axes)
        lines.append([len(line.get_xdata()) for line in axes.get_lines()])
    assert lines[0] == [60, 8, 8]
    assert all(line[2] == 8 for line in lines)


def test_a_week_that_a_store_has_no_row_of_makes_no_dip_in_the_total_of_all(finished):
    axes = Figure().subplots()
    STORE_SALES.extras(finished.run).figures[0].draw(axes)
    line = axes.get_lines()[0]
    drawn = dict(zip(pl.Series(line.get_xdata()).cast(pl.Date), line.get_ydata(), strict=True))
    rows = finished.rows.with_columns(pl.col("date").cast(pl.Date))
    weeks = rows.group_by("date").agg(pl.col("sales").sum(), stores=pl.col("store").n_unique())
    # All four stores were open by then.
    holes = weeks.filter(pl.col("date").is_in(list(drawn)), pl.col("stores") < 4, pl.col("date") > date(2015, 11, 6))
    assert holes.height >= 1
    for day, sold, _ in holes.rows():
        around = [drawn[day + timedelta(weeks=n)] for n in (-1, 1) if day + timedelta(weeks=n) in drawn]
        print(day, sold, drawn[day], sum(around) / len(around))
        assert drawn[day] == pytest.approx(sum(around) / len(around), rel=0.12)


def test_equal_seeds_give_equal_samples_and_others_do_not():
    assert store_sales().equals(store_sales())
    assert not store_sales().equals(store_sales(seed=6))


def test_a_naive_forecast_by_last_year_is_called_so_only_where_there_is_a_year():
    rows = [("A", FIRST + timedelta(weeks=week), float(week)) for week in range(60)]
    table = pl.DataFrame(rows, ["store", "date", "sales"], orient="row")

    def names(history: int, asked: slice) -> list[str]:
        args = (table.head(history), table[asked].drop("sales"), ["store"], "date", "sales")
        return list(naive_forecasts(*args, period=7))

    assert names(20, slice(20, 24)) == ["mean of the last 8 weeks", "mean of all weeks"]
    assert names(5, slice(5, 8))[0] == "mean of the last 5 weeks"
    assert names(56, slice(56, 60))[0] == "the same week a year before"
    assert names(50, slice(50, 54))[0] == "the same week a year before, or the mean of the last 8 weeks"


def test_a_file_for_another_pipeline_is_told_so(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(file_of(20))
    orders = read_upload(path, path.name, DatasetOptions(target="Weekly_Sales", date_column="Date"), ORDERS)
    assert "pipeline store_sales" in " ".join(orders.notes)
    with pytest.raises(UserError, match="pipeline store_sales"):
        read_upload(path, path.name, DatasetOptions(), ITEM_DEMAND)
    assert read_upload(path, path.name, DatasetOptions(), STORE_SALES).notes == ()


@pytest.mark.parametrize(
    ("header", "given", "found"),
    [
        ("week_ending", None, "ends"),
        ("WeekEnding", None, "ends"),
        ("week beginning", None, "begins"),
        ("week_ending", "begins", "begins"),
        ("Date", None, None),
        ("Weekend", None, None),
    ],
)
def test_a_header_says_whether_its_date_begins_or_ends_the_week_unless_the_options_do(tmp_path, header, given, found):
    days = [date(2020, 1, 5) + timedelta(weeks=week) for week in range(60)]
    table = pl.DataFrame({"store": "A", header: days, "sales": [float(100 + week % 7) for week in range(60)]})
    table.write_csv(tmp_path / "weeks.csv")
    own = {} if header in ("week_ending", "WeekEnding", "week beginning", "Date") else {"columns": {"date": header}}
    options = DatasetOptions(**own, week_date=given)
    assert read_upload(tmp_path / "weeks.csv", "weeks.csv", options, STORE_SALES).week_date == found

"""The pipeline `item_demand`: what it refuses, merges, counts and holds out, and what its report shows."""

from datetime import date, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import polars as pl
import pytest
from finished_runs import Finished, finished_run
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.pipelines.forecasting.holdout import last_days
from optiflow.pipelines.forecasting.naive import lately, year_before
from optiflow.pipelines.forecasting.repeats import repeated_rows, summed
from optiflow.pipelines.forecasting.tables import candidates_table
from optiflow.pipelines.item_demand.actions import what_to_do
from optiflow.pipelines.item_demand.pipeline import COLUMNS, ITEM_DEMAND, SERIES
from optiflow.pipelines.item_demand.sample import SAMPLE_OPTIONS, item_demand
from optiflow.upload.reading import read_upload

OPTIONS = DatasetOptions.model_validate(SAMPLE_OPTIONS)


def rows(*cells: tuple[int, str, str, float]) -> pl.DataFrame:
    """Rows of (day of January 2020, store, item, sales), numbered as in a file."""
    frame = pl.DataFrame(cells, schema=["day", "store", "item", "sales"], orient="row")
    day = pl.date(2020, 1, 1) + pl.duration(days=pl.col("day") - 1)
    return frame.with_row_index("row", 2).select(
        pl.col("row").cast(pl.Int64), date=day, store="store", item="item", sales=pl.col("sales").cast(pl.Float64)
    )


def upload(path: Path, text: str, **options: object):
    path.write_text(text)
    return read_upload(path, path.name, DatasetOptions.model_validate(options), ITEM_DEMAND)


def file_of(days: int, *more: str, header: str = "Date,Store,SKU,Units Sold") -> str:
    lines = [f"{date(2020, 1, 13) + timedelta(n):%Y-%m-%d},1,{item},{n % 7 + 3}" for n in range(days) for item in "ab"]
    return "\n".join([header, *lines, *more]) + "\n"


def test_columns_are_found_by_their_usual_names_and_stores_are_words(tmp_path):
    read = upload(tmp_path / "demand.csv", file_of(40))
    assert read.accepted.columns == ["row", *COLUMNS]
    assert dict(zip(COLUMNS, read.accepted.dtypes[1:], strict=True)) == {
        "date": pl.Date,
        "store": pl.String,
        "item": pl.String,
        "sales": pl.Float64,
    }
    assert (read.target, read.date_column) == ("sales", "date")


def test_another_name_is_given_by_the_option_columns(tmp_path):
    text = file_of(40, header="Date,Store,SKU,Revenue")
    with pytest.raises(UserError, match=r"no column for sales"):
        upload(tmp_path / "demand.csv", text)
    assert upload(tmp_path / "demand.csv", text, columns={"sales": "Revenue"}).accepted["sales"].sum() > 0


def test_every_row_of_an_item_day_that_comes_twice_is_listed(tmp_path):
    read = upload(tmp_path / "demand.csv", file_of(40, "2020-01-14,1,a,9", "2020-01-14,2,a,9"))
    assert read.rejected["row"].to_list() == [4, 82]
    assert read.rejected["reason"].unique().to_list() == [
        "the same item-day more than once; the option `duplicates: sum` adds them up"
    ]
    assert read.rejected["value"].unique().to_list() == ["2020-01-14, 1, a: 2 times, first in row 4"]


def test_item_days_that_come_twice_are_added_up_if_the_options_say_so(tmp_path):
    read = upload(tmp_path / "demand.csv", file_of(40, "2020-01-14,1,a,9"), duplicates="sum")
    assert read.rejected.is_empty()
    assert read.merged == 1
    assert read.accepted.filter(pl.col("row") == 4)["sales"].to_list() == [13.0]


def test_sales_below_zero_are_rejected_with_their_row(tmp_path):
    read = upload(tmp_path / "demand.csv", file_of(40, "2020-03-20,1,a,-2"))
    assert read.rejected.select("row", "column", "value").row(0) == (82, "Units Sold", "-2.0")
    assert "below 0" in read.rejected["reason"][0]


def test_an_upload_is_counted_by_what_a_forecast_depends_on():
    day = [(day, "A", "x", 2.0) for day in range(1, 101) if day != 50]
    late = [(day, "A", "y", 1.0) for day in range(90, 101)]
    closed = [(day, "B", "x", 1.0 if day < 60 else 0.0) for day in range(1, 101)]
    assert ITEM_DEMAND.counts(rows(*day, *late, *closed), OPTIONS) == {
        "series": 3,
        "stores": 2,
        "items": 2,
        "days": 100,
        "missing_item_days": 1,
        "missing_item_days_as_zero": 0,
        "zero_sales_rows": 41,
        "series_new_in_4_weeks": 1,
        "series_without_sale_in_4_weeks": 1,
        "stores_without_sale_in_4_weeks": 1,
    }


def test_the_horizon_is_an_option_and_reaches_the_learner():
    assert ITEM_DEMAND.hyperparameters(OPTIONS)["horizon"] == "28"
    assert ITEM_DEMAND.hyperparameters(DatasetOptions())["horizon"] == "90"
    with pytest.raises(UserError, match="horizon"):
        ITEM_DEMAND.hyperparameters(DatasetOptions(horizon=500))


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 300), st.integers(1, 200))
def test_the_hold_out_is_the_last_days_and_at_most_a_quarter(span, days):
    table = rows(*((day, "A", item, 1.0) for day in range(1, span + 1) for item in "xy"))
    train, test = last_days(table, "date", days)
    assert test.height == 2 * min(days, span // 4)
    assert pl.concat([train, test])["row"].sort().to_list() == table["row"].to_list()
    assert train["date"].max() < test["date"].min()


def test_a_file_of_three_days_cannot_be_split():
    with pytest.raises(UserError, match="3 days"):
        last_days(rows((1, "A", "x", 1.0), (3, "A", "x", 1.0)), "date", 5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from("AB"), st.sampled_from("xy"), st.integers(0, 9)), min_size=1)
)
def test_rows_are_either_alone_or_faults_and_sums_keep_the_total(cells):
    table = rows(*cells)
    faults = repeated_rows(table, COLUMNS[:3], "item-day")
    alone = table.filter(pl.len().over(COLUMNS[:3]) == 1)
    assert sorted([*faults["row"], *alone["row"]]) == table["row"].to_list()
    merged = summed(table, COLUMNS[:3], "sales")
    assert merged["sales"].sum() == table["sales"].sum()
    assert merged.height == table.select(COLUMNS[:3]).n_unique()
    assert merged.columns == table.columns


def test_naive_forecasts_fall_back_from_the_year_to_the_weekday_to_the_series_to_all():
    history = rows(*((day, "A", "x", float(day)) for day in range(1, 401)), (400, "A", "y", 5.0))
    asked = rows((401, "A", "x", 0.0), (401, "A", "y", 0.0), (401, "B", "z", 0.0))
    made = year_before(history, asked, ("store", "item"), "date", "sales").to_list()
    assert made[:2] == [37.0, 5.0]
    assert made[2] == pytest.approx(history["sales"].mean())
    weekday = lately(history, asked, ("store", "item"), "date", "sales")[0]
    assert weekday == sum(range(345, 401, 7)) / 8  # eight of the same weekday


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The sample, from its file to the results."""
    return finished_run(ITEM_DEMAND, item_demand(), OPTIONS, tmp_path_factory.mktemp("run"), nthread=1)


def test_the_hold_out_is_forecast_without_its_sales_and_closer_than_naively(finished):
    held = finished.run.held_out
    assert held["row"].sort().to_list() == finished.run.test["row"].sort().to_list()
    miss = (held["predicted"] - held["actual"]).abs().mean()
    naive = [(values - held["actual"]).abs().mean() for values in ITEM_DEMAND.baselines(finished.run).values()]
    assert len(naive) == 5
    assert miss < 0.9 * min(naive)


def test_the_forecast_has_the_next_days_of_every_item_in_every_store(finished):
    forecast, last = finished.run.results["forecast"], finished.rows["date"].max()
    assert forecast.height == 28 * finished.rows.select("store", "item").n_unique()
    assert (forecast["date"].min(), forecast["date"].max()) == (last + timedelta(1), last + timedelta(28))
    assert forecast.columns == list(ITEM_DEMAND.results["forecast"].columns)
    assert forecast.filter(pl.col("store") == "Hillside")["method"].unique().to_list() == ["closed: 0"]
    new = forecast.filter((pl.col("item") == "Oat cookie") & (pl.col("store") != "Hillside"))
    assert new["method"].unique().to_list() == ["short history"]
    assert new["predicted"].sum() > 0


def test_payday_which_no_factor_tells_is_learned_by_lightgbm(finished):
    assert finished.run.summary["chosen"] == "LightGBM"
    sweet = finished.run.results["forecast"].filter(
        (pl.col("item") == "Butter croissant") & (pl.col("store") != "Hillside")
    )
    first, later = (
        sweet.filter(days)["predicted"].mean() for days in (pl.col("date").dt.day() <= 3, pl.col("date").dt.day() > 3)
    )
    assert first > 1.15 * later


def test_the_report_says_who_competed_how_good_each_store_is_and_what_will_move(finished):
    extras = ITEM_DEMAND.extras(finished.run)
    coming, movers, stores, candidates, kinds = extras.tables
    forecast = finished.run.results["forecast"]
    tomorrow = forecast.filter(pl.col("date") == forecast["date"].min())
    assert {row[:2] for row in coming.rows} == set(forecast.select("store", "item").iter_rows())
    assert {row[:5] for row in coming.rows} == set(tomorrow.select(*SERIES, "predicted", "lo_80", "hi_80").iter_rows())
    week = forecast.filter(pl.col("date") < forecast["date"].min() + timedelta(7))
    assert sum(row[5] for row in coming.rows) == pytest.approx(week["predicted"].sum())
    last = finished.rows["date"].max()
    known = finished.rows.filter(pl.col("date") > last - timedelta(7), store="Station", item="Butter croissant")
    assert known.height == 7
    assert next(row[6] for row in coming.rows if row[:2] == ("Station", "Butter croissant")) == known["sales"].sum()
    assert extras.downloads[0].rows.height == forecast.height
    assert "units in all" in extras.actions[0]
    assert movers.rows[0][0] == "Butter croissant"
    assert movers.rows[0][1] == pytest.approx(
        finished.run.results["forecast"].filter(pl.col("item") == "Butter croissant")["predicted"].sum(), abs=1
    )
    assert [row[0] for row in stores.rows] == ["Station", "Harbour", "Market"]
    assert [row[-1] for row in candidates.rows].count("champion") == 1
    assert {row[0]: row[1] for row in kinds.rows}["closed"] == 7
    assert all(len(row) == len(table.header) for table in extras.tables for row in table.rows)
    assert extras.metrics is not None
    assert 0.7 < extras.metrics["coverage_80"] < extras.metrics["coverage_95"] <= 1


def test_the_candidates_table_says_who_could_become_champion(finished):
    candidates = finished.run.summary["candidates"]
    rivals = {entry["name"]: entry["rmse"] for entry in candidates if entry.get("rival")}
    assert len(rivals) == 2
    assert "LightGBM" in rivals
    assert min(rivals, key=rivals.__getitem__) == finished.run.summary["chosen"]
    text = candidates_table(finished.run.summary).text
    assert all(name in text for name in rivals)
    assert "which decides" not in text
    # A row that only stands beside them may have the lowest error of all.
    flat = [{**entry, "rmse": 0.0} if entry["name"].startswith("mean of") else entry for entry in candidates]
    made = candidates_table({**finished.run.summary, "candidates": flat})
    assert [row[-1] for row in made.rows if row[1] == 0.0] == [""]
    assert sorted(row[-1] for row in made.rows) == ["", "", "", "", "champion", "rival"]


def test_the_figure_shows_history_hold_out_and_forecast(finished):
    axes = Figure().subplots()
    ITEM_DEMAND.extras(finished.run).figures[0].draw(axes)
    assert axes.get_legend_handles_labels()[1] == ["sold", "hold-out, predicted", "forecast, 80 % band"]
    assert [len(line.get_xdata()) for line in axes.get_lines()] == [84, 28, 28]


def test_equal_seeds_give_equal_samples_and_others_do_not():
    assert item_demand(60).equals(item_demand(60))
    assert not item_demand(60).equals(item_demand(60, seed=4))


def test_what_to_do_names_what_sells_more_and_less_than_last_week_by_how_many_units():
    rows = pl.DataFrame(
        {
            "store": ["S1", "S1", "S2", "S2"],
            "item": ["bread", "cake", "soup", "tea"],
            "predicted": [10.0, 5.0, 2.0, 0.5],
            "coming": [70.0, 35.0, 14.0, 3.0],
            "before": [50.0, 34.0, 28.0, None],
            "change": [0.4, 1 / 34, -0.5, None],
        }
    )
    said = list(what_to_do(rows, SERIES, date(2020, 2, 3), 7, "pieces"))
    assert said[0].startswith("Fill the shelves for Monday, 2020-02-03: 18 pieces in all.")
    assert said[1:3] == [
        "Order more for the next 7 days than was sold in the last 7: bread in S1 (+40.0 %, +20 pieces).",
        "Order less for the next 7 days than was sold in the last 7: soup in S2 (\u221250.0 %, \u221214 pieces).",
    ]

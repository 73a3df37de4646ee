"""What a day without a row means to `item_demand`: the same in training, hold-out, baselines and report."""

from datetime import date, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import polars as pl
import pytest
from finished_runs import finished_run
from matplotlib.figure import Figure

from benchmarks.verdicts.item_demand import report_on, shuffled
from optiflow.learners import item_demand as learner
from optiflow.learners.item_demand.grid import read_grid
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.forecasting.gaps import count_gaps, with_zeros
from optiflow.pipelines.forecasting.naive import flat_mean, flat_means, naive_forecasts
from optiflow.pipelines.forecasting.tables import movers_table
from optiflow.pipelines.forecasting.unknown import with_means
from optiflow.pipelines.item_demand.pipeline import ITEM_DEMAND, SERIES
from optiflow.pipelines.item_demand.sample import item_demand
from optiflow.report.model import Outcome
from optiflow.table_checks import counted, filled_faults, split_faults

FIRST = date(2022, 1, 3)
RARE = 0.3
"""Units a day of every item of the till's export: no row on three of four days."""


def options(**hyperparameters: str) -> DatasetOptions:
    return DatasetOptions.model_validate({"horizon": 28, "hyperparameters": hyperparameters})


def long(sales: np.ndarray) -> pl.DataFrame:
    """One row a series and day, the series being the items I0, I1, … of one store."""
    series, days = sales.shape
    return pl.DataFrame(
        {
            "date": [FIRST + timedelta(n) for n in range(days)] * series,
            "store": ["S"] * series * days,
            "item": [f"I{n}" for n in range(series) for _ in range(days)],
            "sales": sales.ravel(),
        }
    )


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_row_index("row", 2).with_columns(pl.col("row").cast(pl.Int64), pl.col("sales").cast(pl.Float64))


def till(days: int = 400) -> pl.DataFrame:
    """A till's export: rows of days with sales alone; each item begins and ends with one, so that its span is known."""
    sales = np.random.default_rng(4).poisson(RARE, (30, days))
    sales[:, 0] = 1
    sales[0, -1] = 1
    return long(sales).filter(pl.col("sales") > 0)


def test_a_table_is_completed_from_each_series_first_row_to_the_last_day_of_all():
    rows = numbered(long(np.array([[1, 0, 2, 0], [0, 3, 0, 0]])).filter(pl.col("sales") > 0))
    gaps = count_gaps(rows, SERIES, "date", "sales")
    assert (gaps.days, gaps.missing, gaps.zeros) == (5, 2, 0)
    made = with_zeros(rows, SERIES, "date", "sales").filter(pl.col("row") < 0).sort("row", descending=True)
    assert made.select("row", "item", pl.col("date") - FIRST, "sales").rows() == [
        (-1, "I0", timedelta(1), 0.0),
        (-2, "I1", timedelta(2), 0.0),
    ]


@pytest.mark.parametrize("gaps", ["auto", "zero", "unknown"])
def test_the_pipeline_and_the_learner_count_the_same_days_and_give_them_the_same_meaning(gaps):
    rows = numbered(till())
    counts = ITEM_DEMAND.counts(rows, options(gaps=gaps))
    grid, _ = read_grid(rows.select("date", "store", "item", "sales").to_arrow(), gaps)
    assert counts["missing_item_days"] == grid.gaps > 8000
    assert counts["missing_item_days_as_zero"] == (grid.gaps if grid.zero_gaps else 0)


def test_what_is_held_out_of_a_till_export_has_its_days_without_sales(tmp_path):
    run = finished_run(ITEM_DEMAND, till(), options(num_round="20"), tmp_path, nthread=1).run
    held = run.held_out
    # Every item on every day: the truth, the model and all baselines have the same rows.
    assert held.height == 30 * 28
    assert held["actual"].null_count() == 0
    assert held["row"].n_unique() == held.height
    assert held["actual"].mean() == pytest.approx(RARE, abs=0.06)
    assert held["predicted"].mean() == pytest.approx(RARE, abs=0.06)
    for name, values in ITEM_DEMAND.baselines(run).items():
        assert values.mean() == pytest.approx(RARE, abs=0.08), name
    assert any("count as zero sales" in note for note in ITEM_DEMAND.learned(run).notes)


def test_where_days_without_a_row_are_unknown_nothing_is_added():
    rows = numbered(till())
    train, test = ITEM_DEMAND.split(rows, options(gaps="unknown"))
    assert pl.concat([train, test])["row"].sort().to_list() == rows["row"].to_list()
    assert ITEM_DEMAND.remarks(rows, options(gaps="unknown")) == ()


def test_auto_is_decided_once_on_the_whole_file(tmp_path):
    """The till writes zeros from day 320 on: so a day without a row is unknown, also in the older part, which has none."""
    sales = np.zeros((10, 400))
    sales[:, ::2] = 10
    rows = long(sales).filter((pl.col("sales") > 0) | (pl.col("date") >= FIRST + timedelta(320)))
    held_out = 100
    wanted = DatasetOptions.model_validate({"horizon": held_out, "hyperparameters": {"num_round": "20"}})
    finished = finished_run(ITEM_DEMAND, rows, wanted, tmp_path, nthread=1)
    assert ITEM_DEMAND.training(finished.run.train, wanted).decided == {"gaps": "unknown"}
    before = finished.rows.filter(pl.col("date") < FIRST + timedelta(300))
    assert before["sales"].to_list() == [10.0] * before.height  # as far as anybody knew, 10 a day were sold
    assert finished.run.held_out["predicted"].mean() == pytest.approx(10, rel=0.1)


def sets() -> dict[str, pl.LazyFrame]:
    rows = numbered(till(120))
    train, test = ITEM_DEMAND.split(rows, options())
    tables = {
        "enriched": rows,
        "train": train,
        "test": test.drop("sales"),
        "actuals": test.select("row", actual="sales"),
    }
    return {name: table.lazy() for name, table in tables.items()}


def test_rows_of_the_file_add_up_beside_those_that_were_added():
    tables = sets()
    assert tables["test"].filter(pl.col("row") < 0).collect().height > 0
    assert not any(counted(split_faults(**tables, kept_back=["sales"], filled=True)).values())
    assert not any(counted(filled_faults(**tables, unit=ITEM_DEMAND.filled_unit)).values())
    assert counted(split_faults(**tables, kept_back=["sales"]))["surplus_rows"] > 0  # no other pipeline may add rows


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("filled_with_sales", {"actual": pl.when(pl.col("row") == -1).then(2.0).otherwise("actual")}),
        ("filled_without_own_number", {"row": pl.when(pl.col("row") == -1).then(-2).otherwise("row")}),
    ],
)
def test_a_row_that_was_added_wrongly_is_a_fault(fault, change):
    tables = sets()
    place = "actuals" if "actual" in change else "train"
    if place == "actuals":
        least = tables["actuals"].select(pl.col("row").max().over(pl.col("row") < 0)).collect()["row"].min()
        change = {"actual": pl.when(pl.col("row") == least).then(2.0).otherwise("actual")}
    tables[place] = tables[place].with_columns(**change)
    assert counted(filled_faults(**tables, unit=ITEM_DEMAND.filled_unit))[fault] == 1


def test_a_row_that_was_added_beside_one_of_the_file_is_a_fault():
    tables = sets()
    there = tables["train"].filter(pl.col("row") > 0).head(1).with_columns(row=pl.lit(-9999, pl.Int64), sales=0.0)
    tables["train"] = pl.concat([tables["train"], there])
    assert counted(filled_faults(**tables, unit=ITEM_DEMAND.filled_unit))["filled_days_with_a_row"] == 1


STOCKED = 40.0
"""Units a day that customers ask for in `stock_outs`."""


def stock_outs() -> pl.DataFrame:
    """Weekly deliveries of 160 units that keep for four days: no row for the empty shelf of the other three.

    Demand is Poisson with mean 40, so that the fourth day's is not always met: a seventh of 160 less 5 that spoil is 45 % below
    the demand, a quarter of it 3 %.
    """
    rng, rows = np.random.default_rng(6), []
    for item in range(12):
        stock = 0
        for day in range(364):
            age = (day + item) % 7
            stock = 160 if age == 0 else stock if age < 4 else 0
            sold = min(stock, rng.poisson(STOCKED))
            stock -= sold
            if sold:
                rows.append((FIRST + timedelta(day), "S", f"I{item}", float(sold)))
    return pl.DataFrame(rows, schema=["date", "store", "item", "sales"], orient="row")


@pytest.mark.parametrize(("gaps", "low", "high"), [("auto", -0.49, -0.37), ("unknown", -0.08, 0.0)])
def test_days_with_an_empty_shelf_are_no_days_without_demand_where_gaps_are_unknown(gaps, low, high, tmp_path: Path):
    rows = stock_outs()
    parameters = learner.PARAMETERS
    assert parameters["gaps"].parse(gaps) == gaps
    learner.train({"train": rows.to_arrow()}, {"horizon": 28, "gaps": gaps, "num_round": 20}, tmp_path, print)
    days = [rows["date"].max() + timedelta(n) for n in range(1, 29)]
    ahead = rows.select("store", "item").unique().join(pl.DataFrame({"date": days}), how="cross")
    asked = pl.concat([rows, ahead.select("date", "store", "item", sales=pl.lit(None, pl.Float64))])
    made = pl.DataFrame(learner.score(tmp_path, asked.to_arrow()))["predicted"].mean()
    print(gaps, made / STOCKED - 1)
    assert low < made / STOCKED - 1 < high


def test_an_upload_warns_that_auto_takes_days_without_a_row_for_zeros_and_names_the_other_meaning():
    rows = numbered(stock_outs())
    (remark,) = ITEM_DEMAND.remarks(rows, options())
    missing = rows.group_by("item").agg(n=364 - (pl.col("date").min() - FIRST).dt.total_days() - pl.len())["n"].sum()
    assert remark.startswith(f"{missing:,} of ")
    assert "gaps: unknown" in remark
    assert ITEM_DEMAND.remarks(rows, options(gaps="zero")) == ()


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Six items that sell 10, 20, … 60 on every day, of which the file knows four a week, other ones for each item."""
    rows = long(np.repeat(10.0 * np.arange(1, 7)[:, None], 196, axis=1))
    known = (pl.col("date") - FIRST).dt.total_days() + pl.col("item").str.slice(1).cast(pl.Int64)
    known_rows = rows.filter(known % 7 < 4)
    chosen = options(gaps="unknown", num_round="5")
    return finished_run(ITEM_DEMAND, known_rows, chosen, tmp_path_factory.mktemp("run"), nthread=1).run


def test_units_of_days_that_are_half_unknown_are_compared_with_the_forecast_of_all_days(steady):
    soon, movers, *_ = ITEM_DEMAND.extras(steady).tables
    for (item, coming, before, year_ago, change), units in zip(movers.rows, range(1680, 0, -280), strict=True):
        print(item, coming, before, year_ago, change)
        assert (coming, before, year_ago) == (pytest.approx(units, rel=0.01), units, None)
        assert abs(float(change.removesuffix(" %"))) < 1.5
    assert "item-days without a row are not known" in movers.text
    for row, units in zip(soon.rows, range(420, 0, -70), strict=True):
        assert row[5:7] == (pytest.approx(units, rel=0.02), units)
    assert "item-days without a row are not known" in soon.text


@pytest.mark.parametrize(("days", "year_ago"), [(364, 280), (363, None), (350, None)])
def test_a_year_ago_is_beside_the_forecast_only_if_the_file_has_all_its_days(days, year_ago):
    ahead = [FIRST + timedelta(days + n) for n in range(28)]
    forecast = pl.DataFrame({"item": ["I0"] * 28, "date": ahead, "predicted": [10.0] * 28})
    table = movers_table(long(np.full((1, days), 10)), forecast, "item", "Item", 28)
    assert table.rows == (("I0", 280, 280, year_ago, "0.0 %"),)


def test_totals_in_the_picture_are_of_all_items_on_days_that_only_some_are_known(steady):
    (figure,) = ITEM_DEMAND.extras(steady).figures
    axes = Figure().subplots()
    figure.draw(axes)
    sold, judged, coming = (line.get_ydata() for line in axes.get_lines())
    assert (len(sold), len(judged), len(coming)) == (84, 28, 28)
    for drawn in (sold, judged, coming):
        assert drawn == pytest.approx(np.full(len(drawn), 210.0), rel=0.02)


def test_a_day_that_few_items_are_known_of_is_no_peak_a_year_later(tmp_path: Path):
    sales = np.repeat(10.0 * np.arange(1, 7)[:, None], 460, axis=1)
    sales[:, 350:363] *= 3  # 2022-12-19 to 2022-12-31: peaks, which were missed by far and have a wide band
    day = FIRST + timedelta(460 + 9 - 364)  # 52 weeks before the tenth day to come
    known = long(sales).filter((pl.col("date") != day) | (pl.col("item") == "I0"))
    run = finished_run(ITEM_DEMAND, known, options(gaps="unknown", num_round="5"), tmp_path, nthread=1).run
    axes = Figure().subplots()
    ITEM_DEMAND.extras(run).figures[0].draw(axes)
    corners = axes.collections[0].get_paths()[0].vertices
    band = (
        pl.DataFrame(corners, ["day", "total"]).group_by("day").agg(width=pl.max("total") - pl.min("total")).sort("day")
    )
    print(band["width"].to_list())
    assert band.height == 28
    assert band["width"][9] < 2 * band["width"].median()


def test_a_day_without_a_row_counts_as_its_weekday_does_around_it_and_a_long_gap_as_nothing():
    sales = np.tile(np.array([1.0, 2, 3, 4, 5, 6, 7]), (4, 12))
    rows = long(sales).with_columns(day=(pl.col("date") - FIRST).dt.total_days())
    gaps = {"I0": (30, 32), "I1": (20, 49), "I2": (60, 84), "I3": (50, 84)}
    there = [
        ~((pl.col("item") == item) & pl.col("day").is_between(low, high - 1)) for item, (low, high) in gaps.items()
    ]
    made = with_means(rows.filter(*there), SERIES, "date", "sales")
    added = made.join(rows.filter(*there), on=[*SERIES, "date"], how="anti")
    # Gaps of 2 days, 29 (too long), 24 (to the end), 34 (too long).
    assert dict(added.group_by("item").len().rows()) == {"I0": 2, "I2": 24}
    truth = rows.select(*SERIES, "date", truth="sales")
    assert added.join(truth, on=[*SERIES, "date"]).filter(pl.col("sales") != pl.col("truth")).is_empty()
    assert with_means(rows, SERIES, "date", "sales").height == rows.height


def test_the_mean_of_the_last_28_days_is_of_no_older_ones_where_a_week_has_two_rows():
    sales = np.where(np.arange(350) < 300, 100.0, 10.0)
    history = long(sales[None, :]).filter(pl.col("date").dt.weekday().is_in([2, 5]))
    asked = pl.DataFrame({"store": ["S"], "item": ["I0"]})
    made = {name: float(values[0]) for name, values in flat_means(history, asked, SERIES, "date", "sales").items()}
    print(made)
    assert made["mean of the last 28 days"] == 10.0


def test_a_naive_forecast_that_has_older_values_says_so():
    history = long(np.array([[5.0] * 100, [8.0] * 100]))
    stopped = history.filter((pl.col("item") == "I0") | (pl.col("date") < FIRST + timedelta(40)))
    day = FIRST + timedelta(100)
    asked = pl.DataFrame({"store": ["S", "S"], "item": ["I0", "I1"], "date": [day, day]})
    for rows, older in ((asked, True), (asked.head(1), False)):
        args = (stopped, rows, SERIES, "date", "sales")
        (flat, whole), (weeks, _) = flat_means(*args), naive_forecasts(*args, period=1)
        assert flat == "mean of the last 28 days" + (", or of all days where they have under 4 values" if older else "")
        assert weeks == "mean of the last 8 weeks by weekday" + (", or of all weeks" if older else "")
        assert whole == "mean of the last 100 days"
        assert flat_means(*args)[flat].to_list() == [5.0, 8.0][: rows.height]


def test_the_flat_mean_is_that_of_the_last_days_and_of_the_item_where_they_are_few():
    history = long(np.array([[8.0] * 20 + [1.0, 3.0] * 7, [5.0] * 34]))
    young = history.filter(pl.col("item") == "I1").tail(3).with_columns(store=pl.lit("T"), sales=99.0)
    asked = pl.DataFrame({"store": ["S", "T", "S"], "item": ["I0", "I1", "I9"]})
    every = pl.concat([history, young])
    made = flat_mean(every, asked, SERIES, "date", "sales", 14).to_list()
    assert made == [2.0, pytest.approx((5 * 34 + 99 * 3) / 37), pytest.approx(every["sales"].mean())]


def test_a_sample_shuffled_in_time_is_not_called_better_and_the_genuine_one_is():
    days = item_demand().filter(pl.col("store") != "Hillside")
    assert (
        report_on(days, {"num_round": 60, "learning_rate": 0.2, "early_stopping_rounds": 5}).outcome is Outcome.BETTER
    )
    worse = report_on(shuffled(days, 1), {"num_round": 60, "learning_rate": 0.2, "early_stopping_rounds": 5})
    assert worse.outcome is not Outcome.BETTER, worse.verdict

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.container.tables import read_table
from optiflow.errors import UserError
from optiflow.learners import turnover as learner
from optiflow.options import DatasetOptions, merge_options
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.turnover import TURNOVER
from optiflow.report.build import build_report
from optiflow.report.model import Outcome, RowCounts, RunFacts
from optiflow.samples.turnover import EXPORT_DAY, turnover
from optiflow.turnover.dates import WATCHED, date_faults, hold_out_newest, with_days
from optiflow.turnover.pricing import best_prices, price_curves, price_grid
from optiflow.upload import read_upload
from optiflow.upload.reading import Upload

SUMMARY = "summary.json"


def options(**given: object) -> DatasetOptions:
    return merge_options(TURNOVER.default_options, given)


def uploaded(folder: Path, table: pl.DataFrame, **given: object) -> Upload:
    path = folder / "shop.csv"
    table.write_csv(path)
    return read_upload(path, "shop.csv", options(**given), TURNOVER)


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Upload:
    return uploaded(tmp_path_factory.mktemp("upload"), turnover())


@dataclass(frozen=True)
class Done:
    run: FinishedRun
    table: Upload


@pytest.fixture(scope="module")
def done(upload: Upload, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The chain without Dagster: the same channels, learner, job files and results."""
    folder = tmp_path_factory.mktemp("run")
    chosen = options(hyperparameters={"num_round": 120, "eta": 0.1}).model_copy(
        update={"target": upload.target, "date_column": upload.date_column}
    )
    train, test = TURNOVER.split(upload.accepted, chosen)
    channels = {name: table.to_arrow() for name, table in TURNOVER.training(train, chosen).channels.items()}
    parameters = TURNOVER.check_hyperparameters({**TURNOVER.hyperparameters(chosen), "retailer": "shop"})
    summary = learner.train(channels, parameters, folder, lambda _: None)
    (folder / SUMMARY).write_text(json.dumps(summary))
    asked = test.drop("days", "sold")
    inputs = TURNOVER.scoring({"test": asked, "enriched": upload.accepted}, chosen, lambda _: "")
    for name, rows in inputs.tables.items():
        rows.write_parquet(folder / f"{name}.parquet")
        pq.write_table(learner.score(folder, read_table(folder / f"{name}.parquet")), folder / f"{name}.parquet.out")
    run = FinishedRun(
        options=chosen,
        train=train,
        test=asked,
        actuals=test.select("row", actual="days"),
        results={name: TURNOVER.read_result(name, folder, None) for name in TURNOVER.results},
        model=folder,
        kept=lambda _: "",
    )
    return Done(run, upload)


def test_an_upload_is_known_by_its_headers_and_keeps_unsold_items(upload: Upload) -> None:
    rows = upload.accepted
    assert {"created", "sold", "price", "description", "category", "brand", "as_of", "days"} <= set(rows.columns)
    assert rows["as_of"].unique().to_list() == [EXPORT_DAY]
    assert rows["sold"].null_count() == turnover()["item_sold_date"].null_count()
    sold = rows.filter(WATCHED >= 30).drop_nulls("sold")
    assert (sold["days"] == (sold["sold"] - sold["created"]).dt.total_days()).all()
    assert rows.filter(WATCHED < 30)["days"].null_count() == rows.filter(WATCHED < 30).height > 50


def test_spoiled_rows_are_rejected_with_their_reason(upload: Upload) -> None:
    table = turnover().with_row_index("row", 2)
    early = table.filter(pl.col("item_sold_date") < pl.col("item_created_date"))["row"].to_list()
    free = table.filter(pl.col("price") <= 0)["row"].to_list()
    found = {(fault["row"], fault["column"], fault["reason"]) for fault in upload.rejected.iter_rows(named=True)}
    assert len(early) > 2
    assert len(free) > 2
    assert found == {
        *((row, "item_sold_date", "is before the date of creation") for row in early),
        *((row, "price", "is not above 0") for row in free),
    }


def test_empty_cells_are_counted_by_column(upload: Upload) -> None:
    counts = TURNOVER.counts(upload.accepted, options())
    rows = upload.accepted
    assert counts["no_brand"] == rows["brand"].null_count() > 100
    assert counts["no_description"] == rows["description"].null_count() > 50
    assert counts["no_category"] == 0
    assert counts["unsold_items"] == rows["sold"].null_count() > 100
    assert counts["items_of_the_last_30_days"] == rows.filter(WATCHED < 30).height > 50


def test_dates_after_the_export_are_rejected(tmp_path: Path) -> None:
    table = turnover(200, bad_rows=False).with_columns(export_date=pl.lit(date(2016, 5, 1)))
    late = table.with_row_index("row", 2).filter(
        (pl.col("item_created_date") > date(2016, 5, 1)) | (pl.col("item_sold_date") > date(2016, 5, 1))
    )
    result = uploaded(tmp_path, table, max_rejected_fraction=0.2)
    assert late.height > 3
    assert set(result.rejected["row"]) == set(late["row"])
    assert set(result.rejected["reason"]) == {"is after the export (as_of)"}
    assert result.accepted["as_of"].unique().to_list() == [date(2016, 5, 1)]


def test_dates_of_tomorrow_are_rejected() -> None:
    today = date(2016, 7, 1)
    days = [today, today + timedelta(days=1), today]
    rows = pl.DataFrame({"row": [2, 3, 4], "created": days, "sold": [today, None, date(2026, 7, 1)]})
    faults = date_faults(rows, today)
    assert faults.select("row", "column").rows() == [(3, "created"), (4, "sold")]
    assert faults["reason"][0] == "is after today (2016-07-01)"


def test_columns_of_text_may_be_missing(tmp_path: Path) -> None:
    result = uploaded(tmp_path, turnover(300, bad_rows=False).drop("description", "brand"))
    assert result.accepted["brand"].null_count() == 300
    assert result.accepted["brand"].dtype == pl.String
    train, _ = TURNOVER.split(result.accepted, options())
    assert {"brand", "description"} <= set(TURNOVER.training(train, options()).channels["train"].columns)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=200), st.sampled_from([0.05, 0.1, 0.5]))
def test_a_split_keeps_every_row_once_and_time_in_order(ages: list[int], fraction: float) -> None:
    created = [EXPORT_DAY - timedelta(days=age) for age in ages]
    rows = with_days(
        pl.DataFrame({"created": created, "sold": None}, schema={"created": pl.Date, "sold": pl.Date})
        .with_columns(as_of=pl.lit(EXPORT_DAY))
        .with_row_index("row", 2)
    )
    judged = sum(age >= 30 for age in ages)
    if judged < 40:
        with pytest.raises(UserError, match=f"{judged} of {len(ages)} items were put on sale 30 days or more"):
            hold_out_newest(rows, fraction)
        return
    train, test = hold_out_newest(rows, fraction)
    assert sorted([*train["row"], *test["row"]]) == rows["row"].to_list()
    assert train["created"].max() <= test["created"].min()  # pyright: ignore[reportOperatorIssue]
    held = test.filter(WATCHED >= 30).height
    assert fraction * judged <= held < fraction * judged + 1
    assert train.filter(WATCHED < 30).is_empty()


def test_train_validation_and_test_are_90_5_and_5_percent_by_date(upload: Upload) -> None:
    judged = upload.accepted.filter(WATCHED >= 30).height
    train, test = TURNOVER.split(upload.accepted, options())
    channels = TURNOVER.training(train, options()).channels
    shares = [channels["train"].height, channels["validation"].height, test.filter(WATCHED >= 30).height]
    assert [round(share / judged, 2) for share in shares] == [0.9, 0.05, 0.05]
    ends = [channels["train"]["created"].max(), channels["validation"]["created"].min()]
    ends += [channels["validation"]["created"].max(), test["created"].min()]
    assert ends == sorted(ends)  # pyright: ignore[reportArgumentType]


def test_results_have_the_columns_they_say(done: Done) -> None:
    for name, result in TURNOVER.results.items():
        assert set(result.columns) <= set(done.run.results[name].columns)
    assert done.run.results["predictions"]["row"].to_list() == done.run.test["row"].to_list()
    assert set(done.run.results["stock"]["row"]) == set(done.table.accepted.filter(pl.col("sold").is_null())["row"])


def test_the_report_advises_the_model_and_tells_what_a_store_manager_asks(done: Done) -> None:
    run = done.run
    extras = TURNOVER.extras(run)
    facts = RunFacts(
        pipeline="turnover",
        dataset="shop",
        version="0" * 64,
        target="days",
        options=run.options.model_dump(mode="json"),
        created_at=datetime(2016, 7, 1, tzinfo=UTC),
        rows=RowCounts(3000, 9, run.train.height, run.test.height),
        split_strategy="time",
        unseen_categories=dict(TURNOVER.learned(run).unseen_categories),
    )
    report = build_report(facts, run.held_out, TURNOVER.baselines(run), TURNOVER.contributions(run), extras)
    assert report.outcome is Outcome.BETTER
    assert report.skill is not None
    assert report.skill > 0.3
    figures = {name: value for name, value in report.further_metrics.items() if value is not None}
    assert figures["log_loss"] < 0.85 * figures["base_log_loss"]
    assert figures["f1"] > 0.7
    shares = [figures[f"stock_sold_in_{days}_days"] for days in (30, 60, 90)]
    assert 0.2 < shares[0] < shares[1] < shares[2] < 1
    assert [table.title for table in extras.tables] == [
        "Sold within 30 days, foretold",
        "How often the chances came true",
        "Stock that turns over",
        "Best price by category",
    ]
    judged = run.test.filter(WATCHED >= 30).height
    assert sum(row[0] for row in extras.tables[1].rows if isinstance(row[0], int)) == judged
    assert {"relative price", "category", "brand", "word: new"} <= {c.feature for c in report.contributions[:10]}


def test_the_best_price_is_where_price_times_chance_is_highest() -> None:
    prices = [80.0, 90.0, 100.0, 110.0, 120.0]
    chance = {80.0: 0.9, 90.0: 0.85, 100.0: 0.8, 110.0: 0.75, 120.0: 0.5}
    rows = [("Tents", 100.0, price, chance[price] + wobble) for price in prices for wobble in (-0.05, 0.05)]
    rows += [("Boots", 50.0, price, 0.5) for price in (40.0, 50.0, 60.0)]
    scored = pl.DataFrame(rows, schema=["group", "usual_price", "at_price", "chance_30_days"], orient="row")
    best = best_prices(price_curves(scored))
    assert best["group"].to_list() == ["Boots", "Tents"]
    assert best["price"].to_list() == [60.0, 110.0]
    assert best["takings"].to_list() == pytest.approx([30.0, 82.5])
    assert best["usual_takings"].to_list() == pytest.approx([25.0, 80.0])
    assert best["at_edge"].to_list() == [True, False]


def test_the_grid_tries_prices_that_the_category_has(upload: Upload) -> None:
    grid = price_grid(upload.accepted)
    for group, low, high in grid.group_by("group").agg(pl.min("price"), pl.max("price").alias("high")).iter_rows():
        prices = upload.accepted.filter(pl.col("category") == group)["price"]
        assert prices.quantile(0.04) <= low < high <= prices.quantile(0.96)  # pyright: ignore[reportOperatorIssue]
    assert grid.group_by("group").agg(pl.col("at_price").n_unique())["at_price"].to_list() == [25] * 5
    assert grid["created"].unique().to_list() == [EXPORT_DAY]


def test_the_price_curve_finds_a_better_price_than_the_extremes(done: Done) -> None:
    curves = done.run.results["price_curve"]
    best = best_prices(curves)
    assert not best["at_edge"].all()
    assert (best["takings"] >= best["usual_takings"]).all()
    for _, line in curves.group_by("group"):
        falling = line.sort("price")["chance"].diff().drop_nulls()
        assert (falling <= 1e-9).all()


def test_a_drawn_split_watches_and_tests_drawn_items(upload: Upload) -> None:
    drawn = options(split={"strategy": "random", "seed": 5})
    train, test = TURNOVER.split(upload.accepted, drawn)
    channels = TURNOVER.training(train, drawn).channels
    assert channels["train"].height + channels["validation"].height == train.height
    assert abs(channels["validation"].height - test.height) <= 1
    for held in (test, channels["validation"]):
        assert (held["created"] < date(2014, 12, 31)).sum() > 20

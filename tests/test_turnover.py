import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import log
from pathlib import Path
from statistics import NormalDist

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy import turnover as accuracy
from optiflow.container.tables import read_table
from optiflow.errors import UserError
from optiflow.learners import turnover as learner
from optiflow.learners.turnover.model import COLUMNS
from optiflow.options import DatasetOptions, merge_options
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.turnover import findings
from optiflow.pipelines.turnover.baselines import fit_paces
from optiflow.pipelines.turnover.dates import (
    WATCHED,
    date_faults,
    judging_horizon,
    unsold,
    watched_for,
    with_days,
)
from optiflow.pipelines.turnover.judging import Gain, judge_gain, measure_gain
from optiflow.pipelines.turnover.kaplan_meier import Curve
from optiflow.pipelines.turnover.pipeline import TURNOVER, with_chance
from optiflow.pipelines.turnover.pricing import best_prices, price_curves, price_grid, stock_grid, suggested_prices
from optiflow.pipelines.turnover.sample import EXPORT_DAY, turnover
from optiflow.pipelines.turnover.slow_items import code_column, names_of, slow_table, what_to_do
from optiflow.report.build import build_report
from optiflow.report.markdown import to_markdown
from optiflow.report.model import Outcome, Report, RowCounts, RunFacts
from optiflow.report.wording import number
from optiflow.upload.reading import Upload, read_upload

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


def finished(folder: Path, upload: Upload) -> FinishedRun:
    """The chain without Dagster: the same channels, learner, job files and results."""
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
    return FinishedRun(
        options=chosen,
        train=train,
        test=asked,
        actuals=test.select("row", actual="days"),
        results={name: TURNOVER.read_result(name, folder, None) for name in TURNOVER.results},
        model=folder,
        kept=lambda _: "",
    )


def reported(run: FinishedRun) -> Report:
    facts = RunFacts(
        pipeline="turnover",
        dataset="shop",
        version="0" * 64,
        target="days",
        options=run.options.model_dump(mode="json"),
        created_at=datetime(2016, 7, 1, tzinfo=UTC),
        rows=RowCounts(run.train.height + run.test.height, 0, run.train.height, run.test.height),
        split_strategy="time",
        unseen_categories=dict(TURNOVER.learned(run).unseen_categories),
    )
    return build_report(
        facts, TURNOVER.judged(run), TURNOVER.baselines(run), TURNOVER.contributions(run), TURNOVER.extras(run)
    )


@pytest.fixture(scope="module")
def done(upload: Upload, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(finished(tmp_path_factory.mktemp("run"), upload), upload)


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
        .with_row_index("row", 2),
        fraction,
    )
    chosen = options(split={"test_fraction": fraction})
    judged = sum(age >= 30 for age in ages)
    if judged < 40:
        with pytest.raises(
            UserError,
            match=f"{judged} of {len(ages)} items {'was' if judged == 1 else 'were'} put on sale 30 days or more",
        ):
            TURNOVER.split(rows, chosen)
        return
    train, test = TURNOVER.split(rows, chosen)
    assert sorted([*train["row"], *test["row"]]) == rows["row"].to_list()
    horizon = rows["horizon"][0]
    assert test.filter(~watched_for(horizon)).is_empty()
    old = train.filter(watched_for(horizon))
    assert old["created"].max() <= test["created"].min()  # pyright: ignore[reportOperatorIssue]
    if horizon == 30:
        wanted = min(fraction * rows.height, judged * max(fraction, 0.5))
        assert wanted <= test.height < wanted + 1


def test_train_validation_and_test_are_90_5_and_5_percent_and_young_items_train(upload: Upload) -> None:
    items = upload.accepted.height
    train, test = TURNOVER.split(upload.accepted, options())
    channels = TURNOVER.training(train, options()).channels
    shares = [channels["train"].height, channels["validation"].height, test.height]
    assert [round(share / items, 2) for share in shares] == [0.9, 0.05, 0.05]
    old, young = (channels["train"].filter(kind) for kind in (WATCHED >= 30, WATCHED < 30))
    assert set(young["row"]) == set(upload.accepted.filter(WATCHED < 30)["row"])
    assert 20 < young["sold"].null_count() < young.height
    ends = [old["created"].max(), channels["validation"]["created"].min()]
    ends += [channels["validation"]["created"].max(), test["created"].min()]
    ends += [test["created"].max(), young["created"].min()]
    assert ends == sorted(ends)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("strategy", ["time", "random"])
@pytest.mark.parametrize(("watched", "young"), [(40, 0), (50, 200), (40, 400)])
def test_40_watched_items_of_the_file_are_enough(tmp_path: Path, strategy: str, watched: int, young: int) -> None:
    ages = [*range(31, 31 + watched), *(number % 29 for number in range(young))]
    table = pl.DataFrame({"age": ages}).with_columns(
        created=pl.lit(EXPORT_DAY) - pl.duration(days="age"), price=10.0, export_date=pl.lit(EXPORT_DAY)
    )
    sold = pl.when(pl.col("age") % 3 > 0).then(pl.col("created") + pl.duration(days=pl.col("age") // 3))
    table = table.with_columns(sold=sold).drop("age")
    drawn = options(split={"strategy": strategy}, hyperparameters={"num_round": 3})
    accepted = uploaded(tmp_path, table).accepted
    train, test = TURNOVER.split(accepted, drawn)
    channels = TURNOVER.training(train, drawn).channels
    assert test.height > 1
    assert channels["validation"].height > 0
    assert channels["train"].height + channels["validation"].height + test.height == watched + young
    parameters = TURNOVER.check_hyperparameters({**TURNOVER.hyperparameters(drawn), "retailer": "shop"})
    learner.train({name: rows.to_arrow() for name, rows in channels.items()}, parameters, tmp_path, lambda _: None)

    one_less = accepted.filter(pl.col("created") != pl.lit(EXPORT_DAY - timedelta(days=31)))
    if watched == 40:
        with pytest.raises(UserError, match=f"39 of {39 + young} items were put on sale 30 days or more before"):
            TURNOVER.split(one_less, drawn)


@pytest.mark.parametrize("strategy", ["time", "random"])
def test_a_hold_out_of_nearly_all_leaves_items_to_watch_the_training(strategy: str) -> None:
    created = [EXPORT_DAY - timedelta(days=31 + number) for number in range(40)]
    rows = pl.DataFrame({"row": range(2, 42), "created": created, "sold": created}).with_columns(
        as_of=pl.lit(EXPORT_DAY), **{name: pl.lit(None, pl.String) for name in ("description", "category", "brand")}
    )
    rows = pl.concat([rows, rows.with_columns(pl.col("row") + 40, created="as_of", sold="as_of")])
    chosen = options(split={"strategy": strategy, "test_fraction": 0.99})
    train, test = TURNOVER.split(with_days(rows.with_columns(price=1.0), 0.99), chosen)
    assert test.height == 38
    assert TURNOVER.training(train, chosen).channels["validation"].height == 1


def test_a_young_file_is_judged_within_fewer_days() -> None:
    def horizon(*ages: int) -> int:
        return judging_horizon(pl.Series([age for age in ages for _ in range(100)]), 0.05)

    assert horizon(30, 2, 2, 2, 2) == 30  # 100 of 500 are four times 5 %
    assert horizon(30, *[22] * 9) == 21
    assert horizon(30, *[22] * 5, *[15] * 4) == 14
    assert horizon(30, *[22] * 3, *[8] * 6) == 7
    assert horizon(30, *[1] * 9) == 7


def test_the_curve_is_that_of_statsmodels_and_of_the_trial_of_6_mp() -> None:
    # Freireich and others (1963), the 21 patients on 6-mercaptopurine; the figures stand in every textbook.
    days = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float)
    over = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    curve = Curve.of(days, over)
    assert curve.unsold.round(3).tolist() == [0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448]
    assert curve.median() == 23
    assert [round(curve.share_sold(day), 3) for day in (5, 6, 9, 100)] == [0, 0.143, 0.193, 0.552]
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(4)
    took, watched = rng.geometric(0.04, 500).astype(float), rng.integers(0, 60, 500).astype(float)
    theirs = SurvfuncRight(np.minimum(took, watched), (took <= watched).astype(int))
    ours = Curve.of(np.minimum(took, watched), took <= watched)
    np.testing.assert_allclose(ours.unsold, theirs.surv_prob, atol=1e-12)
    assert ours.day.tolist() == theirs.surv_times.tolist()
    assert ours.median() == theirs.quantile(0.5)
    assert Curve.of(np.array([3.0]), np.array([False])).median() == np.inf


def test_the_best_group_is_found_inside_the_training_items() -> None:
    rng = np.random.default_rng(7)
    created = [date(2020, 1, 1) + timedelta(days=int(day)) for day in np.sort(rng.integers(0, 300, 1200))]
    brand = rng.choice(["quick", "slow"], 1200)
    days = np.where(rng.random(1200) < np.where(brand == "quick", 0.9, 0.2), 10, 90)
    rows = pl.DataFrame({"created": created, "brand": brand, "days": days}).with_columns(
        category=pl.Series(rng.choice(["a", "b", "c"], 1200)), as_of=pl.lit(date(2021, 6, 1))
    )
    rows = rows.with_row_index("row").with_columns(sold=pl.col("created") + pl.duration(days="days"))
    paces = fit_paces(rows, 30, by_time=True)
    assert [pace.name for pace in paces[:2]] == [
        "Kaplan-Meier curve of all items",
        "Kaplan-Meier curve of the newest items",
    ]
    best = paces[-1]
    assert "brand" in best.by
    asked = pl.DataFrame({"created": created[:3], "category": ["a", "b", "c"], "brand": ["quick", "slow", "new"]})
    shares, medians = best.shares(asked).to_list(), best.medians(asked).to_list()
    assert shares[0] == pytest.approx(0.9, abs=0.1)
    assert shares[1] == pytest.approx(0.2, abs=0.1)
    assert shares[2] == pytest.approx((days <= 30).mean())
    assert medians[:2] == [10, 30]


def test_a_group_that_only_fits_by_heart_is_not_chosen() -> None:
    rng = np.random.default_rng(5)
    created = [date(2020, 1, 1) + timedelta(days=int(day)) for day in np.sort(rng.integers(0, 300, 1200))]
    category = rng.choice(["a", "b"], 1200)
    days = np.where(rng.random(1200) < np.where(category == "a", 0.6, 0.4), 10, 90)
    rows = pl.DataFrame({"row": range(1200), "created": created, "category": category, "days": days}).with_columns(
        brand=pl.Series([f"brand {number}" for number in rng.integers(0, 250, 1200)]),  # tells nothing
        sold=pl.col("created") + pl.duration(days="days"),
        as_of=pl.lit(date(2021, 6, 1)),
    )
    assert fit_paces(rows, 30, by_time=True)[-1].by == ("category",)


def test_a_pace_counts_items_that_are_not_sold_yet() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(6)
    watched, took = rng.integers(0, 200, 900), rng.geometric(0.02, 900)
    export = date(2021, 1, 1)
    rows = pl.DataFrame({"row": range(900), "watched": watched, "took": took}).with_columns(
        created=pl.lit(export) - pl.duration(days="watched"), as_of=pl.lit(export), category=None, brand=None
    )
    rows = rows.with_columns(
        sold=pl.when(pl.col("took") <= pl.col("watched")).then(pl.col("created") + pl.duration(days="took"))
    )
    theirs = SurvfuncRight(np.minimum(took, watched), (took <= watched).astype(int))
    everything = fit_paces(rows, 30, by_time=True)[0]
    assert everything.share == pytest.approx(1 - np.asarray(theirs.surv_prob)[theirs.surv_times <= 30][-1])
    assert everything.share == pytest.approx(1 - 0.98**30, abs=0.05)
    assert everything.median == min(theirs.quantile(0.5), 30)


def test_limits_of_a_gain_know_that_items_of_a_day_hang_together() -> None:
    rng = np.random.default_rng(2)
    days = pl.Series([date(2020, 1, 1) + timedelta(days=number // 20) for number in range(600)])
    luck = rng.random(30).repeat(20) < 0.6  # all items of a day sell, or none does
    chance, naive = np.full(600, 0.6), np.full(600, 0.5)
    together = measure_gain(luck, chance, {"half": naive}, days)
    shuffled = measure_gain(rng.permutation(luck), chance, {"half": naive}, days)
    from statsmodels.regression.linear_model import OLS

    gain = np.log(2) + np.where(luck, np.log(0.6), np.log(0.4))
    groups = np.arange(600) // 20
    theirs = OLS(gain, np.ones(600)).fit(cov_type="cluster", cov_kwds={"groups": groups, "df_correction": True})
    assert together.standard_error == pytest.approx(theirs.bse[0], rel=0.002)  # theirs has 600 / 599 for the items, too
    assert together.mean == pytest.approx(gain.mean())
    assert shuffled.standard_error == pytest.approx(gain.std(ddof=1) / np.sqrt(600), rel=0.3)
    assert together.standard_error > 3 * gain.std() / np.sqrt(600)


def gain_of(gains: np.ndarray, days: int) -> Gain:
    """The measured gain of items that were put on sale on so many days, as many on each, one day after another."""
    created = pl.Series([date(2020, 1, 1) + timedelta(days=day) for day in range(days)])
    created = created.gather(np.arange(days).repeat(len(gains) // days))
    naive = np.full(len(gains), 0.3)
    return measure_gain(np.ones(len(gains), bool), naive * np.exp(gains), {"x": naive}, created)


@pytest.mark.parametrize("days", [2, 3, 8, 9])
def test_limits_of_a_gain_on_a_few_days_are_those_of_as_many_days(days: int) -> None:
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(days)
    gains = 0.08 + np.resize([0.15, -0.15], days).repeat(50) + rng.normal(0, 0.15, 50 * days)
    groups = np.arange(days).repeat(50)
    fitted = OLS(gains, np.ones(len(gains))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    gain = gain_of(gains, days)
    assert (gain.low, gain.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=0.01)
    assert gain.mean > 3 * gains.std() / np.sqrt(len(gains))  # items alone would call it better
    assert judge_gain(gain, 30).outcome is Outcome.UNCLEAR


def test_a_model_without_a_gain_is_called_better_as_seldom_as_the_limits_say() -> None:
    rng = np.random.default_rng(3)
    better = 0
    for draw in range(800):
        days = 2 + draw % 8
        gains = rng.normal(0, 0.2, days).repeat(50) + rng.normal(0, 0.15, 50 * days)
        better += judge_gain(gain_of(gains, days), 30).outcome is Outcome.BETTER
    assert better <= 800 * 0.025 + 3 * np.sqrt(800 * 0.025 * 0.975)


def test_items_of_a_single_day_count_alone_and_the_report_says_so() -> None:
    gains = 0.08 + np.random.default_rng(4).normal(0, 0.15, 400)
    one, two = gain_of(gains, 1), gain_of(gains, 2)
    assert one.standard_error == pytest.approx(gains.std(ddof=1) / 20)
    assert judge_gain(one, 30).outcome is Outcome.BETTER
    nobody = pl.DataFrame({"created": [date(2020, 1, 1)], "as_of": [date(2021, 1, 1)]})
    warned = findings.horizon_warnings(nobody, findings.Told(30, 0.5, one, {}))
    assert warned == (
        "All held-out items were put on sale on one day: what is special about that day cannot be told from what the "
        "model is worth, and is not in the limits of the verdict.",
    )
    assert not findings.horizon_warnings(nobody, findings.Told(30, 0.5, two, {}))


def test_results_have_the_columns_they_say(done: Done) -> None:
    for name, result in TURNOVER.results.items():
        assert set(result.columns) <= set(done.run.results[name].columns)
    assert done.run.results["predictions"]["row"].to_list() == done.run.test["row"].to_list()
    assert set(done.run.results["stock"]["row"]) == set(done.table.accepted.filter(pl.col("sold").is_null())["row"])


def test_the_report_advises_the_model_and_tells_what_a_store_manager_asks(done: Done) -> None:
    run = done.run
    extras, report = TURNOVER.extras(run), reported(run)
    assert report.outcome is Outcome.BETTER
    assert report.skill is not None
    assert report.skill > 0.25
    assert report.skill_of == "log-loss"
    figures = {name: value for name, value in report.further_metrics.items() if value is not None}
    assert report.skill == pytest.approx(1 - figures["log_loss"] / figures["base_log_loss"])
    assert (report.baselines[0].name, report.baselines[0].skill_low) == (
        report.best_baseline,
        pytest.approx(0.4, abs=0.4),
    )
    assert figures["concordance"] > 0.75 > figures["base_concordance"] + 0.05
    assert figures["brier"] < 0.8 * figures["base_brier"]
    assert figures["f1"] > 0.7
    shares = [figures[f"stock_sold_in_{days}_days"] for days in (30, 60, 90)]
    assert 0.2 < shares[0] < shares[1] < shares[2] < 1
    assert [table.title for table in extras.tables] == [
        "Slow and dear items",
        "Stock that turns over",
        "Best price by category",
        "Chances of a sale within 30 days, beside what needs no model",
        "Sold within 30 days, foretold",
        "How often the chances came true",
    ]
    assert run.test.filter(WATCHED < 30).is_empty()
    assert sum(row[0] for row in extras.tables[5].rows if isinstance(row[0], int)) == run.test.height
    assert report.judged_rows == run.test.height
    assert not [warning for warning in report.warnings if "no actual" in warning]
    page = to_markdown(report)
    assert "Harrell's C" in page
    assert "Skill of the model, by squared error" in page
    assert {"relative price", "category", "brand", "word: new"} <= {c.feature for c in report.contributions[:10]}


def test_a_model_that_knows_nothing_is_not_advised(tmp_path: Path) -> None:
    # What an item is like, laid on another item: what is left is when it was put on sale.
    told = ["price", "description", "category", "brand"]
    for seed in (1, 2):
        table = turnover()
        order = np.random.default_rng(seed).permutation(table.height)
        folder = tmp_path / str(seed)
        folder.mkdir()
        report = reported(finished(folder, uploaded(folder, table.with_columns(table.select(told)[order]))))
        assert report.outcome in (Outcome.UNCLEAR, Outcome.WORSE), report.verdict
        assert "no better than the Kaplan-Meier curve" in report.verdict
        assert report.warnings[0] == report.verdict
        low, high = (report.further_metrics[f"log_loss_gain_{end}"] for end in ("low", "high"))
        assert low is not None
        assert high is not None
        assert low < 0 < high + 0.02


def test_days_are_judged_up_to_the_horizon_for_the_model_and_the_baselines(done: Done) -> None:
    run = done.run
    rows = TURNOVER.judged(run)
    everything = done.table.accepted.filter(pl.col("row").is_in(run.test["row"].implode()))
    took = dict(everything.select("row", (pl.col("sold") - pl.col("created")).dt.total_days()).iter_rows())
    by_hand = [30 if took[row] is None else min(took[row], 30) for row in rows["row"]]
    assert rows["actual"].to_list() == by_hand
    assert sum(days == 30 for days in by_hand) > 30
    assert rows["predicted"].max() == 30
    assert all(values.max() <= 30 for values in TURNOVER.baselines(run).values())  # pyright: ignore[reportOperatorIssue]


def test_figures_of_chances_are_those_counted_by_hand(done: Done) -> None:
    run = done.run
    rows = run.held_out
    quick = (rows["actual"] <= 30).fill_null(False).to_list()
    chance, expected = rows["chance_30_days"].to_list(), rows["expected_days"].to_list()
    metrics = TURNOVER.extras(run).metrics
    assert metrics is not None
    loss = [-np.log(p if is_quick else 1 - p) for p, is_quick in zip(chance, quick, strict=True)]
    assert metrics["log_loss"] == pytest.approx(sum(loss) / len(loss))
    assert metrics["brier"] == pytest.approx(
        sum((p - is_quick) ** 2 for p, is_quick in zip(chance, quick, strict=True)) / len(quick)
    )
    days = [took if is_quick else np.inf for took, is_quick in zip(rows["actual"].to_list(), quick, strict=True)]
    right = pairs = 0.0
    for first in range(len(days)):
        for second in range(len(days)):
            # Known order: the first sold within 30 days, and the second later or not by then.
            if quick[first] and days[first] < days[second]:
                pairs += 1
                right += (expected[first] < expected[second]) + (expected[first] == expected[second]) / 2
    assert metrics["concordance"] == pytest.approx(right / pairs)


def test_a_young_file_says_within_how_many_days_it_was_judged(done: Done) -> None:
    run = done.run
    young = replace(
        run,
        test=run.test.with_columns(horizon=pl.lit(14, pl.Int64)),
        train=run.train.with_columns(horizon=pl.lit(14, pl.Int64)),
    )
    extras = TURNOVER.extras(young)
    assert extras.judgement is not None
    assert "within 14 days" in extras.judgement.verdict
    assert extras.warnings[0].startswith("Too few items were watched for 30 days: the model is judged by its chances")
    metrics = extras.metrics or {}
    assert metrics["judged_within_days"] == 14
    assert metrics["share_quick"] == pytest.approx((young.held_out["actual"] <= 14).fill_null(False).mean())
    assert TURNOVER.judged(young)["actual"].max() == 14
    # ln(days) is normal around that of the expected days, and day 14 ends half a day after its middle.
    days, spread = run.held_out["expected_days"].to_list(), run.summary["spread"]
    by_hand = [NormalDist(log(middle), spread).cdf(log(14.5)) for middle in days]
    assert with_chance(young)["chance"].to_list() == pytest.approx(by_hand)
    one = young.train.filter(WATCHED < 14).head(1)
    assert (
        "1 item went on sale less than 14 days before the export"
        in findings.horizon_warnings(
            pl.concat([young.train.filter(WATCHED >= 14), one]),
            findings.Told(
                14,
                0.5,
                measure_gain(np.ones(2, bool), np.ones(2), {"x": np.ones(2)}, one["created"].extend(one["created"])),
                {},
            ),
        )[-1]
    )


def test_a_price_at_the_edge_of_what_was_seen_is_not_shown_as_best() -> None:
    rows = [("Boots", 50.0, price, 0.5) for price in (40.0, 50.0, 60.0)]
    rows += [("Socks", 50.0, price, chance) for price, chance in ((40.0, 0.9), (50.0, 0.4), (60.0, 0.3))]
    rows += [("Tents", 50.0, price, chance) for price, chance in ((40.0, 0.5), (50.0, 0.6), (60.0, 0.3))]
    scored = pl.DataFrame(rows, schema=["group", "usual_price", "at_price", "chance_30_days"], orient="row")
    shown = {row[0]: row[2:5] for row in findings.price_table(price_curves(scored)).rows}
    assert shown == {
        "Boots": ("at or beyond the highest tried, 60.00", None, None),
        "Socks": ("at or beyond the lowest tried, 40.00", None, None),
        "Tents": (50.0, "60.0 %", 30.0),
    }


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
    assert best["edge"].to_list() == ["highest", None]


def test_the_grid_tries_prices_that_the_category_has(upload: Upload) -> None:
    grid = price_grid(upload.accepted)
    for group, low, high in grid.group_by("group").agg(pl.min("price"), pl.max("price").alias("high")).iter_rows():
        prices = upload.accepted.filter(pl.col("category") == group)["price"]
        assert prices.quantile(0.04) <= low < high <= prices.quantile(0.96)  # pyright: ignore[reportOperatorIssue]
    assert grid.group_by("group").agg(pl.col("at_price").n_unique())["at_price"].to_list() == [25] * 5
    assert grid["created"].unique().to_list() == [EXPORT_DAY]


PRICES = (24.99, 0.1, 49.0, 3.3, 1234.56, 9.99, 0.07)


def curves_of(prices: dict[str, list[float]], chance: Callable[[pl.Expr], pl.Expr]) -> pl.DataFrame:
    """The curves of items of these prices by category, where the chance of a sale hangs on the price alone."""
    rows = pl.DataFrame(
        [(name, price) for name, own in prices.items() for price in own], schema=["category", "price"], orient="row"
    ).with_columns(created=pl.lit(EXPORT_DAY), as_of=pl.lit(EXPORT_DAY), description=None, brand=None)
    return price_curves(price_grid(rows).with_columns(chance_30_days=chance(pl.col("at_price"))))


def test_a_category_of_one_price_has_none_to_try_and_is_told_so() -> None:
    prices = {f"at {price}": [price] * 40 for price in PRICES[:3]}
    prices |= {"nearly": [24.99] * 40 + [12.99], "Tents": [10.0 + number for number in range(40)]}
    curves = curves_of(prices, lambda price: 1 - price / 50)
    tried = dict(curves.group_by("group").agg("price").iter_rows())
    assert {group: prices for group, prices in tried.items() if len(prices) < 25} == {
        **{f"at {price}": [price] for price in PRICES[:3]},
        "nearly": [24.99],
    }
    assert (tried["Tents"][0], tried["Tents"][-1]) == (12.0, 47.0)  # the 5 % and the 95 % quantile of 10 to 49
    assert dict(best_prices(curves).select("group", "edge").iter_rows())["nearly"] is None
    shown = {row[0]: row[2:5] for row in findings.price_table(curves).rows}
    assert shown["at 24.99"] == shown["nearly"] == ("no price tried but 24.99", None, None)
    assert shown["at 0.1"] == ("no price tried but 0.1000", None, None)
    assert isinstance(shown["Tents"][0], float)
    assert drawn_lines(curves) == ["Tents"]


def test_nothing_is_drawn_where_no_price_was_tried() -> None:
    curves = curves_of({"Socks": [9.99] * 40}, lambda price: price * 0 + 0.5)
    assert findings.price_figures(curves) == ()
    assert findings.price_figures(curves_of({"Socks": [9.99, 12.99] * 20}, lambda price: price * 0 + 0.5)) != ()


@pytest.mark.parametrize("price", PRICES)
def test_the_end_that_is_named_is_the_one_where_takings_are_highest(price: float) -> None:
    # The usual price is itself an end: which one is best tells nothing of the side on which it lies.
    dear = {
        "usual is the highest": [price] * 30 + [price / 2] * 15,
        "usual is the lowest": [price] * 30 + [price * 2] * 15,
    }
    rising = findings.price_table(curves_of(dear, lambda at: at * 0 + 0.5)).rows
    falling = findings.price_table(curves_of(dear, lambda at: 0.1 / at**2)).rows
    assert {row[2] for row in rising} == {
        f"at or beyond the highest tried, {number(price)}",
        f"at or beyond the highest tried, {number(price * 2)}",
    }
    assert {row[2] for row in falling} == {
        f"at or beyond the lowest tried, {number(price)}",
        f"at or beyond the lowest tried, {number(price / 2)}",
    }


def drawn_lines(curves: pl.DataFrame) -> list[str]:
    """The categories whose takings are drawn over price."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    for figure in findings.price_figures(curves):
        figure.draw(axes)
    return [str(line.get_label()) for line in axes.get_lines() if not str(line.get_label()).startswith("_")]


def test_the_price_curve_finds_a_better_price_than_the_extremes(done: Done) -> None:
    curves = done.run.results["price_curve"]
    best = best_prices(curves)
    assert best["edge"].null_count() > 0
    assert (best["takings"] >= best["usual_takings"]).all()
    for _, line in curves.group_by("group"):
        falling = line.sort("price")["chance"].diff().drop_nulls()
        assert (falling <= 1e-9).all()


def test_the_suggested_price_is_the_one_that_brings_in_most_and_at_least_5_percent_more() -> None:
    """Chances by hand: row 1 is best at 80, row 2 nearly at its own price, row 3 at the lowest tried, row 4 has one price."""
    chances = {
        1: {100.0: 0.40, 70.0: 0.50, 80.0: 0.60, 120.0: 0.20},
        2: {50.0: 0.50, 45.0: 0.58, 40.0: 0.60},
        3: {10.0: 0.10, 7.0: 0.90, 8.0: 0.50},
        4: {30.0: 0.20},
    }
    own = {1: 100.0, 2: 50.0, 3: 10.0, 4: 30.0}
    rows = [(row, own[row], price, chance, 9.0) for row, tried in chances.items() for price, chance in tried.items()]
    schema = ["row", "own_price", "at_price", "next_30_days", "age_days"]
    found = suggested_prices(pl.DataFrame(rows, schema=schema, orient="row"))
    assert found.select("row", "suggested_price", "suggested_edge", "next_30_days").rows() == [
        (1, 80.0, None, 0.40),
        (2, None, None, 0.50),
        (3, 7.0, "lowest", 0.10),
        (4, None, None, 0.20),
    ]


def test_prices_are_tried_for_an_item_as_far_as_its_category_has_them(upload: Upload) -> None:
    stock = unsold(upload.accepted).select("row", "age_days", *COLUMNS)
    grid = stock_grid(stock, upload.accepted)
    assert grid.filter(pl.col("price") == pl.col("own_price"))["row"].to_list() == stock["row"].to_list()
    assert grid.select("row", "at_price").is_unique().all()
    factors = grid.select((pl.col("at_price") / pl.col("own_price")).round(1)).to_series().unique().sort().to_list()
    assert factors == [0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
    for category, rows in upload.accepted.group_by("category"):
        other = grid.filter(pl.col("category") == category[0], pl.col("at_price") != pl.col("own_price"))["at_price"]
        prices = rows["price"]
        assert prices.quantile(0.05) <= other.min() <= other.max() <= prices.quantile(0.95)  # pyright: ignore


def test_the_slow_and_dear_items_are_told_by_name_with_both_prices() -> None:
    stock = pl.DataFrame(
        {
            "row": [2, 3, 4],
            "Article No": ["T-1", "T-2", "T-3"],
            "brand": ["Campo", None, "Campo"],
            "description": ["tent", "x" * 90, None],
            "category": ["Tents", None, "Tents"],
            "price": [100.0, 900.0, 50.0],
            "age_days": [40.0, 300.0, 3.0],
            "next_30_days": [0.5, 0.1, 0.9],
            "next_90_days": [0.8, 0.3, 1.0],
            "suggested_price": [None, 630.0, 60.0],
            "suggested_edge": [None, "lowest", None],
        }
    )
    table = slow_table(stock, "EUR")
    assert [row[0][:14] for row in table.rows] == ["T-2 xxxxxxxxxx", "T-1 Campo tent", "T-3 Campo"]  # pyright: ignore
    assert table.rows[0][1:] == (900.0, 630.0, "lower by 30.0 % or lower", 300, "10.0 %", "30.0 %", None)
    assert table.rows[1][1:4] == (100.0, None, "keep")
    assert table.rows[2][3] == "raise by 20.0 %"
    assert table.header[1:3] == ("Price today (EUR)", "Suggested price (EUR)")
    said = list(what_to_do(stock, "EUR"))
    # 900 x 0.7 + 100 x 0.2 + 50 x 0
    assert said[0].startswith(
        "Look at 3 items first: with these, 650.0 EUR of the 650.0 EUR that will probably still be tied up"
    )
    assert "for 1 of these 3 a lower one" in said[1]
    assert said[2].startswith("1 item will sell soon anyway and may be too cheap")
    assert code_column(stock.with_columns(pl.lit("T-1").alias("Article No"))) is None
    assert names_of(stock.drop("Article No"))[0] == "Campo tent (row 2)"
    assert list(what_to_do(stock.clear(), "EUR")) == []


def test_the_stock_of_the_report_carries_what_the_file_says_of_each_item(done: Done) -> None:
    (download,) = TURNOVER.extras(done.run).downloads
    told = download.rows.join(done.table.accepted, on="row", suffix=" (file)", validate="1:1")
    assert told.height == download.rows.height == done.run.results["stock"].height
    for name in ("price", "description", "category", "brand", "created"):
        assert told[name].equals(told[f"{name} (file)"])
    assert "horizon" not in download.rows.columns


def test_a_drawn_split_watches_and_tests_drawn_items(upload: Upload) -> None:
    drawn = options(split={"strategy": "random", "seed": 5})
    train, test = TURNOVER.split(upload.accepted, drawn)
    channels = TURNOVER.training(train, drawn).channels
    assert channels["train"].height + channels["validation"].height == train.height
    assert abs(channels["validation"].height - test.height) <= 1
    for held in (test, channels["validation"]):
        assert held.filter(WATCHED < 30).is_empty()
        assert (held["created"] < date(2014, 12, 31)).sum() > 20


def test_the_benchmark_measures_the_sample_and_the_adverts_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "ORIGINS", accuracy.ORIGINS[:1])
    alone = list(accuracy.figures(tmp_path))
    assert all(figure.ok for figure in alone)
    (tmp_path / accuracy.CARS_FILE).parent.mkdir()
    turnover(1000).write_csv(tmp_path / accuracy.CARS_FILE)
    both = list(accuracy.figures(tmp_path))
    assert both[: len(alone)] == alone
    for data_set, rows in (("sample", alone), ("used_cars", both[len(alone) :])):
        assert {figure.data_set for figure in rows} == {data_set}
        told, known = (figure.value for figure in rows if figure.metric == "log-loss")
        assert told < 0.9 * known

"""A report judges the model that made its predictions, whichever model was trained since; nothing else is promoted or deployed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from project import FAST, OPTIONS, Project, failure, metadata

from optiflow.pipelines import PIPELINES
from optiflow.pipelines.item_demand import sample as item_demand
from optiflow.pipelines.orders import sample as orders
from optiflow.pipelines.turnover import sample as turnover
from optiflow_dagster.definitions import build_definitions
from resources.catalog.records import ModelRecord
from resources.jobs.contract import JobKind, JobRequest, JobState
from resources.jobs.local import LocalJobs

DATASET = "shop"


class NewCode(LocalJobs):
    """A place whose code has changed since: it trains another model, a worse one, from the same data."""

    def environment(self, algorithm: str) -> tuple[str, ...]:
        return (*super().environment(algorithm), "new")

    def submit(self, request: JobRequest) -> JobState:
        if request.kind is JobKind.TRAINING:
            name = "num_round" if "num_round" in request.hyperparameters else "rounds"
            request = replace(request, hyperparameters={**request.hyperparameters, name: "1"})
        return super().submit(request)


class Shop:
    """A dataset whose chain has run, and its parts by themselves."""

    def __init__(self, home: Path, pipeline: str, table: pl.DataFrame, options: Mapping[str, Any]) -> None:
        self.project = Project(home, pipeline)
        self.pipeline = PIPELINES[pipeline]
        self.project.drop(f"{DATASET}.csv", table, options)
        self.new_code = build_definitions(
            self.project.settings, jobs=NewCode(root=str(self.project.settings.jobs_dir), max_parallel=2)
        )

    def run(self, *assets: str, new_code: bool = False) -> dg.ExecuteInProcessResult:
        """Materialize some assets by themselves, as from the UI."""
        made = self.new_code if new_code else self.project.definitions
        job = dg.define_asset_job("some", dg.AssetSelection.assets(*([self.pipeline.name, asset] for asset in assets)))
        return self.project.run("some", DATASET, dg.Definitions.merge(made, dg.Definitions(jobs=[job])))

    def done(self, *assets: str, new_code: bool = False) -> dg.ExecuteInProcessResult:
        result = self.run(*assets, new_code=new_code)
        assert result.success, failure(result)
        return result

    def train_again(self) -> str:
        """A second training job of the same revision; returns its name."""
        return metadata(self.done("training_job", new_code=True), "training_job")["job"]

    def models(self) -> dict[str, ModelRecord]:
        return {model.name: model for model in self.project.adapters.catalog.open().models()}

    def judged(self) -> tuple[str, float]:
        """The model and the squared error in the report."""
        found = self.project.report(DATASET)
        return found["job"]["name"], found["metrics"]["mse"]


def in_chain(home: Path, pipeline: str, table: pl.DataFrame, options: Mapping[str, Any]) -> Iterator[Shop]:
    made = Shop(home, pipeline, table, options)
    with made.project.instance:
        result = made.project.run(f"{pipeline}_job", DATASET)
        assert result.success, failure(result)
        yield made
    made.project.stop_jobs()


@pytest.fixture
def orders_shop(tmp_path: Path) -> Iterator[Shop]:
    yield from in_chain(tmp_path, "orders", orders.orders(400, seed=3, bad_rows=False), OPTIONS)


@pytest.fixture
def retailer(tmp_path: Path) -> Iterator[Shop]:
    options = {"hyperparameters": {"num_round": 20, "eta": 0.3, "max_terms": 10}}
    yield from in_chain(tmp_path, "turnover", turnover.turnover(700, 5, bad_rows=False), options)


@pytest.fixture
def items(tmp_path: Path) -> Iterator[Shop]:
    table = item_demand.item_demand(days=240).filter(pl.col("store") == pl.col("store").min())
    yield from in_chain(tmp_path, "item_demand", table, {"horizon": 7, "hyperparameters": {"num_round": 20}})


def assert_report_follows_the_predictions(shop: Shop) -> tuple[float, float]:
    """Both orders: the report before the new model has scored, and after; returns both models' squared errors."""
    report, results = shop.pipeline.report, tuple(shop.pipeline.results)
    first = shop.judged()
    second = shop.train_again()

    shop.done(report)
    assert shop.judged() == first
    refused = shop.run("prediction_job", new_code=True)
    kind, said = failure(refused)
    assert kind == "input"
    assert f"materialize {shop.pipeline.name}/model first" in said

    shop.done("model", "prediction_job", new_code=True)
    assert metadata(shop.done(report), report)["model"] == first[0] == shop.judged()[0]
    assert shop.judged() == first
    assert shop.models()[second].metrics == {}

    shop.done(*results, report, new_code=True)
    assert shop.judged()[0] == second
    assert shop.models()[second].metrics["mse"] == shop.judged()[1]
    assert shop.models()[first[0]].metrics["mse"] == first[1]
    return first[1], shop.judged()[1]


def test_a_report_of_orders_judges_the_model_that_made_its_predictions(orders_shop: Shop) -> None:
    old, new = assert_report_follows_the_predictions(orders_shop)
    assert new > old  # one tree


def test_a_forecasts_report_judges_the_model_that_made_it(items: Shop) -> None:
    assert_report_follows_the_predictions(items)


def test_no_model_is_deployed_that_was_not_judged(retailer: Shop) -> None:
    first, endpoints = retailer.judged(), retailer.project.adapters.endpoints
    served = endpoints.describe(DATASET)
    second = retailer.train_again()
    retailer.done("model", "prediction_job", new_code=True)
    retailer.done("turnover_report", "endpoint")
    assert retailer.judged() == first
    after = endpoints.describe(DATASET)
    assert (after and after.model) == (served and served.model)
    assert retailer.models()[second].stage == "candidate"
    assert retailer.models()[second].metrics == {}


def test_results_of_two_models_are_not_judged_as_one(retailer: Shop) -> None:
    first, second = retailer.judged()[0], retailer.train_again()
    retailer.done("model", "prediction_job", new_code=True)
    retailer.done("predictions")
    kind, said = failure(retailer.run("turnover_report"))
    assert kind == "input"
    assert first in said
    assert second in said
    assert "turnover/predictions" in said


def test_what_names_no_model_or_one_that_is_gone_is_said(orders_shop: Shop) -> None:
    model = orders_shop.judged()[0]
    archive = orders_shop.project.work / f"lake/orders/model/{DATASET}/{model}/model.tar.gz"
    archive.rename(archive.with_suffix(".away"))
    kind, said = failure(orders_shop.run("mse_report"))
    assert kind == "input"
    assert f"There is no model.tar.gz of the model {model}" in said
    archive.with_suffix(".away").rename(archive)
    table = orders_shop.project.path("predictions", DATASET, ".parquet")
    pl.read_parquet(table).drop("model").write_parquet(table)
    kind, said = failure(orders_shop.run("mse_report"))
    assert kind == "input"
    assert "does not say which model made it: materialize orders/predictions" in said


def test_equal_rows_are_scored_anew_by_another_model(orders_shop: Shop) -> None:
    first, mse = orders_shop.judged()
    predicted = orders_shop.project.table("predictions", DATASET)
    fewer = {**OPTIONS, "hyperparameters": {**FAST, "num_round": 2}}
    orders_shop.project.drop(f"{DATASET}.csv", orders.orders(400, seed=3, bad_rows=False), fewer)
    result = orders_shop.project.run("orders_job", DATASET)
    assert result.success, failure(result)
    again = orders_shop.project.table("predictions", DATASET)
    assert again["row"].equals(predicted["row"])
    assert not metadata(result, "prediction_job")["adopted"]
    assert again["model"].unique().to_list() == [orders_shop.judged()[0]] != [first]
    assert not again["predicted"].equals(predicted["predicted"])
    assert orders_shop.judged()[1] > 1.02 * mse


def test_another_revision_with_equal_training_rows_takes_the_job_over(orders_shop: Shop) -> None:
    job = orders_shop.judged()[0]
    orders_shop.project.drop(
        f"{DATASET}.csv", orders.orders(400, seed=3, bad_rows=False), {**OPTIONS, "max_rejected_fraction": 0.4}
    )
    result = orders_shop.project.run("orders_job", DATASET)
    assert result.success, failure(result)
    assert metadata(result, "training_job")["adopted"]
    assert orders_shop.judged()[0] == job

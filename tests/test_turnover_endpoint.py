"""The asset `turnover/endpoint` and the commands `optiflow endpoint`: which model they serve, and what they say."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from aws_double.client import REGION, AwsDouble
from project import Project, failure, metadata
from turnover_models import ITEM, REQUEST, answer_of, trained_model

from optiflow.options import DatasetOptions
from optiflow.pipelines.turnover.pipeline import TURNOVER
from optiflow_dagster.jobs import pipeline_jobs
from resources.catalog.records import DatasetRecord, ModelRecord
from resources.endpoints.contract import ServedModel, endpoint_name

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/optiflow"


class Retailer:
    """A project whose catalog and lake hold models of the retailer `outlet`, as the chain before the endpoint leaves them."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.project = Project(home, "turnover", **settings)
        self.store, self.endpoints = self.project.adapters.catalog.open(), self.project.adapters.endpoints
        options = DatasetOptions(target="days", date_column="created")
        self.store.put_dataset(DatasetRecord("turnover", "outlet", "r1", "v", "outlet.csv", 1, options, START))

    def add_model(self, number: int, *, champion: bool) -> ServedModel:
        """A model that was trained, reported on and judged."""
        model = trained_model(
            self.project.adapters.storage, "outlet", f"turnover-outlet-training-{number}", seed=number
        )
        made = START + timedelta(hours=number)
        self.store.put_model(ModelRecord(model.name, "turnover", "outlet", "r1", "uri", made))
        self.store.judge_model(model.name, {}, champion=champion)
        return model

    def materialize(self) -> dg.ExecuteInProcessResult:
        """Run the asset alone."""
        job = dg.define_asset_job("endpoint_job", dg.AssetSelection.assets(["turnover", "endpoint"]))
        alone = dg.Definitions.merge(self.project.definitions, dg.Definitions(jobs=[job]))
        return self.project.run("endpoint_job", "outlet", alone)


@pytest.fixture
def retailer(tmp_path: Path) -> Iterator[Retailer]:
    made = Retailer(tmp_path)
    with made.project.instance:
        yield made


def test_the_champion_is_served_and_the_metadata_say_how_to_ask_it(retailer: Retailer) -> None:
    first = retailer.add_model(1, champion=True)
    shown = metadata(retailer.materialize(), "endpoint")
    assert {**shown, "how_to_ask": ""} == {
        "endpoint": "turnover-outlet",
        "model": first.name,
        "previous_model": "none",
        "status": "InService",
        "how_to_ask": "",
    }
    _, _, example = shown["how_to_ask"].split("```")[1:4]
    request = example.removeprefix("json\n").encode()
    assert answer_of(retailer.endpoints.invoke("outlet", request))[0] == "outlet"


def test_a_newer_model_that_is_no_champion_leaves_the_old_one(retailer: Retailer) -> None:
    first = retailer.add_model(1, champion=True)
    retailer.materialize()
    retailer.add_model(2, champion=False)
    assert metadata(retailer.materialize(), "endpoint")["model"] == first.name
    third = retailer.add_model(3, champion=True)
    shown = metadata(retailer.materialize(), "endpoint")
    assert (shown["model"], shown["previous_model"]) == (third.name, first.name)


def test_without_a_champion_nothing_is_deployed(retailer: Retailer) -> None:
    retailer.add_model(1, champion=False)
    shown = metadata(retailer.materialize(), "endpoint")
    assert shown["status"] == "there is no endpoint"
    assert "none is deployed" in shown["why"]
    assert retailer.endpoints.describe("outlet") is None


def test_a_model_that_was_rolled_back_is_not_deployed_again(retailer: Retailer) -> None:
    first = retailer.add_model(1, champion=True)
    retailer.materialize()
    second = retailer.add_model(2, champion=True)
    retailer.materialize()
    said = retailer.project.optiflow("endpoint", "roll-back", "outlet")
    assert f"model           {first.name}" in said.out
    shown = metadata(retailer.materialize(), "endpoint")
    assert shown["model"] == first.name
    assert shown["why"].startswith(f"{second.name} was taken out of service by a roll-back")
    third = retailer.add_model(3, champion=True)
    assert metadata(retailer.materialize(), "endpoint")["model"] == third.name


def test_the_commands_show_ask_and_delete(retailer: Retailer, tmp_path: Path) -> None:
    command = retailer.project.optiflow
    assert "There is no endpoint yet" in command("endpoint", "show").out
    model = retailer.add_model(1, champion=True)
    retailer.materialize()
    (shown,) = json.loads(command("endpoint", "show", "--json").out)
    assert (shown["retailer"], shown["model"], shown["status"]) == ("outlet", model.name, "InService")
    (tmp_path / "items.json").write_bytes(REQUEST)
    asked = command("endpoint", "ask", "outlet", "items.json")
    assert asked.out.rstrip().encode() == retailer.endpoints.invoke("outlet", REQUEST)
    (tmp_path / "wrong.json").write_text(json.dumps({"instances": [{**ITEM, "price": 0}]}))
    wrong = command("endpoint", "ask", "outlet", "wrong.json")
    assert wrong.code == 2
    assert "instance 0, field 'price' is 0" in wrong.err
    assert command("endpoint", "ask", "outlet", "none.json").code == 2
    assert command("endpoint", "roll-back", "outlet").code == 2
    assert command("endpoint", "delete", "outlet").out == "Endpoint turnover-outlet is deleted.\n"
    for words in (("show", "outlet"), ("delete", "outlet"), ("ask", "outlet", "items.json")):
        again = command("endpoint", *words)
        assert again.code == 2
        assert "There is no endpoint of 'outlet'" in again.err


def test_an_endpoint_that_sagemaker_cannot_make_fails_the_asset_with_its_reason(aws: AwsDouble, tmp_path: Path) -> None:
    boto3.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
    image = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:3.2-0"
    retailer = Retailer(tmp_path, env="aws", storage="s3://lake/a", sagemaker_role_arn=ROLE, image_uri=image)
    model = retailer.add_model(1, champion=True)
    aws.add_job_fault(model.name, "There is no capacity.")
    with retailer.project.instance:
        kind, said = failure(retailer.materialize())
    assert kind == "job"
    name = endpoint_name("turnover", "outlet", installation="s3://lake/a")
    assert said.startswith(f"Endpoint {name} does not serve {model.name}: There is no capacity. Nothing answers")
    assert f"/aws/sagemaker/Endpoints/{name}" in said


def test_the_endpoint_follows_on_the_report_in_both_flows() -> None:
    jobs = pipeline_jobs(TURNOVER)
    for job in (jobs.report, jobs.whole):
        assert "turnover/endpoint" in str(job.selection)

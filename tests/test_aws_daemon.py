"""The flow on AWS under a real daemon in a subprocess, with catalog and Dagster's own storage in a real PostgreSQL.

The flow test is the same for the double and for a real account, which it takes where `OPTIFLOW_TEST_AWS=1`.
"""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import polars as pl
import pytest
import yaml
from aws_double.client import AwsDouble
from aws_project import MACHINE, AwsDagsterDev, Place, on_account, on_double
from dagster_dev import wait_for
from postgres import Postgres
from project import fresh_project

from resources.catalog.database import SCHEMA
from resources.jobs.contract import JobKind

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(1800)]

OUTAGE_SECONDS = 30
JOB_ENDS = ("Completed", "Failed", "Stopped")
TRAINING, TRANSFORM = JobKind.TRAINING, JobKind.TRANSFORM


@pytest.fixture(params=["double", pytest.param("account", marks=[pytest.mark.aws_account, pytest.mark.timeout(7200)])])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "double":
        yield on_double(request.getfixturevalue("aws"))
    else:
        with on_account(monkeypatch) as account:
            yield account


def _queue_of(place: Place) -> str:
    """A queue that the bucket tells of uploads. An account's is the one that its owner has set up."""
    if place.double is None:
        if "OPTIFLOW_UPLOAD_QUEUE_URL" not in MACHINE:
            pytest.skip("set OPTIFLOW_UPLOAD_QUEUE_URL to a queue that the bucket tells of uploads")
        return MACHINE["OPTIFLOW_UPLOAD_QUEUE_URL"]
    queues = boto3.client("sqs")
    url = queues.create_queue(QueueName="uploads")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    boto3.client("s3").put_bucket_notification_configuration(Bucket=place.bucket, NotificationConfiguration=wanted)
    return url


def _messages_in(queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def _local_mse(folder: Path, file: Path, dataset: str) -> float:
    """What the same file and options give on this machine."""
    folder.mkdir()
    options = yaml.safe_load(file.with_name(f"{file.name}.options.yaml").read_text())
    with fresh_project(folder) as project:
        project.drop(file.name, file.read_bytes(), options)
        assert project.run("orders_job", dataset).success
        return project.report(dataset)["metrics"]["mse"]


def _is_idle_while_held(project: AwsDagsterDev, kind: JobKind, dataset: str) -> None:
    """No run is under way while the job is at work, and the sensor goes on looking."""
    wait_for(
        lambda: list(project.jobs_on_server(kind, dataset).values()) == ["InProgress"], project.place.seconds, project
    )
    wait_for(lambda: not project.active_runs(), project.place.seconds, project)
    before = project.ticks("external_jobs_sensor")
    wait_for(lambda: project.ticks("external_jobs_sensor") >= before + 2, project.place.seconds, project)
    assert project.active_runs() == []
    assert list(project.jobs_on_server(kind, dataset).values()) == ["InProgress"]


@pytest.mark.parametrize("mode", ["listing", "queue"])
def test_a_file_put_into_s3_becomes_the_report_that_this_machine_makes_of_it(
    place: Place, mode: str, postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = _queue_of(place) if mode == "queue" else None
    folder, dataset = tmp_path / "project", f"shop-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    variables = {"OPTIFLOW_UPLOAD_QUEUE_URL": queue} if queue else {}
    project = AwsDagsterDev(folder, place, postgres_server, monkeypatch, **variables)
    file = project.prepare(f"{dataset}.csv", seed=1)
    expected = _local_mse(tmp_path / "local", file, dataset)
    try:
        if place.double:
            place.double.hold_jobs()
        project.start()
        project.upload(file)
        if place.double:
            _is_idle_while_held(project, TRAINING, dataset)
            place.double.release_jobs()
            wait_for(
                lambda: [*project.jobs_on_server(TRAINING, dataset).values()] == ["Completed"], place.seconds, project
            )
            place.double.hold_jobs()
            _is_idle_while_held(project, TRANSFORM, dataset)
            place.double.release_jobs()
        report = wait_for(lambda: project.report(dataset), place.seconds, project)
        wait_for(lambda: not project.catalog.open_jobs() and not project.active_runs(), place.seconds, project)
        if queue:
            wait_for(lambda: _messages_in(queue) == 0, place.seconds, project)
    finally:
        project.kill()
    assert report is not None
    assert report["metrics"]["mse"] == pytest.approx(expected, rel=1e-6)
    _assert_one_job_of_each_kind(project, dataset)
    assert {project.rows(f"{SCHEMA}.{table}") for table in ("datasets", "models")} == {1}
    assert project.rows("runs") == 3
    assert project.rows("event_logs") > 50
    assert not [*folder.rglob("*.db"), *folder.rglob("*.sqlite*")]
    if place.double:
        assert [call for call in place.double.requests() if call["invalid"]] == []
        received = place.double.requests("sqs:ReceiveMessage")
        listed = [
            c for c in place.double.requests("s3:ListObjectsV2") if "/uploads/" in c["parameters"].get("prefix", "")
        ]
        assert bool(received) == (mode == "queue")
        assert len(listed) > 5 or mode == "queue"


def _assert_one_job_of_each_kind(project: AwsDagsterDev, dataset: str) -> None:
    """On the server, among the requests that made jobs, and in the catalog, which agrees with the server."""
    there = {kind: project.jobs_on_server(kind, dataset) for kind in (TRAINING, TRANSFORM)}
    assert [list(jobs.values()) for jobs in there.values()] == [["Completed"], ["Completed"]]
    known = {job.name: job.status.value for job in project.catalog.jobs() if job.dataset == dataset}
    assert known == {name: state for jobs in there.values() for name, state in jobs.items()}
    if project.place.double:
        for kind, operation in ((TRAINING, "CreateTrainingJob"), (TRANSFORM, "CreateTransformJob")):
            (name,) = there[kind]
            assert project.accepted(operation)[name] == 1


def test_a_flow_survives_that_postgresql_is_gone_for_a_while(
    aws: AwsDouble, postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = AwsDagsterDev(tmp_path, on_double(aws), postgres_server, monkeypatch)
    try:
        project.start()
        project.upload(project.prepare("alpha.csv", seed=2))
        # A run is at work: it has read its upload, and is about to write to both databases.
        wait_for(lambda: project.jobs_on_server(TRAINING, "alpha"), project.place.seconds, project)
        postgres_server.stop("immediate")
        time.sleep(OUTAGE_SECONDS)
        postgres_server.start()
        wait_for(lambda: project.report("alpha"), project.place.seconds, project)
        wait_for(lambda: not project.catalog.open_jobs() and not project.active_runs(), project.place.seconds, project)
    finally:
        project.kill()
    _assert_one_job_of_each_kind(project, "alpha")
    judged = project.table("predictions", "alpha").join(project.table("actuals", "alpha"), on="row")
    report = project.report("alpha")
    assert report is not None
    mse = judged.select(((pl.col("predicted") - pl.col("actual")) ** 2).mean()).item()
    assert report["metrics"]["mse"] == pytest.approx(mse, rel=1e-9)

"""What passes, and what someone mends: the flow that sensors drive goes on afterwards, with one job for each piece of work.

Runs and ticks are made in this process, as the daemon makes them, so that no test waits for a pause.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.retries.standard
import dagster as dg
import pytest
import yaml
from aws_double.client import REGION, AwsDouble
from dagster._core.definitions.run_request import SkipReason
from project import OPTIONS, QUIET, Project, failure

from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.sensors import external_jobs
from optiflow_dagster.sensors.external_jobs_decision import FIRST_PAUSE
from resources import failures
from resources.aws import client as aws_client
from resources.aws.client import forget_clients
from resources.catalog.records import JobRecord
from resources.catalog.store import CatalogStore
from resources.jobs.contract import JobKind, JobStatus

BUCKET = "optiflow-outages"
ROLE = "arn:aws:iam::123456789012:role/optiflow-sagemaker"
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
TABLE = samples.orders(400, seed=3, bad_rows=False)
EXPIRED = {"code": "ExpiredTokenException", "message": "The security token included in the request is expired"}
TRAINING, TRANSFORM = JobKind.TRAINING, JobKind.TRANSFORM
NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Flow:
    """One upload, and the runs that the sensor asks for after the first."""

    def __init__(self, home: Path) -> None:
        place = {"env": "aws", "storage": f"s3://{BUCKET}/team", "sagemaker_role_arn": ROLE, "image_uri": IMAGE}
        self.project = Project(home, **place)
        self.repository = self.project.definitions.get_repository_def()
        self.project.adapters.storage.write_bytes("uploads/orders/shop.csv", TABLE.write_csv().encode())
        options = yaml.safe_dump(OPTIONS)
        self.project.adapters.storage.write_bytes("uploads/orders/shop.csv.options.yaml", options.encode())

    @property
    def store(self) -> CatalogStore:
        return self.project.adapters.catalog.open()

    def jobs(self, kind: JobKind = TRAINING) -> list[JobRecord]:
        """The catalog's jobs of a kind, the oldest first."""
        return [job for job in reversed(self.store.jobs()) if job.kind is kind]

    def start(self) -> dg.ExecuteInProcessResult:
        """The run that the upload leads to."""
        self.project.instance.add_dynamic_partitions("optiflow_orders", ["shop"])
        return self.run(dg.RunRequest(job_name="orders_training_job"))

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """A run as the daemon makes it: step retries, and no terminal in front of it."""
        return self.project.definitions.resolve_job_def(str(request.job_name)).execute_in_process(
            instance=self.project.instance,
            partition_key="shop",
            tags=request.tags,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            run_config=QUIET,
            raise_on_error=False,
        )

    def tick(self) -> list[dg.RunRequest]:
        """What the sensor asks for; nothing if it skips, which `said` then explains."""
        adapters = self.project.adapters
        context = dg.build_sensor_context(
            instance=self.project.instance,
            repository_def=self.repository,
            resources={"catalog": adapters.catalog, "jobs": adapters.jobs},
        )
        result: Any = self.repository.get_sensor_def("external_jobs_sensor")(context)
        if isinstance(result, SkipReason):
            self.said = str(result.skip_message)
            return []
        self.said = str(result.skip_reason.skip_message) if result.skip_reason else ""
        return list(result.run_requests)

    def next(self, kind: JobKind) -> dg.RunRequest:
        """The one request that follows once the newest job of this kind has ended."""
        self.project.adapters.jobs.wait(self.jobs(kind)[-1].name, kind)
        (request,) = self.tick()
        return request

    def finish(self) -> None:
        """The rest of the chain, from the training job on."""
        for kind in (TRAINING, TRANSFORM):
            done = self.run(self.next(kind))
            assert done.success, failure(done)
        assert self.tick() == []
        assert self.said == "No job is running."

    def on_server(self) -> dict[str, str]:
        """Names and states of all jobs of SageMaker's."""
        client = boto3.client("sagemaker")
        training = client.list_training_jobs()["TrainingJobSummaries"]
        transform = client.list_transform_jobs()["TransformJobSummaries"]
        return {job["TrainingJobName"]: job["TrainingJobStatus"] for job in training} | {
            job["TransformJobName"]: job["TransformJobStatus"] for job in transform
        }

    def in_catalog(self) -> dict[str, str]:
        """The same as the catalog has it."""
        return {job.name: job.status.value for job in self.store.jobs()}


@pytest.fixture
def flow(aws: AwsDouble, tmp_path: Path) -> Iterator[Flow]:
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    forget_clients()
    made = Flow(tmp_path)
    with made.project.instance:
        yield made
    forget_clients()  # those that were throttled stay slow


def accepted(aws: AwsDouble) -> Counter[str]:
    """How many jobs of each kind were made."""
    calls = [call for call in aws.requests() if call["operation"].endswith("Job") and call["status"] == 200]
    return Counter(call["operation"] for call in calls if call["operation"].startswith("sagemaker:Create"))


@pytest.mark.slow
def test_a_storm_of_throttling_is_ridden_out_without_a_second_job(
    flow: Flow, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.01)
    aws.add_fault("sagemaker:*", "ThrottlingException", message="Rate exceeded", times=20)
    assert flow.start().success
    assert [call["status"] for call in aws.requests() if call["service"] == "sagemaker"][:20] == [400] * 20
    flow.finish()
    assert accepted(aws) == {"sagemaker:CreateTrainingJob": 1, "sagemaker:CreateTransformJob": 1}
    assert flow.in_catalog() == flow.on_server()


class _Ahead(datetime):
    """The sensor's clock, ahead by the longest pause before this try."""

    tries = 1

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + 1.5 * FIRST_PAUSE * 2 ** (cls.tries - 1)


class _FurtherAhead(_Ahead):
    tries = 2


def test_a_job_that_found_no_machine_is_made_again_under_another_name_after_a_pause(
    flow: Flow, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.add_job_fault("orders-shop-training-*", "CapacityError: Unable to provision requested ML compute capacity.")
    assert flow.start().success
    (first,) = flow.jobs()
    flow.project.adapters.jobs.wait(first.name, TRAINING)
    assert flow.tick() == []
    assert flow.said == "1 job(s) still running."
    monkeypatch.setattr(external_jobs, "datetime", _Ahead)
    (again,) = flow.tick()
    assert again.run_key == f"{first.name}/1/again"
    assert flow.run(again).success
    flow.finish()
    _, second = flow.jobs()
    assert second.name != first.name
    assert [job.status for job in flow.jobs()] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert flow.in_catalog() == flow.on_server()
    assert accepted(aws) == {"sagemaker:CreateTrainingJob": 2, "sagemaker:CreateTransformJob": 1}


@pytest.mark.parametrize("kind", [TRAINING, TRANSFORM])
def test_a_quota_that_stays_used_up_is_tried_again_by_the_sensor_until_there_is_room(
    flow: Flow, aws: AwsDouble, kind: JobKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.01)
    first = dg.RunRequest(job_name="orders_training_job")
    if kind is TRANSFORM:
        assert flow.start().success
        first = flow.next(TRAINING)
    else:
        flow.project.instance.add_dynamic_partitions("optiflow_orders", ["shop"])
    said = "The account-level service limit 'ml.m5.xlarge for the job' is 1 Instances, with current utilization of 1."
    aws.add_fault(f"sagemaker:Create{kind.value.title()}Job", "ResourceLimitExceeded", message=said, times=None)
    keys = []
    request = first
    for clock in (_Ahead, _FurtherAhead):
        told, message = failure(flow.run(request))
        assert told == "job"
        assert "Service Quotas" in message
        assert "submitted again by external_jobs_sensor" in message
        assert flow.jobs(kind)[0].status is JobStatus.FAILED
        assert flow.tick() == []
        assert flow.said == "1 job(s) still running."
        with monkeypatch.context() as patch:
            patch.setattr(external_jobs, "datetime", clock)
            (request,) = flow.tick()
        keys.append(request.run_key)
    assert keys == [f"{flow.jobs(kind)[0].name}/{round_}/again" for round_ in (1, 2)]
    aws.clear_faults()
    done = flow.run(request)
    assert done.success, failure(done)
    for each in (TRAINING, TRANSFORM) if kind is TRAINING else (TRANSFORM,):
        done = flow.run(flow.next(each))
        assert done.success, failure(done)
    assert flow.tick() == []
    assert flow.in_catalog() == flow.on_server()
    assert accepted(aws) == {"sagemaker:CreateTrainingJob": 1, "sagemaker:CreateTransformJob": 1}


def test_a_log_that_cannot_be_read_hides_no_reason_and_loses_no_model(
    flow: Flow, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.add_fault("logs:*", "ServiceUnavailableException", status=503, times=None)
    aws.add_job_fault("*", "AlgorithmError: the label column holds no number")
    assert flow.start().success
    told, message = failure(flow.run(flow.next(TRAINING)))
    assert told == "job"
    assert "AlgorithmError: the label column holds no number" in message
    assert "(The log cannot be read: " in message
    assert flow.start().success
    done = flow.run(flow.next(TRAINING))
    assert done.success, failure(done)


DAGSTER_ENDS_A_TICK_AFTER_SECONDS = 60
MOST = 10
"""More than one call is ever repeated."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are given up soon, in a hurry or not."""
    for name in ("READ_SECONDS", "HURRIED_READ_SECONDS"):
        monkeypatch.setattr(aws_client, name, 0.5)
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_tick_learns_what_it_can_while_sagemaker_does_not_answer_for_one_job(flow: Flow, aws: AwsDouble) -> None:
    first, silent, last = seeded(flow, aws, 3)
    for _ in range(MOST):
        aws.add_fault("sagemaker:DescribeTrainingJob", hold=True, about=silent)
    asked = flow.tick()
    held = aws.held_calls()
    aws.release_calls(silent)
    assert [request.run_key for request in asked] == [f"{first}/1", f"{last}/1"]
    assert flow.in_catalog() == {first: "Completed", silent: "Pending", last: "Completed"}
    assert len(held) == aws_client.HURRIED_ATTEMPTS
    assert {request.run_key for request in flow.tick()} == {f"{name}/1" for name in (first, silent, last)}


@pytest.mark.usefixtures("impatient")
def test_a_tick_whose_listing_nobody_answers_is_skipped_after_two_tries(flow: Flow, aws: AwsDouble) -> None:
    (name,) = seeded(flow, aws, 1)
    for _ in range(MOST):
        aws.add_fault("sagemaker:ListTrainingJobs", hold=True, about="InProgress")
    assert flow.tick() == []
    assert flow.said.startswith("Cannot ask for jobs: ")
    assert len(aws.held_calls()) == aws_client.HURRIED_ATTEMPTS
    aws.release_calls("InProgress")
    assert [request.run_key for request in flow.tick()] == [f"{name}/1"]


def test_no_job_is_asked_for_or_stopped_once_the_ticks_time_is_over(
    flow: Flow, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, ended = aws.seed_training_jobs(1, "running")[0], seeded(flow, aws, 1)[0]
    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.CANCELED)
    flow.project.instance.add_run(run)
    flow.store.put_job(replace(flow.jobs()[0], name=running, dataset="other", run_id=run.run_id))
    with monkeypatch.context() as patch:
        patch.setattr(external_jobs, "ASK_SECONDS", 0)
        assert flow.tick() == []
    assert f"Cannot ask for job {ended}: the others took too long" in flow.said
    assert f"Job {running} is stopped at the next tick" in flow.said
    sent = {call["operation"] for call in aws.requests() if call["service"] == "sagemaker"}
    assert sent == {"sagemaker:ListTrainingJobs"}
    assert [request.run_key for request in flow.tick()] == [f"{ended}/1"]
    assert flow.on_server()[running] in ("Stopping", "Stopped")


def test_a_tick_that_waits_as_long_as_it_may_ends_before_dagster_ends_it() -> None:
    """Of all kinds the listings are answered at the last moment, or one job is asked for and one stopped at theirs."""
    listings = len(JobKind) * aws_client.HURRIED_SECONDS
    last = external_jobs.ASK_SECONDS + aws_client.HURRIED_SECONDS
    assert max(listings, last) < DAGSTER_ENDS_A_TICK_AFTER_SECONDS


def seeded(flow: Flow, aws: AwsDouble, count: int) -> list[str]:
    """Jobs in the catalog that have ended on SageMaker since."""
    made = []
    for number, name in enumerate(aws.seed_training_jobs(count, "ended", "Completed")):
        made.append(JobRecord(name, TRAINING, "orders", f"shop-{number}", "r1", "run", JobStatus.PENDING, NOW))
        flow.store.put_job(made[-1])
    return [job.name for job in made]


@pytest.mark.parametrize("kind", [TRAINING, TRANSFORM])
def test_a_job_that_vanished_is_said_to_be_gone_and_the_next_run_makes_it_anew(
    flow: Flow, aws: AwsDouble, kind: JobKind
) -> None:
    assert flow.start().success
    if kind is TRANSFORM:
        training = flow.next(TRAINING)
        aws.hold_jobs()
        assert flow.run(training).success
    else:
        aws.hold_jobs()
    (job,) = flow.jobs(kind)
    assert aws.vanish(job.name) == 1
    aws.release_jobs()
    (request,) = flow.tick()
    told, message = failure(flow.run(request))
    assert told == "job"
    assert f"there is no {kind} job {job.name} on SageMaker" in message
    assert flow.tick() == []
    assert flow.run(dg.RunRequest(job_name="orders_training_job")).success
    flow.finish()
    assert len(flow.on_server()) == 2
    assert flow.in_catalog() == flow.on_server()
    assert flow.store.models()[0].stage in ("champion", "candidate")


@pytest.mark.parametrize("operation", ["s3:GetObject", "sagemaker:CreateModel", "s3:PutObject"])
def test_a_token_that_expires_on_the_way_fails_the_run_with_one_message_and_costs_no_second_job(
    flow: Flow, aws: AwsDouble, operation: str
) -> None:
    assert flow.start().success
    request = flow.next(TRAINING)
    aws.add_fault(operation, EXPIRED["code"], message=EXPIRED["message"], times=None)
    told, message = failure(flow.run(request))
    assert told == "input"
    assert "the AWS credentials have expired" in message
    aws.add_fault("sagemaker:*", EXPIRED["code"], message=EXPIRED["message"], times=None)
    assert flow.tick() == []
    aws.clear_faults()
    again = flow.run(dg.RunRequest(job_name="orders_prediction_job"))
    assert again.success, failure(again)
    done = flow.run(flow.next(TRANSFORM))
    assert done.success, failure(done)
    assert flow.tick() == []
    assert accepted(aws) == {"sagemaker:CreateTrainingJob": 1, "sagemaker:CreateTransformJob": 1}
    assert flow.in_catalog() == flow.on_server()

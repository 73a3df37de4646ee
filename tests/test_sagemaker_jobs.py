"""SageMakerJobs over HTTP against a server that really trains: results, states, and one job for one name."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from aws_double.client import REGION, AwsDouble

from optiflow.container.channels import CSV
from optiflow.errors import OptiflowError, TransientError, UserError
from resources.aws.client import client, forget_clients
from resources.jobs.contract import Channel, JobKind, JobRequest, JobState, JobStatus, next_attempt
from resources.jobs.local import LocalJobs
from resources.jobs.sagemaker import SageMakerJobs
from resources.jobs.source import pack_source

pytest_plugins = ["aws_double.fixtures"]

TRAINING, TRANSFORM, PROCESSING = JobKind.TRAINING, JobKind.TRANSFORM, JobKind.PROCESSING
BUCKET = "optiflow-test"
ROLE = "arn:aws:iam::123456789012:role/optiflow"
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
PARAMETERS = {"num_round": "12", "subsample": "0.8", "seed": "3", "nthread": "1"}
MODEL = f"s3://{BUCKET}/m/model.tar.gz"


@pytest.fixture
def jobs(aws: AwsDouble) -> SageMakerJobs:
    forget_clients()
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    # The image is given, since finding it takes the SDK's import of four seconds.
    return SageMakerJobs(role_arn=ROLE, output_uri=f"s3://{BUCKET}/jobs", image_uri=IMAGE, first_poll_seconds=0.02)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    features = {f"f{i}": generator.random(300) for i in range(3)}
    frame = pl.DataFrame({"y": features["f0"] * 3 + generator.normal(0, 0.1, 300), **features})
    frame[:250].write_parquet(tmp_path / "train.parquet")
    frame[250:].write_parquet(tmp_path / "validation.parquet")
    frame.drop("y").write_csv(tmp_path / "test.csv", include_header=False)
    return tmp_path


def put(path: Path) -> str:
    client("s3").upload_file(str(path), BUCKET, f"channels/{path.name}")
    return f"s3://{BUCKET}/channels/{path.name}"


def training(data: Path, name: str = "orders-a", address=put, **fields) -> JobRequest:
    channels = {channel: Channel(address(data / f"{channel}.parquet")) for channel in ("train", "validation")}
    return JobRequest(name, TRAINING, "xgboost", PARAMETERS, channels, **fields)


def nothing(name: str, kind: JobKind = TRAINING, **parameters: str) -> JobRequest:
    """A request that is accepted; its job fails for want of data, if it is let run."""
    channel = {"transform" if kind is not TRAINING else "train": Channel(f"s3://{BUCKET}/none.csv", CSV)}
    model = None if kind is TRAINING else MODEL
    source = f"s3://{BUCKET}/sourcedir.tar.gz" if kind is PROCESSING else None
    return JobRequest(name, kind, "xgboost", {"num_round": "1", **parameters}, channel, model, source)


def created(aws: AwsDouble) -> list[str]:
    """Names of the jobs that SageMaker accepted, in the order of the requests."""
    calls = [call for call in aws.requests() if "sagemaker:Create" in call["operation"] and call["status"] in (200, 0)]
    return [call["parameters"].get(f"{call['operation'][16:]}Name", "") for call in calls]


def predictions(jobs: SageMakerJobs | LocalJobs, state: JobState) -> list[float]:
    assert state.status is JobStatus.COMPLETED, state.failure_reason
    with jobs.output(state) as folder:
        assert [path.name for path in folder.iterdir()] == ["test.csv.out"]
        return [float(line) for line in (folder / "test.csv.out").read_text().splitlines()]


def test_training_and_transform_equal_those_of_local_jobs(aws, jobs, data):
    local = LocalJobs(root=str(data / "jobs"))
    found = {}
    for place, address in ((jobs, put), (local, Path.as_uri)):
        submitted = place.submit(training(data, address=address))
        assert submitted.status in (JobStatus.PENDING, JobStatus.IN_PROGRESS)
        seen = []
        trained = place.wait("orders-a", TRAINING, on_progress=lambda state, line, seen=seen: seen.append(line))
        assert trained.status is JobStatus.COMPLETED, trained.failure_reason
        assert seen[-1].startswith("[11]\ttrain-rmse:")
        assert place.log_tail(trained, 2).splitlines()[-1] == seen[-1]
        rows = {"transform": Channel(address(data / "test.csv"), CSV)}
        place.submit(JobRequest("orders-b", TRANSFORM, "xgboost", {}, rows, trained.output_uri))
        found[place is local] = trained.metrics, predictions(place, place.wait("orders-b", TRANSFORM))
    (metrics, scores), (local_metrics, local_scores) = found[False], found[True]
    assert scores == pytest.approx(local_scores, abs=1e-6)
    assert len(scores) == 300
    assert np.std(scores) > 0.5
    assert metrics["validation:rmse"] == pytest.approx(local_metrics["validation:rmse"], abs=1e-4)
    assert not [call["invalid"] for call in aws.requests() if call["invalid"]]


def test_a_completed_job_tells_its_output_links_time_and_price(jobs, data):
    jobs.submit(training(data))
    state = jobs.wait("orders-a", TRAINING)
    assert state.output_uri == f"s3://{BUCKET}/jobs/orders-a/output/model.tar.gz"
    assert state.console_url == f"https://{REGION}.console.aws.amazon.com/sagemaker/home?region={REGION}#/jobs/orders-a"
    assert str(state.log_uri).endswith("TrainingJobs$3FlogStreamNameFilter$3Dorders-a$252F")
    assert state.started_at is not None
    assert state.ended_at is not None
    assert state.created_at <= state.started_at < state.ended_at
    assert state.billable_seconds is not None
    assert state.estimated_cost == pytest.approx(state.billable_seconds * 0.23 / 3600, abs=1e-4)
    with jobs.output(state) as archive:
        assert archive.name == "model.tar.gz"
        assert archive.stat().st_size > 100
    assert not archive.exists()


def test_packed_source_trains_in_script_mode_and_scores_in_a_processing_job(aws, jobs, data):
    client("s3").put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=pack_source())
    source = f"s3://{BUCKET}/code/sourcedir.tar.gz"
    jobs.submit(training(data, source_uri=source))
    jobs.submit(training(data, name="built-in"))
    trained = jobs.wait("orders-a", TRAINING)
    assert trained.status is JobStatus.COMPLETED, jobs.log_tail(trained)
    rows = {"transform": Channel(put(data / "test.csv"), CSV)}
    jobs.submit(JobRequest("orders-p", PROCESSING, "xgboost", {}, rows, trained.output_uri, source))
    built_in = jobs.wait("built-in", TRAINING)
    jobs.submit(JobRequest("orders-b", TRANSFORM, "xgboost", {}, rows, built_in.output_uri))
    processed = jobs.wait("orders-p", PROCESSING)
    assert processed.status is JobStatus.COMPLETED, jobs.log_tail(processed)
    assert predictions(jobs, processed) == predictions(jobs, jobs.wait("orders-b", TRANSFORM))
    assert processed.output_uri == f"s3://{BUCKET}/jobs/orders-p/output"
    assert not [call["invalid"] for call in aws.requests() if call["invalid"]]


@pytest.mark.parametrize("kind", JobKind)
def test_an_unknown_job_has_no_state_and_may_be_stopped(jobs, kind):
    assert jobs.describe("nobody", kind) is None
    jobs.stop("nobody", kind)
    with pytest.raises(OptiflowError, match=r"no .* job nobody"):
        jobs.wait("nobody", kind)


@pytest.mark.parametrize("kind", JobKind)
def test_a_second_submission_adopts_the_job(aws, jobs, kind):
    aws.hold_jobs()
    first = jobs.submit(nothing("twice", kind))
    second = jobs.submit(nothing("twice", kind, num_round="99"))
    assert (first.name, second.status) == ("twice", JobStatus.IN_PROGRESS)
    assert second.created_at.timestamp() == pytest.approx(first.created_at.timestamp(), abs=2)
    assert [name for name in created(aws) if not name.startswith("twice-")] == ["twice"]  # but for the model's


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize("how", [{"drop": True}, {"code": "InternalFailure", "status": 500}])
def test_a_lost_answer_does_not_start_a_second_job(aws, jobs, kind, how):
    aws.hold_jobs()
    aws.add_fault(f"sagemaker:Create{kind.value.capitalize()}Job", after=True, **how)
    assert jobs.submit(nothing("once", kind)).name == "once"
    requests = aws.requests(f"sagemaker:Create{kind.value.capitalize()}Job")
    assert len(requests) == 2
    assert [state.name for state in jobs.list_active()] == ["once"]


def test_a_model_that_a_crash_left_behind_is_used(aws, jobs):
    aws.hold_jobs()
    aws.add_fault("sagemaker:CreateTransformJob", "ValidationException", message="as if the process had died here")
    with pytest.raises(UserError, match="had died here"):
        jobs.submit(nothing("orders-b", TRANSFORM))
    assert jobs.describe("orders-b", TRANSFORM) is None
    assert jobs.submit(nothing("orders-b", TRANSFORM)).status is JobStatus.PENDING
    assert len(aws.requests("sagemaker:CreateModel")) == 2
    assert len(jobs.list_active([TRANSFORM])) == 1


@pytest.mark.parametrize("kind", JobKind)
def test_two_submitters_at_once_start_one_job(aws, jobs, kind):
    aws.hold_jobs()
    gate, states = threading.Barrier(6), []

    def submit() -> None:
        gate.wait()
        states.append(jobs.submit(nothing("raced", kind)))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [state.name for state in states] == ["raced"] * 6
    accepted = [call for call in aws.requests(f"sagemaker:Create{kind.value.capitalize()}Job") if call["status"] == 200]
    assert len(accepted) == 1


def test_a_thousand_active_jobs_of_all_kinds_cost_at_most_25_calls(aws, jobs):
    names = aws.seed_training_jobs(1000)
    aws.hold_jobs()
    jobs.submit(nothing("orders-b", TRANSFORM))
    jobs.submit(nothing("orders-p", PROCESSING))
    aws.clear_requests()
    states = jobs.list_active()
    assert len(aws.requests()) <= 25
    assert sorted(state.name for state in states) == sorted([*names, "orders-b", "orders-p"])
    assert {state.status for state in states} <= {JobStatus.PENDING, JobStatus.IN_PROGRESS}
    aws.clear_requests()
    assert [state.name for state in jobs.list_active([TRANSFORM])] == ["orders-b"]
    assert [call["operation"] for call in aws.requests()] == ["sagemaker:ListTransformJobs"]


def test_stop_ends_a_running_job_and_leaves_an_ended_one_alone(jobs, data):
    endless = JobRequest("endless", TRAINING, "xgboost", {"num_round": "1000000"}, training(data).channels)
    jobs.submit(endless)
    done = []

    def stop_when_training(state: JobState, line: str) -> None:
        if line.startswith("[") and not done:
            done.append(line)
            jobs.stop("endless", TRAINING)

    state = jobs.wait("endless", TRAINING, on_progress=stop_when_training)
    assert (state.status, state.output_uri) == (JobStatus.STOPPED, None)
    jobs.stop("endless", TRAINING)
    assert jobs.list_active() == []
    with pytest.raises(UserError, match="no output"), jobs.output(state):
        pass


def test_a_failed_job_tells_its_reason_and_the_end_of_its_log(jobs, data):
    wrong = JobRequest("wrong", TRAINING, "xgboost", {"num_round": "5", "eta": "7"}, training(data).channels)
    jobs.submit(wrong)
    state = jobs.wait("wrong", TRAINING)
    assert state.status is JobStatus.FAILED
    assert str(state.failure_reason).startswith("AlgorithmError: ")
    assert "eta" in jobs.log_tail(state, 50)
    assert not state.may_pass


def test_many_lines_are_read_from_the_end_in_the_order_of_all_machines(aws, jobs):
    logs, group = client("logs"), "/aws/sagemaker/TrainingJobs"
    logs.create_log_group(logGroupName=group)
    start = int(time.time() * 1000) - 60_000  # CloudWatch takes nothing old, and nothing from the future
    for machine in (1, 2):
        stream = f"many/algo-{machine}-1700000000"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        lines = [{"timestamp": start + 2 * i + machine, "message": f"{machine}#011{i}"} for i in range(6000)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)
    neighbour = "many-more/algo-1-1700000000"
    logs.create_log_stream(logGroupName=group, logStreamName=neighbour)
    last = {"timestamp": start + 30_000, "message": "not ours"}
    logs.put_log_events(logGroupName=group, logStreamName=neighbour, logEvents=[last])
    aws.hold_jobs()
    state = jobs.submit(nothing("many"))
    assert jobs.log_tail(jobs.submit(nothing("silent"))) == ""
    assert jobs.log_tail(state, 3).splitlines() == ["2\t5998", "1\t5999", "2\t5999"]
    whole = jobs.log_tail(state, 20_000).splitlines()
    assert len(whole) == 12_000
    assert whole[:2] == ["1\t0", "2\t0"]


def test_a_log_that_may_not_be_read_does_not_hide_the_job(aws, jobs, data):
    aws.add_fault("logs:*", "AccessDeniedException", message="not authorized to perform: logs:GetLogEvents", times=None)
    jobs.submit(training(data))
    lines = []
    state = jobs.wait("orders-a", TRAINING, on_progress=lambda state, line: lines.append(line))
    assert state.status is JobStatus.COMPLETED
    assert "allow logs:DescribeLogStreams and logs:GetLogEvents" in lines[-1]
    assert len([call for call in aws.requests() if call["service"] == "logs"]) == 1
    assert "logs:GetLogEvents" in jobs.log_tail(state)


def test_waiting_lives_through_throttling_and_broken_connections(aws, jobs):
    aws.hold_jobs()
    jobs.submit(nothing("orders-a"))
    aws.add_fault("sagemaker:DescribeTrainingJob", "ThrottlingException", message="Rate exceeded", times=2)
    aws.add_fault("sagemaker:DescribeTrainingJob", drop=True, times=2)
    aws.release_jobs()
    assert jobs.wait("orders-a", TRAINING).status is JobStatus.FAILED
    assert len(aws.requests("sagemaker:DescribeTrainingJob")) >= 5


@pytest.fixture
def impatient(jobs: SageMakerJobs, monkeypatch: pytest.MonkeyPatch) -> SageMakerJobs:
    """The same place, asked once instead of eight times with growing pauses."""
    monkeypatch.setattr("resources.aws.client.MAX_ATTEMPTS", 1)
    forget_clients()
    return jobs


def test_waiting_goes_on_after_botocore_has_given_up(aws, impatient):
    aws.hold_jobs()
    impatient.submit(nothing("orders-a"))
    aws.add_fault("sagemaker:DescribeTrainingJob", "ThrottlingException", times=3)
    aws.release_jobs()
    assert impatient.wait("orders-a", TRAINING).status is JobStatus.FAILED


def test_waiting_ends_when_nothing_was_heard_for_long(aws, impatient, monkeypatch):
    aws.hold_jobs()
    impatient.submit(nothing("orders-a"))
    monkeypatch.setattr("resources.jobs.sagemaker.PATIENCE_SECONDS", 0.2)
    aws.add_fault("sagemaker:DescribeTrainingJob", "ThrottlingException", times=None)
    with pytest.raises(TransientError, match="ThrottlingException"):
        impatient.wait("orders-a", TRAINING)


def test_a_used_up_quota_may_pass_and_the_message_says_how_to_raise_it(aws, impatient):
    said = "The account-level service limit 'ml.m5.xlarge for training job usage' is 0 Instances. Please use AWS Service Quotas."
    aws.add_fault("sagemaker:CreateTrainingJob", "ResourceLimitExceeded", message=said)
    with pytest.raises(TransientError, match=r"'ml\.m5\.xlarge for training job usage'.*Service Quotas"):
        impatient.submit(nothing("orders-a"))
    aws.hold_jobs()
    assert impatient.submit(nothing("orders-a")).status is JobStatus.PENDING


def test_a_job_without_machines_fails_of_something_that_may_pass(aws, jobs):
    aws.add_job_fault("orders-a", "CapacityError: Unable to provision requested ML compute capacity.")
    jobs.submit(nothing("orders-a"))
    state = jobs.wait("orders-a", TRAINING)
    assert (state.status, state.may_pass) == (JobStatus.FAILED, True)


PASS_ROLE = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: iam:PassRole on resource: "
    f"{ROLE} because no identity-based policy allows the iam:PassRole action"
)


@pytest.mark.parametrize(
    ("code", "said", "message"),
    [
        ("AccessDeniedException", PASS_ROLE, "OPTIFLOW_SAGEMAKER_ROLE_ARN cannot be passed.*iam:PassRole"),
        ("ValidationException", f"Could not assume role {ROLE}.", "OPTIFLOW_SAGEMAKER_ROLE_ARN"),
        ("ExpiredTokenException", "The security token included in the request is expired", "AWS_SESSION_TOKEN"),
        ("UnrecognizedClientException", "The security token is invalid", "AWS_ACCESS_KEY_ID"),
        ("ValidationException", "No S3 objects found under S3 URL", "start the training job orders-a.*No S3 objects"),
    ],
)
def test_a_refusal_names_what_to_mend_and_starts_nothing(aws, impatient, code, said, message):
    aws.add_fault("sagemaker:CreateTrainingJob", code, message=said)
    with pytest.raises(UserError, match=message):
        impatient.submit(nothing("orders-a"))
    assert impatient.list_active() == []


def test_a_token_that_expires_while_waiting_is_told_at_once(aws, jobs):
    aws.hold_jobs()
    jobs.submit(nothing("orders-a"))
    aws.add_fault("sagemaker:DescribeTrainingJob", "ExpiredTokenException", message="expired", skip=1)
    with pytest.raises(UserError, match="credentials have expired"):
        jobs.wait("orders-a", TRAINING)


def test_without_credentials_the_message_names_the_variables(jobs, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    forget_clients()
    for act in (lambda: jobs.submit(nothing("a")), jobs.list_active, lambda: jobs.stop("a", TRAINING)):
        with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID"):
            act()


def test_each_result_of_a_job_is_fetched_once_by_whoever_asks_for_it(jobs, aws):
    names = ("predictions", "curves", "stock")
    for name in names:
        client("s3").put_object(Bucket=BUCKET, Key=f"jobs/shop/output/{name}.parquet.out", Body=b"rows")
    done = JobState(
        "shop", PROCESSING, JobStatus.COMPLETED, datetime.now(UTC), output_uri=f"s3://{BUCKET}/jobs/shop/output"
    )
    for name in names:
        with jobs.output(done, name) as folder:
            assert [path.name for path in folder.iterdir()] == [f"{name}.parquet.out"]
    fetched = [call["key"] for call in aws.requests() if call["operation"] == "s3:GetObject"]
    assert sorted(fetched) == sorted(f"jobs/shop/output/{name}.parquet.out" for name in names)


def test_an_output_that_is_gone_is_told(jobs, data):
    jobs.submit(training(data))
    state = jobs.wait("orders-a", TRAINING)
    client("s3").delete_object(Bucket=BUCKET, Key="jobs/orders-a/output/model.tar.gz")
    with pytest.raises(UserError, match=r"model\.tar\.gz is gone from S3"), jobs.output(state):
        pass


def test_a_job_whose_output_was_removed_is_not_adopted_again(jobs, data):
    jobs.submit(training(data))
    jobs.wait("orders-a", TRAINING)
    names = ("orders-a", "orders-b")
    adopted, state = next_attempt(jobs, names, TRAINING)
    assert (adopted, state and state.status) == ("orders-a", JobStatus.COMPLETED)
    jobs.remove("orders-a", TRAINING)
    assert client("s3").list_objects_v2(Bucket=BUCKET, Prefix="jobs/orders-a").get("KeyCount") == 0
    assert next_attempt(jobs, names, TRAINING) == ("orders-b", None)
    jobs.remove("orders-a", TRAINING)
    jobs.remove("never-seen", TRAINING)


def test_tags_of_the_request_are_on_the_job_and_its_model(aws, jobs):
    aws.hold_jobs()
    request = nothing("orders-b", TRANSFORM)
    run = {"dagster/run_id": "0123-4567", "dagster/partition": "store-1"}
    jobs.submit(JobRequest(**{**vars(request), "tags": run}))
    for operation in ("sagemaker:CreateModel", "sagemaker:CreateTransformJob"):
        tags = aws.requests(operation)[0]["parameters"]["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"optiflow/kind": "transform", **run}

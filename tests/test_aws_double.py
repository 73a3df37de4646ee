"""The AWS test double: jobs that really run, faults that come when scripted, and requests held against botocore's models."""

import contextlib
import io
import json
import tarfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import numpy as np
import polars as pl
import pytest
import xgboost
from aws_double import job_log
from aws_double.client import REGION, AwsDouble
from aws_double.job import ACCOUNT, TRAINING, Job
from aws_double.job_log import JobLog
from moto.logs.models import LogGroup, logs_backends

BUCKET = "lake"
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::123456789012:role/optiflow"
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
FINAL = ("Completed", "Failed", "Stopped")
ONCE = botocore.config.Config(retries={"max_attempts": 0})
PATIENCE_SECONDS = 60
"""For what takes a second on a quiet machine, and on a busy one as long as it takes to start a process."""
SLEEPER = "import time; print('asleep', flush=True); time.sleep(600)"


@pytest.fixture
def s3(aws: AwsDouble) -> Any:
    """A client, with the bucket made."""
    client = boto3.client("s3", config=ONCE)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def sagemaker(s3: Any) -> Any:
    """A client that does not retry."""
    return boto3.client("sagemaker", config=ONCE)


def table(rows: int = 300) -> pl.DataFrame:
    """A target that follows the features, first column first."""
    x = np.random.default_rng(7).normal(size=(rows, 3)).astype("float32")
    return pl.DataFrame({"y": 3 * x[:, 0] - x[:, 1], "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})


def source(uri: str) -> dict[str, Any]:
    """A data source of all objects under an address."""
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}


def training(name: str, **changes: Any) -> dict[str, Any]:
    """A training request on `train/`."""
    channel = {"ChannelName": "train", "ContentType": "application/x-parquet", "DataSource": source("s3://lake/train/")}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "20", "objective": "reg:squarederror"},
        "InputDataConfig": [channel],
        "OutputDataConfig": {"S3OutputPath": "s3://lake/jobs/"},
        "ResourceConfig": RESOURCES,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }


def processing(name: str, code: str, **changes: Any) -> dict[str, Any]:
    """A processing request that runs a line of Python."""
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        },
        **changes,
    }


def transform(name: str, uri: str, content_type: str = "text/csv") -> dict[str, Any]:
    """A transform request with the model of the same name."""
    return {
        "TransformJobName": name,
        "ModelName": name,
        "TransformInput": {"ContentType": content_type, "SplitType": "Line", "DataSource": source(uri)},
        "TransformOutput": {"S3OutputPath": "s3://lake/out", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def ended(
    describe: Callable[[], dict[str, Any]], status: str = "Completed", seconds: float = PATIENCE_SECONDS
) -> dict[str, Any]:
    """The description of a job once it has the status; another end fails."""
    deadline = time.monotonic() + seconds
    while True:
        said = describe()
        now = next(value for name, value in said.items() if name.endswith("JobStatus"))
        if now == status:
            return said
        assert now not in FINAL, said.get("FailureReason", now)
        assert time.monotonic() < deadline, f"still {now}"
        time.sleep(0.02)


def put_table(s3: Any) -> pl.DataFrame:
    """The training table, put to `train/`."""
    frame = table()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    s3.put_object(Bucket=BUCKET, Key="train/part.parquet", Body=buffer.getvalue())
    return frame


def put_archive(s3: Any, key: str, files: dict[str, bytes]) -> None:
    """A tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    s3.put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())


def read_archive(s3: Any, key: str) -> dict[str, bytes]:
    """The files of a tar.gz."""
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # pyright: ignore[reportOptionalMemberAccess]


def log_of(group: str, job: str) -> list[str]:
    """All lines of a job's log streams."""
    logs = boto3.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    lines: list[str] = []
    for stream in streams:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        lines += [event["message"] for event in events["events"]]
    return lines


@contextlib.contextmanager
def refused(code: str, text: str | None = None) -> Any:
    """AWS answers with this error."""
    with pytest.raises(botocore.exceptions.ClientError, match=text) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


def test_a_training_job_trains_a_model_that_a_transform_job_scores_with(aws: AwsDouble, s3: Any, sagemaker: Any, tmp_path: Path) -> None:  # fmt: skip
    frame = put_table(s3)
    sagemaker.create_training_job(**training("orders-a", Tags=[{"Key": "pipeline", "Value": "orders"}]))
    job = ended(lambda: sagemaker.describe_training_job(TrainingJobName="orders-a"))
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://lake/jobs/orders-a/output/model.tar.gz"
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["CreationTime"] <= job["TrainingStartTime"] < job["TrainingEndTime"] == job["LastModifiedTime"]
    assert 1 <= job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] < 30
    assert sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "pipeline", "Value": "orders"}]

    model = tmp_path / "model.ubj"
    model.write_bytes(read_archive(s3, "jobs/orders-a/output/model.tar.gz")["xgboost-model"])
    features, target = frame.drop("y").to_numpy(), frame["y"].to_numpy()
    booster = xgboost.Booster(model_file=model)
    predicted = booster.predict(xgboost.DMatrix(features))
    error = float(np.sqrt(np.mean((predicted - target) ** 2)))
    assert error < 0.2 * target.std()
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["train:rmse"] == pytest.approx(error, abs=1e-4)
    assert any("#011train-rmse:" in line for line in log_of("/aws/sagemaker/TrainingJobs", "orders-a"))

    s3.put_object(Bucket=BUCKET, Key="score/rows.csv", Body=frame.drop("y").write_csv(include_header=False).encode())
    artifact = {"Image": IMAGE, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName="orders-t", ExecutionRoleArn=ROLE, PrimaryContainer=artifact)
    sagemaker.create_transform_job(**transform("orders-t", "s3://lake/score/"))
    ended(lambda: sagemaker.describe_transform_job(TransformJobName="orders-t"))
    scored = s3.get_object(Bucket=BUCKET, Key="out/rows.csv.out")["Body"].read().split()
    assert np.array(scored, dtype="float32") == pytest.approx(predicted, abs=1e-5)

    with refused("ValidationException", "already existing model"):
        sagemaker.create_model(ModelName="orders-t", ExecutionRoleArn=ROLE, PrimaryContainer=artifact)
    sagemaker.create_model(ModelName="orders-p", ExecutionRoleArn=ROLE, PrimaryContainer=artifact)
    sagemaker.create_transform_job(**transform("orders-p", "s3://lake/train/", "application/x-parquet"))
    failed = ended(lambda: sagemaker.describe_transform_job(TransformJobName="orders-p"), "Failed")
    assert failed["FailureReason"].startswith("ClientError")
    assert any("415" in line for line in log_of("/aws/sagemaker/TransformJobs", "orders-p"))


def test_script_mode_runs_the_packed_program_with_arguments_and_variables(s3: Any, sagemaker: Any) -> None:
    put_table(s3)
    program = b"""
import json, os, pathlib, sys
files = sorted(p.name for p in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
said = {"arguments": sys.argv[1:], "files": files, "depth": json.loads(os.environ["SM_HPS"])["max-depth"]}
pathlib.Path(os.environ["SM_MODEL_DIR"], "said.json").write_text(json.dumps(said))
print("validation loss=0.25")
"""
    put_archive(s3, "code/sourcedir.tar.gz", {"fit.py": program})
    values = {"sagemaker_program": "fit.py", "sagemaker_submit_directory": "s3://lake/code/sourcedir.tar.gz"}
    parameters = {name: json.dumps(value) for name, value in {**values, "max-depth": 4, "learner": "forest"}.items()}
    loss = {"Name": "loss", "Regex": "validation loss=([0-9.]+)"}
    specification = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": [loss]}
    request = training("script", HyperParameters=parameters, AlgorithmSpecification=specification)
    sagemaker.create_training_job(**request)
    job = ended(lambda: sagemaker.describe_training_job(TrainingJobName="script"))
    said = json.loads(read_archive(s3, "jobs/script/output/model.tar.gz")["said.json"])
    assert said == {"arguments": ["--learner", "forest", "--max-depth", "4"], "files": ["part.parquet"], "depth": 4}
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [("loss", 0.25)]


def test_a_processing_job_maps_its_container_paths(s3: Any, sagemaker: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="in/a.txt", Body=b"hello")
    code = "import sys, pathlib; pathlib.Path(sys.argv[2], 'b.txt').write_text(pathlib.Path(sys.argv[1], 'a.txt').read_text().upper())"
    place = "/opt/ml/processing"
    given = {"S3DataType": "S3Prefix", "S3InputMode": "File", "S3Uri": "s3://lake/in", "LocalPath": f"{place}/in"}
    output = {"S3Uri": "s3://lake/processed", "LocalPath": f"{place}/out", "S3UploadMode": "EndOfJob"}
    request = processing("p", code, ProcessingInputs=[{"InputName": "in", "S3Input": given}])
    request["AppSpecification"]["ContainerArguments"] = [f"{place}/in", f"{place}/out"]
    request["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "out", "S3Output": output}]}
    sagemaker.create_processing_job(**request)
    ended(lambda: sagemaker.describe_processing_job(ProcessingJobName="p"))
    assert s3.get_object(Bucket=BUCKET, Key="processed/b.txt")["Body"].read() == b"HELLO"


def test_a_program_that_fails_gives_its_own_reason(s3: Any, sagemaker: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="train/part.csv", Body=b"1,2\n3,word\n")
    request = training("bad")
    request["InputDataConfig"][0]["ContentType"] = "text/csv"
    sagemaker.create_training_job(**request)
    job = ended(lambda: sagemaker.describe_training_job(TrainingJobName="bad"), "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: channel train, file part.csv, row 2, column 2")
    assert job["FailureReason"].endswith(", exit code: 1")
    assert "S3ModelArtifacts" not in job.get("ModelArtifacts", {})


def test_a_job_without_input_objects_fails_as_the_clients_error(sagemaker: Any) -> None:
    sagemaker.create_training_job(**training("empty"))
    job = ended(lambda: sagemaker.describe_training_job(TrainingJobName="empty"), "Failed")
    assert job["FailureReason"].startswith('ClientError: No S3 objects found under S3 URL "s3://lake/train/"')


def test_a_job_that_the_double_itself_cannot_do_ends_and_says_why(sagemaker: Any) -> None:
    request = processing("nowhere", "")
    request["AppSpecification"]["ContainerEntrypoint"] = ["/no/such/program"]
    sagemaker.create_processing_job(**request)
    job = ended(lambda: sagemaker.describe_processing_job(ProcessingJobName="nowhere"), "Failed")
    assert job["FailureReason"].startswith("The test double itself failed: FileNotFoundError")


def test_objects_that_are_put_again_while_a_job_fetches_them_are_fetched_as_they_were_put(
    s3: Any, sagemaker: Any
) -> None:
    keys, contents = [f"rows/{number}.csv" for number in range(10)], [bytes([letter]) * 1_000_000 for letter in b"ab"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=contents[0])
    check = "import pathlib; assert all(len({*f.read_bytes()}) == 1 for f in pathlib.Path('/opt/ml/processing').glob('*/*'))"
    inputs = [
        {
            "InputName": name,
            "S3Input": {
                "S3Uri": "s3://lake/rows/",
                "LocalPath": f"/opt/ml/processing/{name}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for name in "abcdefghij"
    ]
    sagemaker.create_processing_job(**processing("reader", check, ProcessingInputs=inputs))
    describe = lambda: sagemaker.describe_processing_job(ProcessingJobName="reader")  # noqa: E731
    for number in range(1, 40):
        if describe()["ProcessingJobStatus"] in FINAL:
            break
        for key in keys:
            s3.put_object(Bucket=BUCKET, Key=key, Body=contents[number % 2])
    ended(describe)


def test_two_jobs_that_begin_to_log_at_once_both_keep_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is stopped while moto makes the group that both need, until the second has logged or waits for it."""
    create, entered, second_logged = LogGroup.__init__, threading.Event(), threading.Event()

    def interrupted(group: LogGroup, *arguments: Any) -> None:
        create(group, *arguments)
        if not entered.is_set():
            entered.set()
            second_logged.wait(0.5)

    monkeypatch.setattr(LogGroup, "__init__", interrupted)
    region = "eu-north-1"  # which no other test logs in
    jobs = [Job(TRAINING, {"TrainingJobName": name}, region) for name in ("first", "second")]

    def log(job: Job) -> None:
        JobLog(job, "algo").add(f"a line of {job.name}")

    thread = threading.Thread(target=log, args=(jobs[0],))
    thread.start()
    assert entered.wait(10)
    log(jobs[1])
    second_logged.set()
    thread.join()
    streams = logs_backends[ACCOUNT][region].groups["/aws/sagemaker/TrainingJobs"].streams
    said = {name: [event.message for event in stream.events] for name, stream in streams.items()}
    assert said == {"first/algo": ["a line of first"], "second/algo": ["a line of second"]}


def test_a_clock_that_is_set_back_does_not_end_a_jobs_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    times = iter([now, now, now - 60, now + 1])
    monkeypatch.setattr(job_log, "time", SimpleNamespace(time=lambda: next(times), monotonic=lambda: 1.0))
    log = JobLog(Job(TRAINING, {"TrainingJobName": "back"}, "eu-north-1", created=now), "algo")
    for number in range(4):
        log.add(f"line {number}")
    log.flush()
    stream = logs_backends[ACCOUNT]["eu-north-1"].groups["/aws/sagemaker/TrainingJobs"].streams["back/algo"]
    assert [event.message for event in stream.events] == [f"line {number}" for number in range(4)]


def test_stop_kills_the_program(sagemaker: Any) -> None:
    mark = uuid.uuid4().hex  # other workers have sleepers, too
    sagemaker.create_processing_job(**processing("sleeper", f"{SLEEPER}  # {mark}"))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (running := _processes_with(mark)):
        assert time.monotonic() < deadline
    sagemaker.stop_processing_job(ProcessingJobName="sleeper")
    assert sagemaker.describe_processing_job(ProcessingJobName="sleeper")["ProcessingJobStatus"] in ("Stopping", "Stopped")  # fmt: skip
    ended(lambda: sagemaker.describe_processing_job(ProcessingJobName="sleeper"), "Stopped")
    assert running
    assert not _processes_with(mark)
    with refused("ValidationException", "status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName="sleeper")


def _processes_with(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            found += [path.parent.name] if text.encode() in path.read_bytes() else []
    return found


def test_a_job_beyond_its_time_is_stopped(sagemaker: Any) -> None:
    request = processing("long", SLEEPER, StoppingCondition={"MaxRuntimeInSeconds": 1})
    sagemaker.create_processing_job(**request)
    ended(lambda: sagemaker.describe_processing_job(ProcessingJobName="long"), "Stopped")


def test_two_jobs_run_at_once_and_the_third_waits(aws: AwsDouble, sagemaker: Any) -> None:
    aws.hold_jobs()
    for name in ("one", "two", "three"):
        sagemaker.create_processing_job(**processing(name, "print('done')"))
    started = lambda: [n for n in ("one", "two", "three") if "ProcessingStartTime" in sagemaker.describe_processing_job(ProcessingJobName=n)]  # noqa: E731  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(started()) < 2:
        assert time.monotonic() < deadline
    assert len(started()) == 2
    listed = sagemaker.list_processing_jobs(StatusEquals="InProgress")["ProcessingJobSummaries"]
    assert {row["ProcessingJobName"] for row in listed} == {"one", "two", "three"}
    aws.release_jobs()
    for name in ("one", "two", "three"):
        ended(lambda name=name: sagemaker.describe_processing_job(ProcessingJobName=name))


@pytest.mark.parametrize("kind", ["training", "processing"])
def test_a_used_name_is_refused(aws: AwsDouble, sagemaker: Any, kind: str) -> None:
    aws.hold_jobs()
    create = {
        "training": lambda: sagemaker.create_training_job(**training("same")),
        "processing": lambda: sagemaker.create_processing_job(**processing("same", "print()")),
    }[kind]
    create()
    with refused("ResourceInUse", "must be unique within an AWS account and region"):
        create()


def test_lists_are_paged_filtered_and_sorted(aws: AwsDouble, sagemaker: Any) -> None:
    names = aws.seed_training_jobs(250)
    aws.seed_training_jobs(3, prefix="old", status="Completed")
    pages = list(sagemaker.get_paginator("list_training_jobs").paginate(StatusEquals="InProgress", MaxResults=100))
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [100, 100, 50]
    listed = [row["TrainingJobName"] for page in pages for row in page["TrainingJobSummaries"]]
    assert sorted(listed) == names
    assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 10
    down = sagemaker.list_training_jobs(NameContains="OLD", SortBy="Name", SortOrder="Descending")
    rows = down["TrainingJobSummaries"]
    assert [row["TrainingJobName"] for row in rows] == ["old-00002", "old-00001", "old-00000"]
    assert {row["TrainingJobStatus"] for row in rows} == {"Completed"}
    with refused("ValidationException"):
        sagemaker.list_training_jobs(NextToken="nonsense")


def test_a_job_can_vanish(aws: AwsDouble, sagemaker: Any) -> None:
    aws.seed_training_jobs(1, prefix="gone")
    assert aws.vanish("gone-00000") == 1
    with refused("ValidationException", "Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="gone-00000")


def test_a_fault_fires_the_given_number_of_times(aws: AwsDouble, sagemaker: Any) -> None:
    aws.hold_jobs()
    aws.add_fault("sagemaker:CreateTrainingJob", "ThrottlingException", message="Rate exceeded", times=2)
    for _ in range(2):
        with refused("ThrottlingException", "Rate exceeded"):
            sagemaker.create_training_job(**training("slow"))
    sagemaker.create_training_job(**training("slow"))
    assert [call["status"] for call in aws.requests("sagemaker:CreateTrainingJob")] == [400, 400, 200]


def test_an_answer_lost_after_the_work_leaves_the_work_done(aws: AwsDouble, sagemaker: Any) -> None:
    aws.hold_jobs()
    aws.add_fault("sagemaker:CreateTrainingJob", after=True, drop=True)
    with pytest.raises(botocore.exceptions.HTTPClientError):
        sagemaker.create_training_job(**training("lost"))
    assert sagemaker.describe_training_job(TrainingJobName="lost")["TrainingJobStatus"] == "InProgress"
    assert [call["status"] for call in aws.requests("sagemaker:CreateTrainingJob")] == [0]


def test_faults_of_s3_come_for_matching_keys_only(aws: AwsDouble, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="b/x", Body=b"fine")
    aws.add_fault("s3:*Object", "SlowDown", status=503, key_pattern="a/*", times=None)
    aws.add_fault("s3:GetObject", "ExpiredToken", key_pattern="b/*")
    with refused("SlowDown"):
        s3.put_object(Bucket=BUCKET, Key="a/x", Body=b"")
    with refused("ExpiredToken"):
        s3.get_object(Bucket=BUCKET, Key="b/x")
    assert s3.get_object(Bucket=BUCKET, Key="b/x")["Body"].read() == b"fine"
    with refused("503"):
        s3.head_object(Bucket=BUCKET, Key="a/x")


def test_faults_of_jobs_come_by_name(aws: AwsDouble, s3: Any, sagemaker: Any) -> None:
    put_table(s3)
    aws.add_job_fault("orders-*", "CapacityError: Unable to provision requested ML compute capacity.")
    aws.add_job_fault("ghost", vanish=True)
    for name in ("orders-1", "ghost"):
        sagemaker.create_training_job(**training(name))
    failed = ended(lambda: sagemaker.describe_training_job(TrainingJobName="orders-1"), "Failed")
    assert failed["FailureReason"].startswith("CapacityError")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sagemaker.list_training_jobs(NameContains="ghost")["TrainingJobSummaries"]:
        assert time.monotonic() < deadline


def test_requests_are_resolved_whoever_sends_them(aws: AwsDouble, s3: Any, sagemaker: Any) -> None:
    aws.clear_requests()
    table().write_parquet("s3://lake/train/by-polars.parquet")
    assert pl.scan_parquet("s3://lake/train/*.parquet").collect().height == 300
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "train/by-polars.parquet"})
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}]})
    boto3.client("sts").get_caller_identity()
    sagemaker.list_training_jobs(NameContains="x")
    queue = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    boto3.client("sqs").receive_message(QueueUrl=queue)
    calls = aws.requests()
    names = [call["operation"] for call in calls]
    put = next(call for call in calls if call["operation"] in ("s3:PutObject", "s3:CompleteMultipartUpload"))
    assert (put["bucket"], put["key"]) == (BUCKET, "train/by-polars.parquet")
    assert {"s3:ListObjectsV2", "s3:GetObject", "s3:CopyObject", "s3:DeleteObjects"} <= set(names)
    others = [name for name in names if not name.startswith("s3:")]
    expected = ["sts:GetCallerIdentity", "sagemaker:ListTrainingJobs", "sqs:CreateQueue", "sqs:ReceiveMessage"]
    assert others == expected
    assert aws.requests("sagemaker:ListTrainingJobs")[0]["parameters"] == {"NameContains": "x"}
    assert not [call for call in calls if call["invalid"]]


def test_what_botocores_model_refuses_is_refused_here(aws: AwsDouble, s3: Any) -> None:
    unchecked = botocore.config.Config(parameter_validation=False, retries={"max_attempts": 0})
    sagemaker = boto3.client("sagemaker", config=unchecked)
    unnamed = training("x")
    del unnamed["RoleArn"]
    with refused("ValidationException", "Missing required parameter"):
        sagemaker.create_training_job(**unnamed)
    with refused("ValidationException", "regular expression pattern"):
        sagemaker.create_training_job(**training("no_underscores"))
    with refused("ValidationException", "enum value set"):
        sagemaker.create_training_job(**training("x", ResourceConfig={**RESOURCES, "InstanceType": "ml.huge"}))
    assert all(call["invalid"] for call in aws.requests("sagemaker:CreateTrainingJob"))
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_range_of_an_object_is_read_as_it_is(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="digits", Body=b"0123456789")
    read = lambda span: s3.get_object(Bucket=BUCKET, Key="digits", Range=f"bytes={span}")  # noqa: E731
    assert read("2-4")["Body"].read() == b"234"
    assert read("7-")["Body"].read() == b"789"
    assert read("8-99")["ContentRange"] == "bytes 8-9/10"
    assert read("-3")["Body"].read() == b"789"
    with refused("InvalidRange"):
        read("10-")


def test_lists_of_objects_are_paged_and_grouped_like_s3s(aws: AwsDouble, s3: Any) -> None:
    names = [f"{folder}/{number} +ü&.csv" for folder in ("a", "b", "b c", "d") for number in range(30)]
    aws.seed_objects(BUCKET, [*names, "top"], "four")

    def walk(**asked: Any) -> tuple[list[str], list[str]]:
        pages = list(
            s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 7}, **asked)
        )
        assert [page["KeyCount"] for page in pages[:-1]] == [7] * (len(pages) - 1)
        assert {one["Size"] for page in pages for one in page.get("Contents", [])} <= {4}
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return keys, [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]

    assert walk() == (sorted([*names, "top"]), [])
    assert walk(Prefix="b/") == (sorted(name for name in names if name.startswith("b/")), [])
    assert walk(Delimiter="/") == (["top"], ["a/", "b c/", "b/", "d/"])
    assert walk(Prefix="b", Delimiter="/") == ([], ["b c/", "b/"])
    assert walk(StartAfter="d/9 +ü&.csv") == (["top"], [])
    s3.delete_object(Bucket=BUCKET, Key="top")
    s3.put_object(Bucket=BUCKET, Key="zebra", Body=b"four")
    assert walk(StartAfter="e") == (["zebra"], [])


@pytest.mark.parametrize("way", ["direct", "sns", "eventbridge"])
def test_a_new_object_is_announced_in_the_queue(s3: Any, way: str) -> None:
    sqs, sns, events = (boto3.client(name) for name in ("sqs", "sns", "events"))
    url = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    created = ["s3:ObjectCreated:*"]
    if way == "direct":
        wanted: dict[str, Any] = {"QueueConfigurations": [{"QueueArn": arn, "Events": created}]}
    elif way == "sns":
        topic = sns.create_topic(Name="uploads")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        wanted = {"TopicConfigurations": [{"TopicArn": topic, "Events": created}]}
    else:
        events.put_rule(Name="uploads", EventPattern=json.dumps({"source": ["aws.s3"]}))
        events.put_targets(Rule="uploads", Targets=[{"Id": "queue", "Arn": arn}])
        wanted = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=wanted)
    s3.put_object(Bucket=BUCKET, Key="uploads/a b.csv", Body=b"x")
    bodies = [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    bodies = [json.loads(body["Message"]) if way == "sns" else body for body in bodies]
    keys = [body["detail"]["object"]["key"] for body in bodies if "detail" in body]
    keys += [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", [])]
    assert keys == ["uploads/a b.csv" if way == "eventbridge" else "uploads/a+b.csv"]
    tests = [body for body in bodies if body.get("Event") == "s3:TestEvent"]
    assert len(tests) == (0 if way == "eventbridge" else 1)

"""The bodies of SageMaker's Create operations against botocore's own model of the API, and what its answers mean."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from aws_double.constraints import violations
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.container.channels import CSV, PARQUET
from optiflow.errors import UserError
from resources.jobs.contract import MAX_NAME_LENGTH, Channel, JobKind, JobRequest, JobStatus
from resources.jobs.sagemaker import SageMakerJobs, pause_seconds, requests
from resources.jobs.sagemaker.images import estimated_cost, xgboost_image
from resources.jobs.sagemaker.processing import processing_job
from resources.jobs.sagemaker.request_parts import prefix_of, tags, volume_encryption
from resources.jobs.sagemaker.states import job_state, listed_state
from resources.jobs.sagemaker.words import console_url, log_url

SERVICE = botocore.session.get_session().get_service_model("sagemaker")
ROLE = "arn:aws:iam::123456789012:role/service-role/optiflow"
IMAGE = "683313688378.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:training-job/orders-a"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SOURCE = "s3://bucket/code/sourcedir.tar.gz"
TRAINING, TRANSFORM, PROCESSING = JobKind.TRAINING, JobKind.TRANSFORM, JobKind.PROCESSING


def place(**fields) -> SageMakerJobs:
    return SageMakerJobs(**{"role_arn": ROLE, "output_uri": "s3://bucket/jobs/", **fields})


def training(**fields) -> JobRequest:
    channels = {"train": Channel("s3://bucket/c/train", sharded=True), "validation": Channel("s3://bucket/c/v.parquet")}
    return JobRequest("orders-a", TRAINING, "xgboost", {"num_round": "5"}, channels, **fields)


def scoring(kind: JobKind, content_type: str = CSV, **fields) -> JobRequest:
    channels = {"transform": Channel("s3://bucket/c/test.csv", content_type)}
    return JobRequest("orders-b", kind, "xgboost", {}, channels, "s3://bucket/m/model.tar.gz", **fields)


def refused(operation: str, body: dict) -> str | None:
    """What botocore's model does not allow: types, required members, enums, patterns, lengths."""
    return violations(body, SERVICE.operation_model(operation).input_shape)


places = st.builds(
    place,
    instance_type=st.sampled_from(["ml.m5.xlarge", "ml.c5.4xlarge", "ml.g4dn.xlarge", "ml.m6i.large"]),
    instance_count=st.integers(1, 20),
    transform_instance_type=st.sampled_from(["ml.m5.xlarge", "ml.c6i.large"]),
    transform_instance_count=st.integers(1, 20),
    volume_gb=st.integers(1, 16_384),
    max_runtime_seconds=st.integers(1, 28 * 86_400),
    max_wait_seconds=st.none() | st.integers(1, 56 * 86_400),
    use_spot=st.booleans(),
    kms_key=st.none() | st.just("arn:aws:kms:eu-central-1:123456789012:key/1234abcd"),
    tags=st.dictionaries(st.text(max_size=200), st.text(max_size=300), max_size=6),
) | st.just(place(subnets=["subnet-0123abcd"], security_group_ids=["sg-0123abcd"], kms_key="alias/mine"))


@settings(max_examples=150, deadline=None)
@given(places, st.dictionaries(st.text(min_size=1, max_size=150), st.text(max_size=300), max_size=6), st.booleans())
def test_every_request_passes_the_model_of_the_api(jobs, tags, script):
    source = SOURCE if script else None
    request = training(tags=tags, source_uri=source)
    body = requests.training_job(jobs, request, IMAGE, "eu-central-1")
    assert refused("CreateTrainingJob", body) is None
    limit = body["StoppingCondition"]
    assert limit.get("MaxWaitTimeInSeconds", limit["MaxRuntimeInSeconds"]) >= limit["MaxRuntimeInSeconds"]
    assert refused("CreateModel", requests.model(jobs, scoring(TRANSFORM, tags=tags), IMAGE)) is None
    assert refused("CreateTransformJob", requests.transform_job(jobs, scoring(TRANSFORM, tags=tags), "model-1")) is None
    processing = processing_job(jobs, scoring(PROCESSING, PARQUET, tags=tags, source_uri=SOURCE), IMAGE)
    assert refused("CreateProcessingJob", processing) is None


def test_the_model_of_the_api_does_refuse_what_is_wrong():
    body = requests.training_job(place(role_arn="nobody"), training(), IMAGE, "eu-central-1")
    assert "roleArn".lower() in str(refused("CreateTrainingJob", body)).lower()


def test_training_asks_for_the_channels_and_machines_of_the_request():
    body = requests.training_job(place(instance_count=3), training(), IMAGE, "eu-central-1")
    sources = {c["ChannelName"]: c["DataSource"]["S3DataSource"] for c in body["InputDataConfig"]}
    assert sources["train"]["S3Uri"] == "s3://bucket/c/train/"
    assert sources["train"]["S3DataDistributionType"] == "ShardedByS3Key"
    assert sources["validation"]["S3Uri"] == "s3://bucket/c/v.parquet"
    assert sources["validation"]["S3DataDistributionType"] == "FullyReplicated"
    assert body["HyperParameters"] == {"num_round": "5"}
    assert body["ResourceConfig"]["InstanceCount"] == 3
    assert body["OutputDataConfig"] == {"S3OutputPath": "s3://bucket/jobs"}
    assert "EnableManagedSpotTraining" not in body


def test_spot_training_keeps_checkpoints_in_the_jobs_own_folder():
    body = requests.training_job(place(use_spot=True, max_runtime_seconds=600), training(), IMAGE, "eu-central-1")
    assert body["EnableManagedSpotTraining"] is True
    assert body["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    assert body["CheckpointConfig"] == {"S3Uri": "s3://bucket/jobs/orders-a/checkpoints"}


def test_script_mode_gives_the_toolkit_json_in_every_hyperparameter():
    body = requests.training_job(place(instance_count=3), training(source_uri=SOURCE), IMAGE, "eu-central-1")
    assert body["ResourceConfig"]["InstanceCount"] == 1
    values = {name: json.loads(text) for name, text in body["HyperParameters"].items()}
    assert values == {
        "num_round": "5",
        "sagemaker_program": "optiflow_job.py",
        "sagemaker_submit_directory": SOURCE,
        "sagemaker_region": "eu-central-1",
        "sagemaker_job_name": "orders-a",
        "sagemaker_container_log_level": 20,
    }


def test_a_disk_of_the_machine_itself_gets_no_key():
    jobs = place(kms_key="alias/mine")
    assert volume_encryption(jobs, "ml.m5.xlarge") == {"VolumeKmsKeyId": "alias/mine"}
    for machine in ("ml.m5d.xlarge", "ml.g4dn.xlarge", "ml.r5d.large", "ml.g5.xlarge", "ml.p4d.24xlarge"):
        assert volume_encryption(jobs, machine) == {}
    assert volume_encryption(jobs, "ml.p3.2xlarge") == {"VolumeKmsKeyId": "alias/mine"}


def test_a_folder_does_not_take_in_its_neighbours():
    assert prefix_of(Channel("s3://b/lake/train")) == "s3://b/lake/train/"
    assert prefix_of(Channel("s3://b/lake/v1.2/", sharded=True)) == "s3://b/lake/v1.2/"
    assert prefix_of(Channel("s3://b/lake/v1.2", sharded=True)) == "s3://b/lake/v1.2/"
    assert prefix_of(Channel("s3://b/lake/train.parquet")) == "s3://b/lake/train.parquet"


def test_tags_of_the_request_win_and_lose_what_aws_does_not_allow():
    request = training(tags={"dagster/partition": "a,b;c", "team": "theirs", "aws:x": "1"})
    found = {tag["Key"]: tag["Value"] for tag in tags(place(tags={"team": "ours", "cost": "42"}), request)}
    assert found == {
        "optiflow/kind": "training",
        "dagster/partition": "a_b_c",
        "team": "theirs",
        "cost": "42",
        "aws_x": "1",
    }
    with pytest.raises(UserError, match="51 tags"):
        tags(place(tags={str(n): "x" for n in range(50)}), training())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: requests.transform_job(place(), scoring(TRANSFORM, PARQUET), "model-1"), "text/csv"),
        (lambda: processing_job(place(), scoring(PROCESSING), IMAGE), "source_uri"),
        (lambda: requests.model(place(), training(), IMAGE), "model_uri"),
        (
            lambda: requests.training_job(place(), JobRequest("a", TRAINING, "lightgbm"), IMAGE, "eu-central-1"),
            "source_uri",
        ),
        (lambda: place(role_arn="optiflow").check(), "OPTIFLOW_SAGEMAKER_ROLE_ARN"),
        (lambda: place(output_uri="file:///lake").check(), "OPTIFLOW_STORAGE"),
        (lambda: place(subnets=["subnet-1"]).check(), "security_group_ids"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_images_lie_in_the_registry_of_the_region():
    assert xgboost_image("eu-central-1", "3.2-0") == (
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
    )
    assert xgboost_image("cn-north-1", "3.2-0").split("/")[0].endswith("cn-north-1.amazonaws.com.cn")
    with pytest.raises(UserError, match="xgboost_version"):
        xgboost_image("eu-central-1", "9.9-1")
    with pytest.raises(UserError, match="AWS_REGION"):
        xgboost_image("mars-1", "3.2-0")


def answer(status: str = "InProgress", secondary: str = "Training", **fields) -> dict:
    return {
        "TrainingJobName": "orders-a",
        "TrainingJobArn": ARN,
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "CreationTime": NOON,
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        **fields,
    }


@pytest.mark.parametrize("secondary", ["Starting", "Pending", "LaunchingMLInstances", "PreparingTrainingStack"])
def test_a_training_job_that_waits_for_its_machines_is_pending(secondary):
    assert job_state(answer(secondary=secondary), TRAINING).status is JobStatus.PENDING
    assert job_state(answer(), TRAINING).status is JobStatus.IN_PROGRESS


def test_a_completed_training_job_tells_its_model_metrics_and_price():
    ended = NOON + timedelta(hours=1)
    state = job_state(
        answer(
            "Completed",
            "Completed",
            TrainingStartTime=NOON,
            TrainingEndTime=ended,
            BillableTimeInSeconds=1800,
            ModelArtifacts={"S3ModelArtifacts": "s3://bucket/jobs/orders-a/output/model.tar.gz"},
            FinalMetricDataList=[{"MetricName": "validation:rmse", "Value": 0.5, "Timestamp": NOON}],
        ),
        TRAINING,
    )
    assert state.output_uri == "s3://bucket/jobs/orders-a/output/model.tar.gz"
    assert state.metrics == {"validation:rmse": 0.5}
    assert (state.started_at, state.ended_at) == (NOON, ended)
    assert (state.billable_seconds, state.estimated_cost) == (3600, 0.23)


def test_a_stopped_job_has_no_output_though_sagemaker_names_one():
    stopped = answer(
        "Stopped",
        "MaxRuntimeExceeded",
        ModelArtifacts={"S3ModelArtifacts": "s3://bucket/x"},
        SecondaryStatusTransitions=[{"Status": "MaxRuntimeExceeded", "StatusMessage": "ran too long"}],
    )
    state = job_state(stopped, TRAINING)
    assert (state.status, state.output_uri) == (JobStatus.STOPPED, None)
    assert state.failure_reason == "MaxRuntimeExceeded: ran too long"
    assert job_state(answer("Deleting", "Completed"), TRAINING).status is JobStatus.STOPPED


def test_a_failed_job_says_what_sagemaker_says_and_whether_it_may_pass():
    capacity = job_state(answer("Failed", "Failed", FailureReason="CapacityError: no ml.m5.xlarge"), TRAINING)
    assert (capacity.failure_reason, capacity.may_pass) == ("CapacityError: no ml.m5.xlarge", True)
    algorithm = job_state(answer("Failed", "Failed", FailureReason="AlgorithmError: bad data"), TRAINING)
    assert not algorithm.may_pass


def scored(kind: str, page: str, **fields) -> dict:
    return {
        f"{kind}JobName": "orders-b",
        f"{kind}JobArn": ARN.replace("training-job/orders-a", f"{page}/orders-b"),
        f"{kind}JobStatus": "Completed",
        "CreationTime": NOON,
        f"{kind}StartTime": NOON,
        f"{kind}EndTime": NOON + timedelta(seconds=90),
        **fields,
    }


def test_transform_and_processing_jobs_are_billed_for_all_machines_from_start_to_end():
    machines = {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}
    transform = scored(
        "Transform",
        "transform-job",
        TransformResources=machines,
        TransformOutput={"S3OutputPath": "s3://bucket/jobs/orders-b/output"},
    )
    processing = scored(
        "Processing",
        "processing-job",
        ProcessingResources={"ClusterConfig": machines},
        ProcessingOutputConfig={"Outputs": [{"S3Output": {"S3Uri": "s3://bucket/jobs/orders-b/output"}}]},
    )
    for told, kind in ((transform, TRANSFORM), (processing, PROCESSING)):
        state = job_state(told, kind)
        assert (state.billable_seconds, state.estimated_cost) == (180, 0.0102)
        assert state.output_uri == "s3://bucket/jobs/orders-b/output"
    waiting = {
        name: value for name, value in transform.items() if name not in ("TransformStartTime", "TransformEndTime")
    }
    waiting["TransformJobStatus"] = "InProgress"
    assert job_state(waiting, TRANSFORM).status is JobStatus.PENDING
    assert listed_state(waiting, TRANSFORM).status is JobStatus.IN_PROGRESS


def test_a_failed_processing_job_says_what_its_program_left_behind():
    failed = scored(
        "Processing", "processing-job", FailureReason="AlgorithmError: exit code 1.", ExitMessage="no model"
    )
    state = job_state({**failed, "ProcessingJobStatus": "Failed"}, PROCESSING)
    assert state.failure_reason == "AlgorithmError: exit code 1. no model"


def test_an_unknown_machine_has_no_price():
    assert estimated_cost("ml.m5.xlarge", 3600) == 0.23
    assert estimated_cost("ml.future.xlarge", 3600) is None
    assert estimated_cost("ml.m5.xlarge", None) is None


def test_links_lead_to_the_console_of_the_partition():
    assert console_url(ARN, TRAINING) == (
        "https://eu-central-1.console.aws.amazon.com/sagemaker/home?region=eu-central-1#/jobs/orders-a"
    )
    assert log_url(ARN, TRANSFORM) == (
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FTransformJobs$3FlogStreamNameFilter$3Dorders-a$252F"
    )
    china = "arn:aws-cn:sagemaker:cn-north-1:123456789012:processing-job/orders-c"
    assert console_url(china, PROCESSING) == (
        "https://cn-north-1.console.amazonaws.cn/sagemaker/home?region=cn-north-1#/processing-jobs/orders-c"
    )
    government = "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:transform-job/x"
    assert str(console_url(government, TRANSFORM)).startswith("https://us-gov-west-1.console.amazonaws-us-gov.com/")
    assert console_url(ARN.replace("arn:aws:", "arn:aws-iso:"), TRAINING) is None


def test_pauses_grow_with_the_time_waited_up_to_half_a_minute():
    assert pause_seconds(0, 1.5, 0.999) == pytest.approx(1.5, rel=0.01)
    assert pause_seconds(100, 1.5, 0.0) == 7.5
    assert pause_seconds(10_000, 1.5, 0.999) <= 30
    assert pause_seconds(0, 0.05, 0.0) < 0.05


def test_the_module_loads_no_library_of_aws():
    code = "import sys, resources.jobs.sagemaker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "resources.jobs.sagemaker.submission" in loaded
    assert not {"boto3", "botocore", "sagemaker", "pandas"} & set(loaded)


def test_a_model_is_found_again_unless_what_it_is_made_of_has_changed() -> None:
    request = scoring(TRANSFORM, tags={"dagster/run-id": "1"})
    name = requests.model(place(), request, IMAGE)["ModelName"]
    assert name.startswith(request.name)
    assert requests.model(place(), scoring(TRANSFORM, tags={"dagster/run-id": "2"}), IMAGE)["ModelName"] == name
    others = [
        requests.model(place(role_arn="arn:aws:iam::123456789012:role/other"), request, IMAGE),
        requests.model(place(subnets=["subnet-1"], security_group_ids=["sg-1"]), request, IMAGE),
        requests.model(place(), request, f"{IMAGE}-other"),
    ]
    assert len({name, *(other["ModelName"] for other in others)}) == 4
    longest = requests.model(place(), replace(request, name="x" * MAX_NAME_LENGTH), IMAGE)["ModelName"]
    assert len(longest) == MAX_NAME_LENGTH

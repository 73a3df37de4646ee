"""The chain on S3 and SageMaker, run in this process: what comes out equals what comes out locally."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest
from aws_chain_project import BUCKET, ROLE, AwsProject
from aws_double.client import AwsDouble
from project import OPTIONS, Project, failure, metadata

from optiflow.artifact import MAX_UNPACKED_BYTES
from optiflow.pipelines.orders import sample as samples
from resources.jobs.contract import JobKind
from resources.landing import find_upload, opened, read_options

TABLE = samples.orders(400, seed=3, bad_rows=False)


@pytest.fixture
def project(bucket: Any, tmp_path: Path) -> Iterator[AwsProject]:
    made = AwsProject(tmp_path)
    with made.instance:
        yield made


def test_the_chain_in_parts_gives_the_numbers_of_a_local_run(
    project: AwsProject, aws: AwsDouble, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.upload("shop.csv", TABLE)
    runs = [project.run("orders_training_job", "shop")]
    for kind, job in ((JobKind.TRAINING, "orders_prediction_job"), (JobKind.TRANSFORM, "orders_report_job")):
        (record,) = [found for found in project.adapters.catalog.open().open_jobs() if found.kind is kind]
        project.adapters.jobs.wait(record.name, kind)
        runs.append(project.run(job, "shop"))
    assert [run.success for run in runs] == [True] * 3

    local = Project(tmp_path_factory.mktemp("local"))
    with local.instance:
        local.drop("shop.csv", TABLE, OPTIONS)
        assert local.run("orders_job", "shop").success
        here, there = local.report("shop"), project.found("shop")
    assert there["metrics"]["mse"] == pytest.approx(here["metrics"]["mse"], rel=1e-6)
    assert there["version"] == here["version"]
    assert len(aws.requests("sagemaker:CreateTrainingJob")) == 1
    assert len(aws.requests("sagemaker:CreateTransformJob")) == 1
    assert [call for call in aws.requests() if call["invalid"]] == []


def test_a_job_is_told_with_its_price_its_links_and_whose_it_is(project: AwsProject, aws: AwsDouble) -> None:
    project.upload("shop.csv", TABLE)
    run = project.run("orders_job", "shop")
    assert run.success
    for asset in ("model", "predictions"):
        shown = metadata(run, asset)
        assert shown["billable_seconds"] > 0
        assert shown["estimated_cost_usd"] > 0
        assert shown["log"].startswith("https://")
        assert shown["console"].startswith("https://")
    for operation, asset in (("CreateTrainingJob", "training_job"), ("CreateTransformJob", "prediction_job")):
        (call,) = aws.requests(f"sagemaker:{operation}")
        tags = {tag["Key"]: tag["Value"] for tag in call["parameters"]["Tags"]}
        assert tags["dagster/run-id"] == run.run_id
        assert tags["dagster/asset"] == f"orders/{asset}"
        assert tags["dagster/partition"] == "shop"


def test_several_machines_each_get_a_share_of_the_training_rows(bucket: Any, aws: AwsDouble, tmp_path: Path) -> None:
    project = AwsProject(tmp_path, instance_count=3)
    with project.instance:
        project.upload("shop.csv", TABLE)
        assert project.run("orders_job", "shop").success
    (call,) = aws.requests("sagemaker:CreateTrainingJob")
    assert call["parameters"]["ResourceConfig"]["InstanceCount"] == 3
    (train,) = [c for c in call["parameters"]["InputDataConfig"] if c["ChannelName"] == "train"]
    source = train["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "ShardedByS3Key"
    prefix = source["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    keys = [item["Key"] for item in bucket.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    shares = [pl.read_parquet(io.BytesIO(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read())) for key in keys]
    assert len(shares) == 3
    assert max(s.height for s in shares) - min(s.height for s in shares) <= 1
    grown_on = project.found("shop")["rows"]["train"]
    assert 0.8 * grown_on < sum(share.height for share in shares) < 0.9 * grown_on


def archive(members: dict[str, bytes]) -> bytes:
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            for name, data in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return made.getvalue()


def bomb() -> bytes:
    """Says that it unpacks to 10 GB; the header is all there is."""
    entry = tarfile.TarInfo("xgboost-model")
    entry.size = 10 * 1024**3
    return gzip.compress(entry.tobuf() + bytes(1024))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not a tar", "not a whole tar archive"),
        (bomb(), f"too large: over 1000 members or {MAX_UNPACKED_BYTES:,} bytes"),
        (archive({"../x": b"1", "xgboost-model": b"1"}), "leads out of the archive"),
        (archive({"model.pkl": b"1", "xgboost-model": b"1"}), "is a pickle"),
        (archive({"other": b"1"}), "holds no file 'xgboost-model'"),
    ],
    # Ids are given: an archive's bytes hold the second it was made in, and each worker makes its own.
    ids=["no archive", "too large", "a path out of it", "a pickle", "another file"],
)
def test_an_artifact_that_cannot_be_trusted_is_refused_where_it_arrives(
    project: AwsProject, bucket: Any, data: bytes, words: str
) -> None:
    project.upload("shop.csv", TABLE)
    assert project.run("orders_training_job", "shop").success
    (job,) = project.adapters.catalog.open().open_jobs()
    state = project.adapters.jobs.wait(job.name, job.kind)
    assert state.output_uri is not None
    bucket.put_object(Bucket=BUCKET, Key=state.output_uri.removeprefix(f"s3://{BUCKET}/"), Body=data)
    kind, message = failure(project.run("orders_prediction_job", "shop"))
    assert (kind, words in message) == ("input", True), message
    assert project.adapters.catalog.open().models() == []
    assert list(project.storage.list(f"lake/orders/model/shop/{job.name}/")) == []


def test_an_upload_that_is_deleted_between_listing_and_reading_is_said_to_be_gone(project: AwsProject) -> None:
    from optiflow.errors import TransientError

    project.upload("shop.csv", TABLE)
    file = find_upload(project.storage, "orders", "shop")
    boto3.client("s3").delete_objects(
        Bucket=BUCKET,
        Delete={"Objects": [{"Key": f"team/uploads/orders/shop.csv{end}"} for end in ("", ".options.yaml")]},
    )
    with pytest.raises(TransientError, match=r"shop\.csv was removed"), opened(project.storage, file):
        pass
    with pytest.raises(TransientError, match=r"shop\.csv\.options\.yaml was removed"):
        read_options(project.storage, file)
    kind, message = failure(project.run("orders_training_job", "shop"))
    assert kind == "input"
    assert "No upload of dataset 'shop' in s3://optiflow-chain-test/team/uploads/orders" in message


FAULTS = [
    ("sagemaker:CreateTrainingJob", "AccessDeniedException", "iam:PassRole", "OPTIFLOW_SAGEMAKER_ROLE_ARN", "input"),
    ("sagemaker:CreateTrainingJob", "ExpiredTokenException", "", "credentials have expired", "input"),
    ("sagemaker:CreateTrainingJob", "ThrottlingException", "", "just now", "transient"),
    ("sagemaker:CreateTrainingJob", "ResourceLimitExceeded", "", "quota", "transient"),
    ("s3:GetObject", "AccessDenied", "", "Allow s3:GetObject", "input"),
    ("s3:PutObject", "SlowDown", "", "just now", "transient"),
    ("s3:ListObjectsV2", "ExpiredToken", "", "credentials have expired", "input"),
]


@pytest.mark.parametrize(("operation", "code", "said", "words", "kind"), FAULTS)
def test_a_fault_of_aws_is_one_message_and_the_next_run_completes_with_one_job(
    project: AwsProject, aws: AwsDouble, operation: str, code: str, said: str, words: str, kind: str
) -> None:
    project.upload("shop.csv", TABLE)
    status = 503 if code == "SlowDown" else 400
    aws.add_fault(operation, code, status=status, times=None, message=f"not authorized to perform: {said}")
    told, message = failure(project.run("orders_job", "shop"))
    assert told == kind, message
    assert words in message
    aws.clear_faults()
    aws.clear_requests()
    assert project.run("orders_job", "shop").success
    assert len(aws.requests("sagemaker:CreateTrainingJob")) == 1
    assert len(aws.requests("sagemaker:CreateTransformJob")) == 1


def test_a_run_that_waits_for_a_job_without_machines_leaves_it_to_the_sensor(
    project: AwsProject, aws: AwsDouble
) -> None:
    project.upload("shop.csv", TABLE)
    aws.add_job_fault("*", "CapacityError: Unable to provision requested ML compute capacity.")
    kind, message = failure(project.run("orders_job", "shop"))
    assert (kind, "CapacityError" in message) == ("job", True)
    (job,) = project.adapters.catalog.open().open_jobs()
    assert job.may_pass
    again = project.run("orders_job", "shop")
    assert again.success
    names = {record.name for record in project.adapters.catalog.open().jobs() if record.kind is JobKind.TRAINING}
    assert len(names) == 2


def test_the_command_line_works_on_s3_as_it_does_on_disk(
    project: AwsProject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("desk") / "shop.csv"
    TABLE.write_csv(file)
    environment = {
        "OPTIFLOW_ENV": "aws",
        "OPTIFLOW_STORAGE": project.settings.storage_uri,
        "OPTIFLOW_SAGEMAKER_ROLE_ARN": ROLE,
    }
    uploaded = project.optiflow(
        "upload", file, "-p", "orders", "--target", "quantity", "-o", "hyperparameters.num_round=20", **environment
    )
    assert uploaded.code == 0, uploaded.shown
    assert project.storage.read_bytes("uploads/orders/shop.csv") == file.read_bytes()
    done = project.optiflow("run", "orders", "shop", **environment)
    assert done.code == 0, done.shown
    assert f"s3://{BUCKET}/team/lake/orders/mse_report/shop/" in done.out
    report = project.optiflow("report", "orders", "shop", "--json", **environment)
    assert json.loads(report.out) == project.found("shop")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials"),
        ({"OPTIFLOW_STORAGE": "s3://no-such-bucket/x"}, "Mend OPTIFLOW_STORAGE"),
        ({"OPTIFLOW_SAGEMAKER_ROLE_ARN": ""}, "set OPTIFLOW_SAGEMAKER_ROLE_ARN"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "set AWS_REGION"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE"),
    ],
)
def test_a_wrong_variable_is_named_on_the_command_line(
    project: AwsProject, changes: dict[str, str], words: str
) -> None:
    environment = {
        "OPTIFLOW_ENV": "aws",
        "OPTIFLOW_STORAGE": project.settings.storage_uri,
        "OPTIFLOW_SAGEMAKER_ROLE_ARN": ROLE,
        **changes,
    }
    said = project.optiflow("run", "orders", "shop", **environment)
    assert said.code == 2
    assert words in said.err


def test_dagster_shows_no_secret_of_aws(project: AwsProject) -> None:
    assert isinstance(project.definitions, dg.Definitions)
    text = repr(project.settings) + repr(project.adapters)
    assert "not-a-secret" not in text

"""Two installations in one account and region of AWS: neither takes, serves or deletes what is the other's."""

import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_chain_project import IMAGE, ROLE, AwsProject
from aws_double.client import REGION, AwsDouble
from project import OPTIONS
from turnover_models import trained_model

from optiflow.container.channels import CSV
from optiflow.errors import UserError
from optiflow.pipelines.orders import sample as samples
from resources.endpoints.contract import ServedModel, endpoint_name
from resources.endpoints.sagemaker import SageMakerEndpoints
from resources.endpoints.sagemaker_requests import INSTALLATION_TAG
from resources.jobs.contract import Channel, JobKind, JobRequest, next_attempt
from resources.jobs.job_code import PACKAGE, code_digest, library_versions
from resources.jobs.local import LocalJobs
from resources.jobs.sagemaker import SageMakerJobs
from resources.storage import S3Storage

BUCKETS = ("team-a", "team-b")
LEARNERS = ("xgboost", "store_sales", "item_demand", "turnover", "stock_movements")


@pytest.fixture
def buckets(aws: AwsDouble) -> None:
    for name in BUCKETS:
        place: Any = {"LocationConstraint": REGION}
        boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)


def jobs_of(bucket: str) -> SageMakerJobs:
    return SageMakerJobs(role_arn=ROLE, output_uri=f"s3://{bucket}/optiflow/jobs", image_uri=IMAGE)


def request(kind: JobKind, name: str = "orders-shop-x") -> JobRequest:
    channel = Channel("s3://team-a/none.csv", CSV)
    is_training, source = kind is JobKind.TRAINING, "s3://team-a/sourcedir.tar.gz"
    return JobRequest(
        name,
        kind,
        "xgboost",
        {"num_round": "1"},
        {"train" if is_training else "transform": channel},
        model_uri=None if is_training else "s3://team-a/model.tar.gz",
        source_uri=source if kind is JobKind.PROCESSING else None,
    )


def test_the_same_file_makes_two_jobs_in_two_installations(
    aws: AwsDouble, buckets: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.hold_jobs()
    table, made = samples.orders(200, seed=5, bad_rows=False), []
    for bucket in (*BUCKETS, BUCKETS[0]):
        home = tmp_path / f"{bucket}-{len(made)}"
        home.mkdir()
        project = AwsProject(home, storage=f"s3://{bucket}/optiflow")
        with project.instance:
            project.upload("shop.csv", table, OPTIONS)
            assert project.run("orders_training_job", "shop").success
            made += [job.name for job in project.adapters.catalog.open().jobs()]
    first, second, again = made
    assert first != second
    assert again == first  # one installation, its catalog lost: its job is found
    assert len(aws.requests("sagemaker:CreateTrainingJob")) == 2


@pytest.mark.parametrize("kind", JobKind)
def test_a_job_whose_output_lies_elsewhere_is_not_adopted(aws: AwsDouble, buckets: None, kind: JobKind) -> None:
    aws.hold_jobs()
    theirs, ours = (jobs_of(bucket) for bucket in BUCKETS)
    theirs.submit(request(kind))
    for take in (lambda: ours.submit(request(kind)), lambda: next_attempt(ours, ["orders-shop-x"], kind)):
        with pytest.raises(UserError, match=r"s3://team-a/optiflow/jobs.*another installation's"):
            take()
    assert not theirs.submit(request(kind)).status.is_final
    beside = jobs_of(BUCKETS[0]).model_copy(update={"output_uri": "s3://team-a/opti"})
    with pytest.raises(UserError, match="another installation's"):
        beside.find_own("orders-shop-x", kind)


def test_only_the_jobs_that_are_asked_for_are_listed(aws: AwsDouble, buckets: None) -> None:
    aws.hold_jobs()
    theirs, ours = (jobs_of(bucket) for bucket in BUCKETS)
    theirs.submit(request(JobKind.TRAINING, "theirs"))
    ours.submit(request(JobKind.TRAINING, "ours"))
    assert [state.name for state in ours.list_active(names={"ours", "ended"})] == ["ours"]


@pytest.fixture
def two(buckets: None) -> list[tuple[SageMakerEndpoints, ServedModel]]:
    """Two installations with a model of one retailer each."""
    made = []
    for number, bucket in enumerate(BUCKETS):
        storage = S3Storage(uri=f"s3://{bucket}/optiflow")
        model = trained_model(storage, "outlet", f"turnover-outlet-training-{number}", seed=number)
        endpoints = SageMakerEndpoints(
            storage=storage, pipeline="turnover", role_arn=ROLE, image_uri=IMAGE, first_poll_seconds=0.05
        )
        made.append((endpoints, model))
    return made


def test_each_installation_has_its_own_endpoint_of_a_retailer(
    two: list[tuple[SageMakerEndpoints, ServedModel]],
) -> None:
    for endpoints, model in two:
        assert endpoints.describe("outlet") is None
        endpoints.deploy(model)
        assert endpoints.wait("outlet").model == model.name
    (first, first_model), (second, _) = two
    assert second.delete("outlet")
    assert second.describe("outlet") is None
    state = first.describe("outlet")
    assert state is not None
    assert state.model == first_model.name


def test_an_endpoint_of_our_name_that_is_not_ours_is_left_alone(
    two: list[tuple[SageMakerEndpoints, ServedModel]], aws: AwsDouble
) -> None:
    (theirs, their_model), (ours, our_model) = two
    theirs.deploy(their_model)
    theirs.wait("outlet")
    name = endpoint_name("turnover", "outlet", installation="s3://team-a/optiflow")
    arn = boto3.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointArn"]
    boto3.client("sagemaker").add_tags(ResourceArn=arn, Tags=[{"Key": INSTALLATION_TAG, "Value": "somebody"}])
    aws.clear_requests()
    for act in (theirs.describe, theirs.roll_back, theirs.delete, theirs.wait, lambda _: theirs.deploy(their_model)):
        with pytest.raises(UserError, match=f"{name} of this account and region is not this installation's"):
            act("outlet")
    asked = {call["operation"] for call in aws.requests()}
    assert asked == {"sagemaker:DescribeEndpoint", "sagemaker:ListTags"}
    ours.deploy(our_model)
    assert ours.wait("outlet").model == our_model.name


def test_names_are_ones_that_sagemaker_takes_and_differ_by_installation() -> None:
    longest = "r" * 40
    names = [endpoint_name("turnover", longest, installation=place) for place in ("s3://a/b", "s3://a/c")]
    assert len(set(names)) == 2
    assert all(len(name) <= 63 and name.startswith(f"turnover-{longest[:20]}") for name in names)


@pytest.mark.parametrize("learner", LEARNERS[1:])
def test_an_edited_learner_makes_another_job_of_its_own_and_of_no_other(learner: str, tmp_path: Path) -> None:
    package = tmp_path / "optiflow"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert [code_digest(name, package) for name in LEARNERS] == [code_digest(name) for name in LEARNERS]
    changed = tmp_path / "changed" / "optiflow"
    shutil.copytree(package, changed)
    module = next((changed / "learners" / learner).glob("[a-z]*.py"))
    module.write_text(module.read_text() + "\nEDITED = True\n")
    assert [name for name in LEARNERS if code_digest(name, changed) != code_digest(name)] == [learner]
    shared = tmp_path / "shared" / "optiflow"
    shutil.copytree(package, shared)
    (shared / "container" / "scoring.py").write_text("EDITED = True\n")
    assert not [name for name in LEARNERS if code_digest(name, shared) == code_digest(name)]


def test_what_runs_in_a_job_is_part_of_what_decides_it() -> None:
    local, remote = LocalJobs(root="jobs"), jobs_of("team-a")
    assert local.environment("turnover")[0] == code_digest("turnover") == remote.environment("turnover")[-1]
    assert "xgboost" in " ".join(library_versions("xgboost"))
    assert any(line.startswith("statsforecast ") for line in local.environment("store_sales"))
    # Nothing of ours runs where SageMaker trains with its own algorithm.
    assert remote.environment("xgboost") == (IMAGE, "s3://team-a/optiflow/jobs")
    assert local.environment("xgboost") == LocalJobs(root="elsewhere").environment("xgboost")

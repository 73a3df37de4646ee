"""Endpoints on SageMaker, on the double whose containers really serve: states, requests, and what a crash leaves."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from aws_double.client import REGION, AwsDouble
from turnover_models import ITEM, REQUEST, answer_of, trained_model

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.adapters import Adapters
from resources.endpoints.contract import EndpointStatus, ServedModel, endpoint_name
from resources.endpoints.local import LocalEndpoints
from resources.endpoints.sagemaker import SageMakerEndpoints
from resources.settings import load_settings
from resources.storage import FileStorage, S3Storage, Storage

BUCKET, ROLE = "optiflow-test", "arn:aws:iam::123456789012:role/optiflow"
NAME = endpoint_name("turnover", "outlet", installation=f"s3://{BUCKET}/pre")
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return FileStorage(uri=tmp_path_factory.mktemp("lake").as_uri())


@pytest.fixture(scope="module")
def models(local: Storage) -> list[ServedModel]:
    """Three models of a retailer, and one of another."""
    ours = [trained_model(local, "outlet", f"turnover-outlet-training-{n}", seed=n) for n in range(3)]
    return [*ours, trained_model(local, "slow-shop", "turnover-slow-shop-training-0", pace=4)]


@pytest.fixture
def storage(aws: AwsDouble, local: Storage, models: list[ServedModel]) -> Storage:
    """The same models in S3."""
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    made = S3Storage(uri=f"s3://{BUCKET}/pre")
    for model in models:
        with local.local_copy(model.key) as archive:
            made.put_file(model.key, archive)
    return made


@pytest.fixture
def endpoints(storage: Storage) -> SageMakerEndpoints:
    settings = load_settings(
        env="aws",
        storage=storage.uri,
        sagemaker_role_arn=ROLE,
        image_uri=IMAGE,
        endpoint_memory_mb=3072,
        job_tags="a=b",
    )
    made = Adapters.of(settings).endpoints
    assert isinstance(made, SageMakerEndpoints)
    return made.model_copy(update={"first_poll_seconds": 0.05})


@pytest.fixture
def sagemaker(aws: AwsDouble) -> Any:
    return boto3.client("sagemaker")


def names(sagemaker: Any) -> tuple[list[str], list[str]]:
    """The models and the endpoint configurations that there are."""
    found = [one["ModelName"] for one in sagemaker.list_models()["Models"]]
    return sorted(found), sorted(c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"])


def test_a_model_is_served_updated_rolled_back_and_deleted(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel], local: Storage, sagemaker: Any
) -> None:
    first, second, third, _ = models
    assert endpoints.describe("outlet") is None
    state = endpoints.deploy(first)
    assert (state.name, state.wanted, state.previous_model) == (NAME, first.name, None)
    state = endpoints.wait("outlet")
    assert (state.status, state.model) == (EndpointStatus.IN_SERVICE, first.name)
    assert state.console_url == (
        f"https://{REGION}.console.aws.amazon.com/sagemaker/home?region={REGION}#/endpoints/{NAME}"
    )
    here = LocalEndpoints(storage=local, pipeline="turnover")
    here.deploy(first)
    assert endpoints.invoke("outlet", REQUEST) == here.invoke("outlet", REQUEST)

    state = endpoints.deploy(second)
    assert (state.status, state.model, state.wanted) == (EndpointStatus.UPDATING, first.name, second.name)
    assert answer_of(endpoints.invoke("outlet", REQUEST)) == answer_of(here.invoke("outlet", REQUEST))
    state = endpoints.wait("outlet")
    assert (state.model, state.previous_model) == (second.name, first.name)
    assert endpoints.invoke("outlet", REQUEST) != here.invoke("outlet", REQUEST)

    endpoints.roll_back("outlet")
    state = endpoints.wait("outlet")
    assert (state.model, state.previous_model, state.withdrawn_model) == (first.name, None, second.name)
    assert endpoints.invoke("outlet", REQUEST) == here.invoke("outlet", REQUEST)
    with pytest.raises(UserError, match="no model was served before it"):
        endpoints.roll_back("outlet")

    endpoints.deploy(third)
    assert endpoints.wait("outlet").previous_model == first.name
    assert names(sagemaker) == ([first.name, third.name],) * 2

    assert endpoints.delete("outlet")
    assert not endpoints.delete("outlet")
    assert endpoints.describe("outlet") is None
    assert names(sagemaker) == ([], [])
    with pytest.raises(UserError, match="There is no endpoint of 'outlet': run `optiflow run turnover outlet`"):
        endpoints.invoke("outlet", REQUEST)
    assert [call["operation"] for call in aws.requests() if call["invalid"]] == []


def test_the_requests_hold_what_the_settings_say(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel], storage: Storage
) -> None:
    endpoints.deploy(replace(models[0], tags={"dagster/partition": "outlet"}))
    endpoints.wait("outlet")
    (made,) = aws.requests("sagemaker:CreateModel")
    container = made["parameters"]["PrimaryContainer"]
    assert container["Image"] == IMAGE
    assert container["ModelDataUrl"] == storage.uri_for(models[0].key)
    assert container["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"].startswith(f"s3://{BUCKET}/pre/lake/code/")
    assert container["Environment"]["OPTIFLOW_RETAILER"] == "outlet"
    assert container["Environment"]["SAGEMAKER_MAX_HEAP_SIZE"] == "768m"
    assert made["parameters"]["ExecutionRoleArn"] == ROLE
    (config,) = aws.requests("sagemaker:CreateEndpointConfig")
    (variant,) = config["parameters"]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 5}
    for call in (made, config, *aws.requests("sagemaker:CreateEndpoint")):
        tags = {tag["Key"]: tag["Value"] for tag in call["parameters"]["Tags"]}
        assert tags.items() >= {"a": "b", "dagster/partition": "outlet"}.items()

    aws.clear_requests()
    endpoints.deploy(models[0])
    assert {call["operation"] for call in aws.requests()} == {"sagemaker:DescribeEndpoint", "sagemaker:ListTags"}


def test_interleaved_retailers_are_answered_by_their_own_models(
    endpoints: SageMakerEndpoints, models: list[ServedModel], aws: AwsDouble
) -> None:
    ours, *_, slow = models
    with pytest.raises(UserError, match="is not deployed for 'outlet': this is the model of retailer 'slow-shop'"):
        endpoints.deploy(replace(slow, retailer="outlet"))
    assert aws.requests("sagemaker:CreateModel") == []
    for model in (ours, slow):
        endpoints.deploy(model)
    for retailer in ("outlet", "slow-shop"):
        endpoints.wait(retailer)
    for _ in range(3):
        quick_said, quick = answer_of(endpoints.invoke("outlet", REQUEST))
        slow_said, slowly = answer_of(endpoints.invoke("slow-shop", REQUEST))
        assert (quick_said, slow_said) == ("outlet", "slow-shop")
        assert all(theirs > 2 * ours for ours, theirs in zip(quick, slowly, strict=True))
    with pytest.raises(UserError, match=r"^this is the model of retailer 'outlet', not of 'slow-shop'.*endpoint.$"):
        endpoints.invoke("outlet", json.dumps({"instances": [ITEM], "retailer": "slow-shop"}).encode())
    with pytest.raises(UserError, match=r"^instance 1, field 'price' is -3: send a number above 0.$"):
        endpoints.invoke("outlet", json.dumps({"instances": [ITEM, {**ITEM, "price": -3}]}).encode())
    with pytest.raises(UserError, match=r"^the request is not JSON"):
        endpoints.invoke("outlet", b"price=3")


def test_an_endpoint_that_somebody_else_has_changed_to_another_retailers_model_is_not_answered_from(
    endpoints: SageMakerEndpoints, models: list[ServedModel], sagemaker: Any
) -> None:
    """The configuration is a sound one, so the container starts; only the request can tell whose answer was meant."""
    for model in (models[0], models[3]):
        endpoints.deploy(model)
    for retailer in ("outlet", "slow-shop"):
        endpoints.wait(retailer)
    sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=models[3].name)
    assert endpoints.wait("outlet").model == models[3].name
    with pytest.raises(UserError, match=r"^this is the model of retailer 'slow-shop', not of 'outlet'"):
        endpoints.invoke("outlet", REQUEST)


def test_a_container_does_not_start_with_another_retailers_model(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel], storage: Storage, local: Storage
) -> None:
    """The archive is changed between our check and SageMaker's fetching it: the container holds it against its retailer."""
    aws.add_job_fault(models[0].name, slow=1.0)
    endpoints.deploy(models[0])
    with local.local_copy(models[3].key) as another:
        storage.put_file(models[0].key, another)
    state = endpoints.wait("outlet")
    assert (state.status, state.model) == (EndpointStatus.FAILED, None)
    assert "did not pass the ping health check" in str(state.failure_reason)
    with pytest.raises(TransientError, match="is Failed and does not answer"):
        endpoints.invoke("outlet", REQUEST)


def test_a_failed_update_leaves_the_old_model_serving_and_may_be_tried_again(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel]
) -> None:
    first, second, third, _ = models
    for model in (first, second):
        endpoints.deploy(model)
        endpoints.wait("outlet")
    answer = endpoints.invoke("outlet", REQUEST)
    aws.add_job_fault(third.name, "There is no capacity.")
    endpoints.deploy(third)
    state = endpoints.wait("outlet")
    assert (state.status, state.model, state.wanted) == (EndpointStatus.IN_SERVICE, second.name, third.name)
    assert state.previous_model == first.name
    assert str(state.failure_reason) == (
        f"the change to {third.name} failed, and SageMaker went back to {second.name}, which serves on. It says: "
        "There is no capacity."
    )
    assert endpoints.invoke("outlet", REQUEST) == answer
    endpoints.deploy(third)
    state = endpoints.wait("outlet")
    assert (state.model, state.previous_model, state.failure_reason) == (third.name, second.name, None)


def test_an_endpoint_that_could_not_be_made_is_made_anew(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel]
) -> None:
    aws.add_job_fault(models[0].name, "There is no capacity.")
    endpoints.deploy(models[0])
    assert endpoints.wait("outlet").status is EndpointStatus.FAILED
    endpoints.deploy(models[0])
    assert endpoints.wait("outlet").model == models[0].name
    assert len(aws.requests("sagemaker:CreateEndpoint")) == 2


def test_models_that_cannot_be_gone_back_to_are_cleared_away(
    endpoints: SageMakerEndpoints, models: list[ServedModel], local: Storage, storage: Storage, sagemaker: Any
) -> None:
    first, second, third, _ = models
    fourth = replace(first, name="turnover-outlet-training-3")
    for model in (first, second, third, fourth):
        endpoints.deploy(model)
        endpoints.wait("outlet")
    kept = [second.name, third.name, fourth.name]
    assert names(sagemaker) == (kept, kept)


def test_nothing_is_asked_of_an_endpoint_that_is_being_changed(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel]
) -> None:
    first, second, *_ = models
    aws.add_job_fault(first.name, slow=1.0)
    endpoints.deploy(first)
    assert endpoints.deploy(first).status is EndpointStatus.CREATING
    with pytest.raises(TransientError, match=f"{NAME} is Creating just now"):
        endpoints.deploy(second)
    with pytest.raises(TransientError, match="is Creating and does not answer yet"):
        endpoints.invoke("outlet", REQUEST)
    with pytest.raises(TransientError, match=f"Cannot delete the endpoint {NAME} just now"):
        endpoints.delete("outlet")
    assert endpoints.wait("outlet").model == first.name
    assert len(aws.requests("sagemaker:CreateEndpoint")) == 1


def test_a_crash_after_any_request_is_taken_up_by_the_next_try(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel]
) -> None:
    served: list[str | None] = [None]
    tries = [("CreateModel", "CreateEndpointConfig", "CreateEndpoint"), ("AddTags",), ("UpdateEndpoint",)]
    for model, operations in zip(models, tries, strict=False):
        for operation in operations:
            aws.add_fault(f"sagemaker:{operation}", "AccessDeniedException", message="lost", after=True)
            with pytest.raises(UserError, match="access is denied"):
                endpoints.deploy(model)
        endpoints.deploy(model)
        state = endpoints.wait("outlet")
        assert (state.model, state.previous_model) == (model.name, served[-1])
        assert answer_of(endpoints.invoke("outlet", REQUEST))[0] == "outlet"
        served.append(model.name)
    assert len(aws.requests("sagemaker:CreateEndpoint")) == 1
    assert len(aws.requests("sagemaker:UpdateEndpoint")) == 2


def test_an_endpoint_that_is_gone_between_two_requests_is_gone_and_not_somebody_elses(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel]
) -> None:
    """SageMaker has told its state and is asked for its tags when it is deleted."""
    endpoints.deploy(models[0])
    endpoints.wait("outlet")
    aws.add_fault("sagemaker:ListTags", "ValidationException", message=f"Could not find endpoint {NAME!r}.", times=2)
    assert endpoints.describe("outlet") is None
    assert not endpoints.delete("outlet")
    assert endpoints.delete("outlet")


def test_refusals_of_sagemaker_are_told_in_one_sentence(
    aws: AwsDouble, endpoints: SageMakerEndpoints, models: list[ServedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.add_fault("sagemaker:CreateEndpointConfig", "ResourceLimitExceeded", message="The account-level limit is 5.")
    with pytest.raises(TransientError, match="limit is 5"):
        endpoints.deploy(models[0])
    denied = "User: x is not authorized to perform: sagemaker:CreateEndpoint on resource: y"
    aws.add_fault("sagemaker:CreateEndpoint", "AccessDeniedException", message=denied)
    with pytest.raises(UserError, match=r"Allow sagemaker:CreateEndpoint \(deploy/iam-policy.json\)"):
        endpoints.deploy(models[0])
    aws.add_fault("sagemaker-runtime:InvokeEndpoint", "ThrottlingException", message="Too many.", status=429)
    with pytest.raises(TransientError, match=f"Cannot ask the endpoint {NAME} just now"):
        endpoints.invoke("outlet", REQUEST)
    aws.add_fault("sagemaker-runtime:InvokeEndpoint", "ModelError", message="out of memory", status=424)
    with pytest.raises(OptiflowError, match=f"Endpoint {NAME} failed over the request: out of memory"):
        endpoints.invoke("outlet", REQUEST)

"""What is asked of SageMaker to serve a model: pure functions of the model and the settings.

What does not belong here: asking (`sagemaker`), and what the answers mean (`sagemaker_states`).

Sources: the API reference of CreateModel, CreateEndpointConfig and CreateEndpoint; "Deploy models with Amazon SageMaker
Serverless Inference" in the developer guide; `sagemaker_xgboost_container.serving_mms` for the container's variables.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from optiflow.container.serving import RETAILER_VARIABLE
from resources.endpoints.contract import ServedModel, endpoint_name
from resources.jobs.sagemaker.request_parts import clean_tags
from resources.jobs.source import SERVING_ENTRY_POINT

VARIANT = "AllTraffic"
MODELS_TAG, WITHDRAWN_TAG, RETAILER_TAG = "optiflow/models", "optiflow/withdrawn", "optiflow/retailer"
INSTALLATION_TAG = "optiflow/installation"
"""A digest of the address of the storage whose endpoint it is: the address itself may not fit into a tag."""
HEAP_SHARE = 4


class SageMakerEndpointSettings(dg.ConfigurableResource):
    """Under which role, in which image and how large serverless endpoints are."""

    pipeline: str = Field(description="The pipeline whose models are served.")
    role_arn: str = Field(description="ARN of the role that endpoints work under; it reads models and source.")
    memory_mb: int = Field(default=2048, description="Memory of an endpoint: 1024 to 6144 MB in steps of 1024.")
    max_concurrency: int = Field(default=5, description="So many requests an endpoint answers at the same time.")
    tags: dict[str, str] = Field(default={}, description="Tags of every endpoint, its models and its configurations.")
    xgboost_version: str = Field(default="3.2-0", description="Version of AWS's XGBoost image.")
    image_uri: str | None = Field(default=None, description="An image in ECR to use instead of AWS's.")
    first_poll_seconds: float = Field(default=5.0, description="How soon a waiting caller asks for the first time.")


def model_body(
    settings: SageMakerEndpointSettings, model: ServedModel, *, model_uri: str, source_uri: str, image: str, region: str
) -> dict[str, Any]:
    """The body of CreateModel: AWS's XGBoost image with our packed source in it, for one retailer alone.

    Serverless endpoints know neither VPC nor network isolation, so none is asked for.
    """
    environment = {
        "SAGEMAKER_PROGRAM": SERVING_ENTRY_POINT,
        "SAGEMAKER_SUBMIT_DIRECTORY": source_uri,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        # The image's own choice is a heap of 4 GB, taken at the start, which a smaller endpoint does not have.
        "SAGEMAKER_MAX_HEAP_SIZE": f"{settings.memory_mb // HEAP_SHARE}m",
        "SAGEMAKER_NUM_MODEL_WORKERS": "1",
        RETAILER_VARIABLE: model.retailer,
    }
    return {
        "ModelName": model.name,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": model_uri, "Environment": environment},
        "ExecutionRoleArn": settings.role_arn,
        "Tags": _tags(settings, model),
    }


def config_body(settings: SageMakerEndpointSettings, model: ServedModel) -> dict[str, Any]:
    """The body of CreateEndpointConfig, which has the model's name: serverless, one variant."""
    serverless = {"MemorySizeInMB": settings.memory_mb, "MaxConcurrency": settings.max_concurrency}
    return {
        "EndpointConfigName": model.name,
        "ProductionVariants": [{"VariantName": VARIANT, "ModelName": model.name, "ServerlessConfig": serverless}],
        "Tags": _tags(settings, model),
    }


def installation_of(storage_uri: str) -> str:
    """What the tag holds for the installation with this storage."""
    return hashlib.sha256(storage_uri.rstrip("/").encode()).hexdigest()


def endpoint_body(settings: SageMakerEndpointSettings, model: ServedModel, storage_uri: str) -> dict[str, Any]:
    """The body of CreateEndpoint."""
    own = {
        **_note([model.name], None),
        RETAILER_TAG: model.retailer,
        INSTALLATION_TAG: installation_of(storage_uri),
    }
    return {
        "EndpointName": endpoint_name(settings.pipeline, model.retailer, installation=storage_uri.rstrip("/")),
        "EndpointConfigName": model.name,
        "Tags": _tags(settings, model, own),
    }


def note_body(arn: str, models: Sequence[str], withdrawn: str | None) -> dict[str, Any]:
    """The body of AddTags: the models that an endpoint has served, the wanted one last."""
    tags = [{"Key": key, "Value": value} for key, value in _note(models, withdrawn).items()]
    return {"ResourceArn": arn, "Tags": tags}


def _note(models: Sequence[str], withdrawn: str | None) -> dict[str, str]:
    return {MODELS_TAG: " ".join(models), WITHDRAWN_TAG: withdrawn or ""}


def _tags(
    settings: SageMakerEndpointSettings, model: ServedModel, own: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    return clean_tags({**settings.tags, **model.tags, **(own or {})}, f"model {model.name}")

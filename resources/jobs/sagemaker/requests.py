"""What is asked of SageMaker for training and batch transform: pure functions of a job request and the settings.

What does not belong here: processing jobs (`processing`), and asking (`submission`).

Sources: the API reference of CreateTrainingJob, CreateModel and CreateTransformJob; "XGBoost
algorithm" in the developer guide for channels and content types; the sagemaker-training toolkit's README for the
hyperparameters of script mode.
"""

import hashlib
import json
from typing import Any

from optiflow.container.channels import CSV
from optiflow.errors import UserError
from resources.jobs.contract import BUILT_IN, DIGEST_LENGTH, MAX_NAME_LENGTH, Channel, JobRequest
from resources.jobs.sagemaker.request_parts import (
    TRANSFORM_CHANNEL,
    distribution_of,
    encryption,
    model_uri_of,
    prefix_of,
    tags,
    volume_encryption,
    vpc,
)
from resources.jobs.sagemaker.settings import SageMakerSettings
from resources.jobs.source import script_mode

MAX_PAYLOAD_MB = 6
LOG_LEVEL_INFO = 20


def training_job(settings: SageMakerSettings, request: JobRequest, image: str, region: str) -> dict[str, Any]:
    """The body of CreateTrainingJob: AWS's XGBoost by its hyperparameters, or our packed source in the same image."""
    body: dict[str, Any] = {
        "TrainingJobName": request.name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": _hyperparameters(request, region),
        "InputDataConfig": [_training_channel(name, channel) for name, channel in request.channels.items()],
        "OutputDataConfig": {
            "S3OutputPath": settings.output_uri.rstrip("/"),
            **encryption("KmsKeyId", settings.kms_key),
        },
        "ResourceConfig": {
            "InstanceType": settings.instance_type,
            # Only SageMaker's own XGBoost shares a training; several machines would each train all of ours.
            "InstanceCount": 1 if request.source_uri else settings.instance_count,
            "VolumeSizeInGB": settings.volume_gb,
            **volume_encryption(settings, settings.instance_type),
        },
        "RoleArn": settings.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_seconds},
        **vpc(settings),
        "Tags": tags(settings, request),
    }
    if settings.use_spot:
        longest = settings.max_wait_seconds or 2 * settings.max_runtime_seconds
        body["EnableManagedSpotTraining"] = True
        body["StoppingCondition"]["MaxWaitTimeInSeconds"] = max(longest, settings.max_runtime_seconds)
        body["CheckpointConfig"] = {"S3Uri": f"{settings.output_uri.rstrip('/')}/{request.name}/checkpoints"}
    return body


def model(settings: SageMakerSettings, request: JobRequest, image: str) -> dict[str, Any]:
    """The body of CreateModel for a transform job.

    The model is named after the job and all that it is made of, so that a retry finds it, unless a setting has changed
    in between.
    """
    made_of = {
        "PrimaryContainer": {"Image": image, "ModelDataUrl": model_uri_of(request)},
        "ExecutionRoleArn": settings.role_arn,
        **vpc(settings),
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]
    name = f"{request.name[: MAX_NAME_LENGTH - DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
    return {"ModelName": name, **made_of, "Tags": tags(settings, request)}


def transform_job(settings: SageMakerSettings, request: JobRequest, model_name: str) -> dict[str, Any]:
    """The body of CreateTransformJob: text in, one prediction a line out.

    Raises:
        UserError: the rows are not CSV, which is all that a batch can be cut out of.
    """
    channel = request.channels.get(TRANSFORM_CHANNEL)
    if channel is None or channel.content_type.split(";")[0].strip() != CSV:
        raise UserError(
            f"job {request.name}: a transform job on SageMaker takes its rows as {CSV}, in a channel named "
            f"{TRANSFORM_CHANNEL!r}. Write them as `scoring_format()` says."
        )
    return {
        "TransformJobName": request.name,
        "ModelName": model_name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": MAX_PAYLOAD_MB,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": prefix_of(channel)}},
            "ContentType": channel.content_type,
            "SplitType": "Line",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": settings.output_folder(request.name),
            "Accept": CSV,
            "AssembleWith": "Line",
            **encryption("KmsKeyId", settings.kms_key),
        },
        "TransformResources": {
            "InstanceType": settings.transform_instance_type,
            "InstanceCount": settings.transform_instance_count,
            **volume_encryption(settings, settings.transform_instance_type),
        },
        "Tags": tags(settings, request),
    }


def _hyperparameters(request: JobRequest, region: str) -> dict[str, str]:
    if request.source_uri is None:
        if request.algorithm != BUILT_IN:
            raise UserError(
                f"algorithm {request.algorithm!r} is none of SageMaker's own here: give its packed source (source_uri)."
            )
        return dict(request.hyperparameters)
    # The toolkit reads each value as JSON.
    own = {name: json.dumps(value) for name, value in request.hyperparameters.items()}
    toolkit = {
        "sagemaker_region": region,
        "sagemaker_job_name": request.name,
        "sagemaker_container_log_level": LOG_LEVEL_INFO,
    }
    return {**own, **script_mode(request.source_uri), **{name: json.dumps(value) for name, value in toolkit.items()}}


def _training_channel(name: str, channel: Channel) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": prefix_of(channel),
                "S3DataDistributionType": distribution_of(channel),
            }
        },
        "ContentType": channel.content_type,
        "CompressionType": "None",
        "InputMode": "File",
    }

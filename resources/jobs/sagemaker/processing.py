"""What is asked of SageMaker for a processing job: our own program scores with a model that is not the built-in XGBoost.

What does not belong here: the program and the folders that it reads and writes (`source`).

Source: the API reference of CreateProcessingJob.
"""

from typing import Any

from optiflow.errors import UserError
from resources.jobs.contract import Channel, JobRequest
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
from resources.jobs.source import input_folder, output_folder, scoring_command

LONGEST_SECONDS = 777_600
"""What SageMaker allows a processing job: nine days, a third of what a training job may take."""


def processing_job(settings: SageMakerSettings, request: JobRequest, image: str) -> dict[str, Any]:
    """The body of CreateProcessingJob: our packed source scores the channel `transform` with a model of ours.

    Raises:
        UserError: the request has no channel `transform`, no source or no model.
    """
    rows = request.channels.get(TRANSFORM_CHANNEL)
    if rows is None or not request.source_uri:
        raise UserError(f"job {request.name}: a processing job needs a channel {TRANSFORM_CHANNEL!r} and a source_uri.")
    inputs = {"source": Channel(request.source_uri), "model": Channel(model_uri_of(request)), **request.channels}
    entrypoint, arguments = scoring_command(rows.content_type)
    output = {"S3Uri": settings.output_folder(request.name), "LocalPath": output_folder(), "S3UploadMode": "EndOfJob"}
    network = vpc(settings)
    return {
        "ProcessingJobName": request.name,
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": entrypoint,
            "ContainerArguments": arguments,
        },
        "ProcessingInputs": [_input(name, channel) for name, channel in inputs.items()],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "predictions", "S3Output": output}],
            **encryption("KmsKeyId", settings.kms_key),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": settings.instance_type,
                "InstanceCount": 1,  # several would each score all rows
                "VolumeSizeInGB": settings.volume_gb,
                **volume_encryption(settings, settings.instance_type),
            }
        },
        "RoleArn": settings.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": min(settings.max_runtime_seconds, LONGEST_SECONDS)},
        **({"NetworkConfig": network} if network else {}),
        "Tags": tags(settings, request),
    }


def _input(name: str, channel: Channel) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": prefix_of(channel),
            "LocalPath": input_folder(name),
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": distribution_of(channel),
            "S3CompressionType": "None",
        },
    }

"""Parts that the requests of several kinds of SageMaker jobs share: tags, inputs, network, encryption.

What does not belong here: whole requests (`requests`, `processing`).
"""

import re
from collections.abc import Mapping
from typing import Any

from optiflow.errors import UserError
from resources.jobs.contract import Channel, JobRequest
from resources.jobs.sagemaker.settings import SageMakerSettings

TRANSFORM_CHANNEL = "transform"
LOCAL_DISKS = re.compile(r"ml\.(?:[cmrpg]\d[a-z]*d[a-z]*|[gp][5-9][a-z]*|trn\d[a-z]*)\.")
"""Machines with disks of their own, which are always encrypted: SageMaker refuses a volume key for them."""

NOT_IN_TAGS = re.compile(r"[^\w .:/=+\-@]")
RESERVED = re.compile(r"^aws:", re.IGNORECASE)
MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS = 128, 256, 50


def tags(settings: SageMakerSettings, request: JobRequest) -> list[dict[str, str]]:
    """The tags of the settings and the request, which wins, with characters and lengths that AWS allows.

    Raises:
        UserError: more than 50 tags.
    """
    return clean_tags({"optiflow/kind": request.kind.value, **settings.tags, **request.tags}, f"job {request.name}")


def clean_tags(values: Mapping[str, str], what: str) -> list[dict[str, str]]:
    """Tags with characters and lengths that AWS allows.

    Raises:
        UserError: more than 50 tags of `what`.
    """
    clean = {_tag(RESERVED.sub("aws_", key), MAX_TAG_KEY): _tag(value, MAX_TAG_VALUE) for key, value in values.items()}
    if len(clean) > MAX_TAGS:
        raise UserError(f"{what} has {len(clean)} tags: AWS allows {MAX_TAGS}.")
    return [{"Key": key, "Value": value} for key, value in clean.items() if key]


def prefix_of(channel: Channel) -> str:
    """The S3 prefix that holds the channel's files and no others.

    SageMaker reads every key that begins with the address: without the slash, the folder `train` would hold the files
    of its neighbour `train-old` as well.
    """
    is_file = "." in channel.uri.rsplit("/", 1)[-1] and not channel.sharded
    return channel.uri if is_file else f"{channel.uri.rstrip('/')}/"


def distribution_of(channel: Channel) -> str:
    """Whether each machine gets all files of the channel or its share."""
    return "ShardedByS3Key" if channel.sharded else "FullyReplicated"


def model_uri_of(request: JobRequest) -> str:
    """Address of the model to score with.

    Raises:
        UserError: the request has none.
    """
    if not request.model_uri:
        raise UserError(f"job {request.name}: a {request.kind} job needs a model_uri, the model.tar.gz to score with.")
    return request.model_uri


def encryption(member: str, kms_key: str | None) -> dict[str, str]:
    """The member that names the KMS key; nothing without a key, so that AWS's own is used."""
    return {member: kms_key} if kms_key else {}


def volume_encryption(settings: SageMakerSettings, instance_type: str) -> dict[str, str]:
    """The member that names the key of the machines' disks, where SageMaker takes one."""
    return {} if LOCAL_DISKS.match(instance_type) else encryption("VolumeKmsKeyId", settings.kms_key)


def vpc(settings: SageMakerSettings) -> dict[str, Any]:
    """The member that puts a job into the VPC of the settings."""
    if not settings.subnets:
        return {}
    return {"VpcConfig": {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_group_ids}}


def _tag(text: str, longest: int) -> str:
    return NOT_IN_TAGS.sub("_", text)[:longest]

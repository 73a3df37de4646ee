"""What can be set for SageMaker jobs: role, machines, limits, network, encryption, image.

What belongs here: fields, and which of them do not go together. What does not: the requests they become
(`requests`).
"""

import dagster as dg
from pydantic import Field

from optiflow.errors import UserError

DAY = 86_400


class SageMakerSettings(dg.ConfigurableResource):
    """Where, on what and for how long SageMaker jobs run."""

    role_arn: str = Field(
        description="ARN of the role that the jobs run under; sagemaker.amazonaws.com must be allowed to assume it."
    )
    output_uri: str = Field(
        description="s3://bucket/prefix below which each job has a folder of its own: <output_uri>/<job>/output."
    )
    instance_type: str = Field(default="ml.m5.xlarge", description="Machine of training and processing jobs.")
    instance_count: int = Field(default=1, description="Machines of a training job; more than one train distributed.")
    transform_instance_type: str = Field(default="ml.m5.xlarge", description="Machine of batch transform jobs.")
    transform_instance_count: int = Field(default=1, description="Machines of a batch transform job.")
    volume_gb: int = Field(default=30, description="Disk of each machine of a training or processing job, in GB.")
    max_runtime_seconds: int = Field(default=DAY, description="A training or processing job is stopped after this.")
    use_spot: bool = Field(
        default=False, description="Train on spot machines, with checkpoints below <output_uri>/<job>/checkpoints."
    )
    max_wait_seconds: int | None = Field(
        default=None,
        description="Spot only: longest time that waiting for machines and running take together; twice "
        "max_runtime_seconds if not set.",
    )
    subnets: list[str] = Field(default=[], description="Subnets of the VPC that the jobs run in.")
    security_group_ids: list[str] = Field(default=[], description="Security groups of the jobs in the VPC.")
    kms_key: str | None = Field(
        default=None, description="KMS key for the jobs' output and disks; AWS's own if not set."
    )
    tags: dict[str, str] = Field(default={}, description="Tags of every job, beside those of the request.")
    xgboost_version: str = Field(default="3.2-0", description="Version of AWS's XGBoost image.")
    image_uri: str | None = Field(
        default=None, description="An image to use instead of AWS's: a private mirror, or a region without it."
    )
    first_poll_seconds: float = Field(default=1.5, description="How soon a waiting caller asks for the first time.")

    def check(self) -> None:
        """Refuse what SageMaker would refuse, or misunderstand, with a worse message.

        Raises:
            UserError: names the fields.
        """
        if not self.role_arn.startswith("arn:"):
            raise UserError(
                f"role_arn (OPTIFLOW_SAGEMAKER_ROLE_ARN) is {self.role_arn!r}: expected the ARN of a role, "
                "such as arn:aws:iam::123456789012:role/optiflow-sagemaker."
            )
        if not self.output_uri.startswith("s3://") or not self.output_uri[5:].strip("/"):
            raise UserError(
                f"output_uri is {self.output_uri!r}: SageMaker writes to S3 only, so it must be s3://bucket/prefix "
                "(OPTIFLOW_STORAGE)."
            )
        if bool(self.subnets) != bool(self.security_group_ids):
            raise UserError("subnets and security_group_ids go together: set both to run in a VPC, or neither.")

    def output_folder(self, job: str) -> str:
        """Address of the folder that a transform or processing job writes its `.out` files to."""
        return f"{self.output_uri.rstrip('/')}/{job}/output"

"""A project on the AWS double whose runs take place in this process."""

import json
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
import yaml
from aws_double.client import REGION, AwsDouble
from project import OPTIONS, PIPELINE, Project

from optiflow.pipelines import PIPELINES
from resources.storage import S3Storage

BUCKET = "optiflow-chain-test"
ROLE = "arn:aws:iam::123456789012:role/optiflow-sagemaker"
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
"""Given, so that not every test loads the SDK to look it up."""


class AwsProject(Project):
    """A project whose uploads and lake lie in S3, and whose jobs run on SageMaker."""

    def __init__(self, home: Path, pipeline: str = PIPELINE, **settings: object) -> None:
        aws = {"env": "aws", "storage": f"s3://{BUCKET}/team", "sagemaker_role_arn": ROLE, "image_uri": IMAGE}
        super().__init__(home, pipeline, **{**aws, **settings})

    @property
    def storage(self) -> S3Storage:
        assert isinstance(self.adapters.storage, S3Storage)
        return self.adapters.storage

    def upload(self, name: str, table: pl.DataFrame, options: Any = OPTIONS) -> None:
        self.storage.write_bytes(f"uploads/{self.pipeline}/{name}.options.yaml", yaml.safe_dump(options).encode())
        self.storage.write_bytes(f"uploads/{self.pipeline}/{name}", table.write_csv().encode())

    def found(self, dataset: str) -> dict[str, Any]:
        """The report in the lake."""
        record = self.adapters.catalog.open().dataset(self.pipeline, dataset)
        assert record is not None
        return json.loads(self.storage.read_bytes(record.key(PIPELINES[self.pipeline].report, "/report.json")))


@pytest.fixture
def bucket(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An S3 client; the projects' bucket is there and empty."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client

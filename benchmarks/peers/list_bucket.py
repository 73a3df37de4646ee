"""The least that watching a prefix of a bucket takes: boto3's own walk. And what dagster-aws offers to sensors."""

from datetime import datetime
from typing import Any

from dagster_aws.s3.sensor import get_objects


def walk(s3: Any, bucket: str, prefix: str) -> int:
    """How many objects there are, nothing of them kept."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sum(len(page.get("Contents", ())) for page in pages)


def objects_since(s3: Any, bucket: str, prefix: str, since: datetime) -> int:
    """How many objects changed after `since`, as the sensor of dagster-aws's documentation asks for them."""
    return len(get_objects(bucket=bucket, prefix=prefix, since_last_modified=since, client=s3))

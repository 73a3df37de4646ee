"""Parquet in S3 by polars itself: where it finds the store, and how its errors are told."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from optiflow.parquet import COMPRESSION
from resources.aws.client import client, max_attempts
from resources.aws.errors import told_of_object_store


def polars_options() -> dict[str, Any]:
    """Region and endpoint as boto3 has them; credentials polars asks boto3 for by itself."""
    meta = client("s3").meta
    options: dict[str, Any] = {"aws_region": meta.region_name, "max_retries": max_attempts() - 1}
    if not re.fullmatch(r"https://s3[a-z0-9.-]*\.amazonaws\.com(\.cn)?", meta.endpoint_url):
        options |= {"aws_endpoint_url": meta.endpoint_url, "aws_virtual_hosted_style_request": "false"}
    if meta.endpoint_url.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options


def sink(frame: pl.DataFrame | pl.LazyFrame, uri: str, kms_key: str | None) -> None:
    """Write a table to S3, in parts as it is made; the object appears when the last part has arrived."""
    encryption = {}
    if kms_key is not None:
        encryption = {"aws_server_side_encryption": "aws:kms", "aws_sse_kms_key_id": kms_key}
    frame.lazy().sink_parquet(uri, storage_options=polars_options() | encryption, **COMPRESSION)


@contextmanager
def polars_errors(what: str) -> Iterator[None]:
    """Translate what polars raises when S3 does not do as asked.

    Raises:
        FileNotFoundError: the object does not exist.
        UserError: access is denied or the bucket does not exist.
        TransientError: it may pass by itself.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        told = told_of_object_store(error, what)
        if told is None:
            raise
        raise told from error

"""What completed SageMaker jobs left in S3, as files of this machine.

What does not belong here: what is in the files.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from optiflow.artifact import MODEL_ARCHIVE
from optiflow.errors import UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors
from resources.aws.objects import download
from resources.jobs.contract import JobKind, JobState
from resources.storage.base import check_key

PREDICTIONS = ".out"


@contextlib.contextmanager
def local_output(state: JobState, result: str | None = None) -> Iterator[Path]:
    """A temporary copy of the job's `model.tar.gz`, or a temporary folder with its `.out` files.

    Args:
        state: The completed job's.
        result: Whose files are fetched, by the part of their names before the first dot; None is all.

    Raises:
        UserError: the job did not complete, or its output is gone from S3 or may not be read.
        TransientError: S3 cannot be reached.
    """
    if state.output_uri is None:
        raise UserError(f"job {state.name} has no output: it is {state.status}.")
    bucket, _, key = state.output_uri.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory(prefix="optiflow-output-") as folder:
        root = Path(folder)
        if state.kind is JobKind.TRAINING:
            archive = root / MODEL_ARCHIVE
            _download(state, bucket, key, archive)
            yield archive
            return
        prefix = f"{key.rstrip('/')}/"
        names = [name for name in _keys(state, bucket, prefix) if _is_of(name, result)]
        if not names:
            raise _gone(state)
        for name in names:
            path = root / check_key(name.removeprefix(prefix))
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(state, bucket, name, path)
        yield root


def has_output(state: JobState) -> bool:
    """Whether what a completed job has written is still there."""
    bucket, prefix = _place(state)
    with aws_errors(f"list {state.output_uri}"):
        return bool(client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))


def delete_output(state: JobState) -> None:
    """Delete all that a completed job has written: its output, what its program left beside it, checkpoints."""
    bucket, key = _place(state)
    before, _, _ = key.partition(f"{state.name}/")
    for key in _keys(state, bucket, f"{before}{state.name}/"):
        with aws_errors(f"delete s3://{bucket}/{key}"):
            client("s3").delete_object(Bucket=bucket, Key=key)


def _place(state: JobState) -> tuple[str, str]:
    """Bucket, and the archive's key or the folder's prefix."""
    bucket, _, key = (state.output_uri or "").removeprefix("s3://").partition("/")
    return bucket, key if state.kind is JobKind.TRAINING else f"{key.rstrip('/')}/"


def _is_of(key: str, result: str | None) -> bool:
    name = key.rsplit("/", 1)[-1]
    return name.endswith(PREDICTIONS) and (result is None or name.split(".", 1)[0] == result)


def _keys(state: JobState, bucket: str, prefix: str) -> list[str]:
    with aws_errors(f"list {state.output_uri}"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def _download(state: JobState, bucket: str, key: str, path: Path) -> None:
    try:
        download(bucket, key, path)
    except FileNotFoundError as error:
        raise _gone(state) from error


def _gone(state: JobState) -> UserError:
    return UserError(
        f"Job {state.name} completed, and its output {state.output_uri} is gone from S3. Restore the object, or change an "
        "option of the dataset, so that a new job is made."
    )

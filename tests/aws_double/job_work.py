"""What every job does around its program: inputs from S3, the program's end, and the ways to fail in SageMaker's words."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aws_double.bucket_files import NoObjects, download, upload
from aws_double.container import Container, new_container
from aws_double.job import PROCESSING, TRANSFORM, Job

FAILURE_CHARACTERS = 1024


class JobFailed(Exception):
    """The job fails; carries the FailureReason."""


class JobStopped(Exception):
    """The job was stopped, or its time was up."""

    def __init__(self, secondary: str = "Stopped") -> None:
        super().__init__(secondary)
        self.secondary = secondary


class Work(Protocol):
    """What one job does."""

    def run(self) -> None:
        """Do all of it.

        Raises:
            JobFailed: it went wrong.
            JobStopped: it was stopped.
        """
        ...


@contextlib.contextmanager
def work_for(job: Job, environment: Mapping[str, str]) -> Iterator[Work]:
    """The work of a job, in a container of its own."""
    from aws_double.processing import Processing
    from aws_double.training import Training
    from aws_double.transform import Transform

    kind = {PROCESSING: Processing, TRANSFORM: Transform}.get(job.kind, Training)
    with new_container(job, environment) as container:
        yield kind(job, container)


def fetch(uri: str, folder: Path, data_type: str = "S3Prefix") -> list[Path]:
    """Download an input.

    Raises:
        JobFailed: nothing lies there.
    """
    try:
        return download(uri, folder, data_type)
    except NoObjects as error:
        raise JobFailed(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            "bucket exists in the selected region, that objects exist under that S3 prefix, and that the role has "
            '"s3:ListBucket" permissions on the bucket.'
        ) from error


def put(file: Path, uri: str) -> None:
    """Upload an output.

    Raises:
        JobFailed: there is no such bucket.
    """
    try:
        upload(file, uri)
    except NoObjects as error:
        raise JobFailed(f"ClientError: Failed to upload to {uri}: the bucket does not exist.") from error


def run_program(
    container: Container, command: Sequence[str], variables: Mapping[str, str], cwd: Path, seconds: float | None
) -> None:
    """Run the job's program and judge its end.

    Raises:
        JobFailed: its exit code is not 0; the reason is what it wrote to `output/failure`.
        JobStopped: it was killed.
    """
    code = container.run(command, variables, cwd, seconds)
    if container.timed_out:
        raise JobStopped("MaxRuntimeExceeded")
    if container.job.stop_asked.is_set():
        raise JobStopped
    if code != 0:
        raise JobFailed(f"AlgorithmError: {_why(container)}, exit code: {code}")


def _why(container: Container) -> str:
    failure = container.prefix / "output" / "failure"
    said = failure.read_text(errors="replace").strip() if failure.exists() else ""
    return said[: FAILURE_CHARACTERS - 40] or "See job logs for more information"


def final_metrics(lines: Sequence[str], definitions: Sequence[Mapping[str, str]], ended: float) -> list[dict[str, Any]]:
    """The last value that each definition's expression finds in the log."""
    metrics = []
    for definition in definitions:
        found = [match.group(1) for line in lines if (match := re.search(definition["Regex"], line))]
        if found:
            metrics.append({"MetricName": definition["Name"], "Value": float(found[-1]), "Timestamp": ended})
    return metrics

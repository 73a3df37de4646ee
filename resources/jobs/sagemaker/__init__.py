"""Jobs on Amazon SageMaker: training, batch transform and processing jobs over boto3.

What belongs here: the resource, and how its callers wait. What does not: what is asked of SageMaker
(`requests`), how a job is created once (`submission`), and what the answers mean
(`states`).
"""

import random
import re
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from optiflow.container.channels import CSV
from optiflow.errors import JobFailedError, TransientError, UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors, code_of
from resources.jobs.contract import BUILT_IN, JobKind, JobRequest, JobState, JobStatus, OnProgress
from resources.jobs.job_code import code_digest
from resources.jobs.sagemaker.logs import LastLine, log_tail
from resources.jobs.sagemaker.output import delete_output, has_output, local_output
from resources.jobs.sagemaker.settings import SageMakerSettings
from resources.jobs.sagemaker.states import job_state, listed_state, output_place
from resources.jobs.sagemaker.submission import create_job
from resources.jobs.sagemaker.words import WORDS

PAGE = 100
LONGEST_POLL_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
UNKNOWN = re.compile(r"requested resource not found|could not find", re.IGNORECASE)
ENDED = re.compile(r"is in status|not in a state|cannot be stopped|can't be stopped", re.IGNORECASE)


class SageMakerJobs(SageMakerSettings):
    """Runs each job on machines of its own on SageMaker; nothing here waits unless `wait` is called.

    It stands on its own, also in another Dagster project:

        @dg.asset
        def model(jobs: SageMakerJobs) -> dg.MaterializeResult:
            train = Channel("s3://bucket/train/", content_type="text/csv")
            jobs.submit(JobRequest("demo-1", JobKind.TRAINING, "xgboost", {"num_round": "50"}, {"train": train}))
            state = jobs.wait("demo-1", JobKind.TRAINING)
            return dg.MaterializeResult(metadata={"model": state.output_uri, "log": state.log_uri})

        dg.Definitions(
            assets=[model],
            resources={"jobs": SageMakerJobs(role_arn=dg.EnvVar("ROLE_ARN"), output_uri="s3://bucket/jobs")},
        )

    Region, credentials and endpoint are boto3's (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`). Every method raises
    UserError for what the user can mend (credentials, permissions, a request that SageMaker refuses) and TransientError
    for what may pass (throttling, network, a quota that is used up), after botocore has tried several times.
    """

    def environment(self, algorithm: str) -> tuple[str, ...]:
        """The image, our code where it runs in it, the machines that share a training job, and the address of the output.

        Names are shared by all of an account and region: without the address, two installations would have one job.
        """
        parts = [self.image_uri or f"xgboost {self.xgboost_version}", self.output_uri.rstrip("/")]
        if algorithm != BUILT_IN:
            return (*parts, code_digest(algorithm))  # on one machine, whatever the settings say
        return (*parts, *([f"{self.instance_count} machines"] if self.instance_count > 1 else []))

    def scoring_format(self) -> str:
        """CSV without a header: the only text that Batch Transform can cut into batches for the built-in XGBoost."""
        return CSV

    def needs_source(self) -> bool:
        """Yes: AWS's image holds nothing of ours."""
        return True

    def machines(self) -> int:
        """`instance_count`."""
        return self.instance_count

    def submit(self, request: JobRequest) -> JobState:
        """Start the job, or return the state of the one that already has this name, whatever it is.

        Never starts two jobs for one name: not with several submitters at once, not when an answer is lost, not after a
        crash at any point.

        Raises:
            UserError: the name is that of another installation's job.
        """
        state = self.find_own(request.name, request.kind)
        return state if state is not None else create_job(self, request, self.find_own)

    def describe(self, name: str, kind: JobKind) -> JobState | None:
        """The job's state, or None if no job of this kind has this name. One request."""
        answer = self._asked(name, kind)
        return None if answer is None else job_state(answer, kind)

    def find_own(self, name: str, kind: JobKind) -> JobState | None:
        """As `describe`, and sure that the job writes below `output_uri`. One request, and one for a completed job's output.

        A completed job whose output was deleted counts as failed: it cannot be adopted.

        Raises:
            UserError: it writes elsewhere: it is another installation's, in the same account and region.
        """
        answer = self._asked(name, kind)
        if answer is None:
            return None
        where, ours = output_place(answer, kind), self.output_uri.rstrip("/")
        if where != ours and not where.startswith(f"{ours}/"):
            raise UserError(
                f"The {kind} job {name} of this account and region writes to {where}, not below {ours} (OPTIFLOW_STORAGE): "
                "it is another installation's, and its result is not taken for ours. Mend OPTIFLOW_STORAGE if it should "
                "be, or change an option of the dataset, which makes a job of another name."
            )
        state = job_state(answer, kind)
        if state.status is JobStatus.COMPLETED and not has_output(state):
            return replace(
                state, status=JobStatus.FAILED, failure_reason="what it had written was deleted", output_uri=None
            )
        return state

    def remove(self, name: str, kind: JobKind) -> None:
        """Delete what the job has written; SageMaker keeps the name, which is not adopted then."""
        state = self.describe(name, kind)
        if state is not None and state.output_uri is not None:
            delete_output(state)

    def _asked(self, name: str, kind: JobKind) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        words = WORDS[kind]
        with aws_errors(f"describe the {kind} job {name}"):
            try:
                return getattr(client("sagemaker"), words.operation("describe"))(**{words.name: name})
            except ClientError as error:
                if _means(error, UNKNOWN):
                    return None
                raise

    def stop(self, name: str, kind: JobKind) -> None:
        """Ask a running job to end; returns at once. A job that has ended, or that nobody knows, stays as it is."""
        from botocore.exceptions import ClientError

        words = WORDS[kind]
        with aws_errors(f"stop the {kind} job {name}"):
            try:
                getattr(client("sagemaker"), words.operation("stop"))(**{words.name: name})
            except ClientError as error:
                if not _means(error, UNKNOWN) and not _means(error, ENDED):
                    raise

    def list_active(
        self, kinds: Collection[JobKind] = tuple(JobKind), names: Collection[str] | None = None
    ) -> list[JobState]:
        """The jobs of these kinds that are at work in this account and region, the oldest first.

        Only those in `names`; without it all, whoever started them: a listing does not tell where a job writes.

        One request for each hundred jobs of a kind. A listed state knows no start time: a transform or processing job
        that still waits for its machines is InProgress here and Pending in `describe`.
        """
        active = (state for kind in dict.fromkeys(kinds) for state in _list_active(kind))
        return [state for state in active if names is None or state.name in names]

    def wait(self, name: str, kind: JobKind, on_progress: OnProgress | None = None) -> JobState:
        """Block until the job is in a final state.

        Args:
            name: The job's name.
            kind: The job's kind.
            on_progress: Called with the state and the log's last line whenever one of them has changed.

        Raises:
            JobFailedError: there is no such job.
            UserError: the credentials have expired or may not do this.
            TransientError: SageMaker could not be asked for ten minutes on end.
        """
        began = answered = time.monotonic()
        last_line, seen = LastLine(name, kind), None
        while True:
            try:
                state = self.describe(name, kind)
                if state is None:
                    raise JobFailedError(
                        f"there is no {kind} job {name} on SageMaker: it was made in another account or region "
                        "(AWS_PROFILE, AWS_REGION). Mend that, or run it again from its submission."
                    )
                answered = time.monotonic()
                if on_progress is not None:
                    line = last_line.read() if state.status is not JobStatus.PENDING else ""
                    if seen != (seen := (state.status, line)):
                        on_progress(state, line)
                if state.status.is_final:
                    return state
            except TransientError:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            time.sleep(pause_seconds(time.monotonic() - began, self.first_poll_seconds, random.random()))

    def output(self, state: JobState, result: str | None = None) -> AbstractContextManager[Path]:
        """A temporary local copy of the completed job's `model.tar.gz`, or of its `.out` files: all, or those of a result."""
        return local_output(state, result)

    def log_tail(self, state: JobState, lines: int = 50) -> str:
        """The last lines of the job's log in CloudWatch; empty when there is none."""
        return log_tail(state.name, state.kind, lines)


def pause_seconds(elapsed: float, first: float, draw: float) -> float:
    """How long to wait before the next look: about a tenth of the time waited so far, within limits.

    Args:
        elapsed: Seconds since the first look.
        first: The shortest pause, in seconds.
        draw: A random number in [0, 1), so that many waiting runs do not ask at the same moment.
    """
    return min(max(first, elapsed / 10), LONGEST_POLL_SECONDS) * (0.75 + draw / 4)


def _list_active(kind: JobKind) -> list[JobState]:
    words = WORDS[kind]
    with aws_errors(f"list the {kind} jobs"):
        pages = (
            client("sagemaker")
            .get_paginator(words.operation("list"))
            .paginate(
                StatusEquals=JobStatus.IN_PROGRESS.value,
                SortBy="CreationTime",
                SortOrder="Ascending",
                PaginationConfig={"PageSize": PAGE},
            )
        )
        summaries = [summary for page in pages for summary in page[words.summaries]]
    states = (listed_state(summary, kind) for summary in summaries)
    return [state for state in states if not state.status.is_final]


def _means(error: Exception, meaning: re.Pattern[str]) -> bool:
    """Whether SageMaker's refusal means this; it has one code for many of them."""
    if code_of(error) == "ResourceNotFound":
        return meaning is UNKNOWN
    message = getattr(error, "response", {}).get("Error", {}).get("Message", "")
    return code_of(error) == "ValidationException" and bool(meaning.search(message))

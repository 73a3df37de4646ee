"""The contract of external jobs, in SageMaker's words, whatever place runs them.

What belongs here: requests, states, names, and the rule by which a submission adopts a job that exists.
What does not: any way to run a job.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from optiflow.container.channels import PARQUET
from optiflow.errors import OptiflowError

MAX_NAME_LENGTH = 63
DIGEST_LENGTH = 10
MAX_ATTEMPTS = 50
BUILT_IN = "xgboost"
"""The algorithm that SageMaker has itself; every other one is a learner of ours."""
NOT_SUBMITTED = "NotSubmitted"
"""How the failure reason of a job begins that its place did not take, although several tries were made."""
PASSING_REASONS = (
    "CapacityError",
    "InternalServerError",
    "ResourceLimitExceeded",
    "ThrottlingException",
    NOT_SUBMITTED,
)
"""How the failure reason of a job begins that was not the job's own fault."""


class JobKind(StrEnum):
    """What a job does; the value is part of its name."""

    TRAINING = "training"
    TRANSFORM = "transform"
    PROCESSING = "processing"


class JobStatus(StrEnum):
    """SageMaker's job states, and the one before them: described, but not accepted yet."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"

    @property
    def is_final(self) -> bool:
        """Whether the state never changes again."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED)


@dataclass(frozen=True)
class Channel:
    """One input of a job: a file or folder by address, and its SageMaker content type.

    Of a `sharded` folder each of the job's machines gets a share of the files, otherwise all of them.
    """

    uri: str
    content_type: str = PARQUET
    sharded: bool = False


@dataclass(frozen=True)
class JobRequest:
    """Everything a place needs to run one job.

    A training job's channels are named `train` and `validation`, a transform job's `transform`. `model_uri` is the
    `model.tar.gz` that a transform or processing job scores with. `source_uri` is the packed `optiflow` package
    (`sourcedir.tar.gz`) for an algorithm that is ours; without it the place runs its own XGBoost.
    """

    name: str
    kind: JobKind
    algorithm: str
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    model_uri: str | None = None
    source_uri: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobState:
    """What a place says of one job; times are UTC.

    `output_uri` is the `model.tar.gz` of a completed training job, or the folder with the `.out` files of a
    completed transform or processing job. It is None in every other state. `billable_seconds` and `estimated_cost`
    (US dollars, list price) are of an ended job, where the place charges for it.
    """

    name: str
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure_reason: str | None = None
    output_uri: str | None = None
    log_uri: str | None = None
    console_url: str | None = None
    billable_seconds: int | None = None
    estimated_cost: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def may_pass(self) -> bool:
        """Whether the job failed of something that may pass by itself, so that another try is worth its price."""
        return failed_in_passing(self.status, self.failure_reason)


def failed_in_passing(status: JobStatus, failure_reason: str | None) -> bool:
    """Whether a job failed of something outside of it, as SageMaker's reason says by its first word."""
    return status is JobStatus.FAILED and (failure_reason or "").startswith(PASSING_REASONS)


def is_not_submitted(failure_reason: str | None) -> bool:
    """Whether a failed job was never taken, so that it has cost nothing and its name is free."""
    return (failure_reason or "").startswith(NOT_SUBMITTED)


OnProgress = Callable[[JobState, str], None]


class Jobs(Protocol):
    """A place that runs jobs."""

    def environment(self, algorithm: str) -> tuple[str, ...]:
        """What decides a job's result beside its request: code, libraries or image, and where it writes; part of its name."""
        ...

    def scoring_format(self) -> str:
        """Content type in which a transform job takes its rows: `PARQUET`, or `CSV` without a header."""
        ...

    def needs_source(self) -> bool:
        """Whether a learner of ours has to be sent along as packed source."""
        ...

    def machines(self) -> int:
        """How many machines share a training job; so many files its `train` channel is to have."""
        ...

    def submit(self, request: JobRequest) -> JobState:
        """Start the job, or return the state of the one that already has this name."""
        ...

    def describe(self, name: str, kind: JobKind) -> JobState | None:
        """The job's state, or None if no job has this name."""
        ...

    def find_own(self, name: str, kind: JobKind) -> JobState | None:
        """As `describe`, for whoever is about to take the job for its own.

        Raises:
            UserError: a job of this name writes elsewhere, so it is another installation's.
        """
        ...

    def stop(self, name: str, kind: JobKind) -> None:
        """Ask a running job to end; returns at once."""
        ...

    def remove(self, name: str, kind: JobKind) -> None:
        """Take away what an ended job has left, so that its name is not adopted any more; nothing happens if there is none."""
        ...

    def list_active(
        self, kinds: Collection[JobKind] = tuple(JobKind), names: Collection[str] | None = None
    ) -> list[JobState]:
        """Every job of these kinds that is known to be at work; one that is missing here may still be stopping.

        `names` are the jobs that are the caller's, and only they are given. Without it, all at this place are, whoever
        started them.
        """
        ...

    def wait(self, name: str, kind: JobKind, on_progress: OnProgress | None = None) -> JobState:
        """Block until the job is in a final state; `on_progress` gets the state and the log's last line as they change."""
        ...

    def output(self, state: JobState, result: str | None = None) -> AbstractContextManager[Path]:
        """The output of a completed job as a local path: `model.tar.gz`, or the folder with the `.out` files.

        With `result` nothing is fetched but the files of that name, such as `predictions.csv.out`.
        """
        ...

    def log_tail(self, state: JobState, lines: int = 50) -> str:
        """The last lines of the job's log; empty when there is none."""
        ...


def job_name(pipeline: str, dataset: str, kind: JobKind, parts: Iterable[str], attempt: int = 1) -> str:
    """`<pipeline>-<dataset>-<kind>-<10 hex>`, at most 63 characters of `[a-z0-9-]`.

    The dataset part is cut when the name would be too long, the digest never is. Equal `parts` give equal names, which
    is what makes a retried submission find its job. A later `attempt` (after a job that failed) has another digest.

    Args:
        pipeline: The pipeline's name; underscores become hyphens, for SageMaker's sake.
        dataset: The dataset id.
        kind: What the job does.
        parts: What the job depends on: data, parameters, code, image, place.
        attempt: 1, or one more for each earlier job of the same parts that failed or was stopped.
    """
    digest = hashlib.sha256("\0".join([dataset, *parts, str(attempt)]).encode()).hexdigest()[:DIGEST_LENGTH]
    head = pipeline.replace("_", "-")
    tail = f"{kind.value}-{digest}"
    room = MAX_NAME_LENGTH - len(head) - len(tail) - 2
    return f"{head}-{dataset[:room].rstrip('-')}-{tail}"


def next_attempt(jobs: Jobs, names: Iterable[str], kind: JobKind) -> tuple[str, JobState | None]:
    """The first name that is free or whose job may be adopted, with that job's state.

    A job that is pending, running or completed is adopted; one that failed or was stopped is left behind, since
    SageMaker never lets a name be used twice.

    Raises:
        OptiflowError: every name is taken by a failed job.
        UserError: a name is that of another installation's job.
    """
    for name in names:
        state = jobs.find_own(name, kind)
        if state is None or state.status not in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.STOPPING):
            return name, state
    raise OptiflowError(f"{MAX_ATTEMPTS} jobs of the same data and options have failed; mend the data or the options.")

"""One SageMaker job: its state, its times, and how Describe and List tell them, for the three kinds of jobs alike.

What does not belong here: what a job does (`job_work`), and who runs it when (`job_queue`).
"""

import math
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_double.calls import service_model

ACCOUNT = "123456789012"
FINAL = ("Completed", "Failed", "Stopped")
OWN_ERROR = "The test double itself failed"
"""How a failure reason begins that is a bug of these modules or of moto, not a failure that was asked for."""
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


@dataclass(frozen=True)
class Kind:
    """A kind of job, by the words that SageMaker uses for it."""

    word: str
    arn: str
    started: str
    ended: str
    log_group: str
    sort_order: str
    unknown: str

    @property
    def name_field(self) -> str:
        """The parameter with the job's name."""
        return f"{self.word}JobName"

    @property
    def status_field(self) -> str:
        """The member of answers with the job's status."""
        return f"{self.word}JobStatus"


TRAINING = Kind("Training", "training-job", "TrainingStartTime", "TrainingEndTime", "/aws/sagemaker/TrainingJobs", "Ascending", "Requested resource not found.")  # fmt: skip
TRANSFORM = Kind("Transform", "transform-job", "TransformStartTime", "TransformEndTime", "/aws/sagemaker/TransformJobs", "Descending", "Could not find requested job with name: {name}")  # fmt: skip
PROCESSING = Kind("Processing", "processing-job", "ProcessingStartTime", "ProcessingEndTime", "/aws/sagemaker/ProcessingJobs", "Ascending", "Could not find requested job with name: {name}")  # fmt: skip
KINDS = {kind.word: kind for kind in (TRAINING, TRANSFORM, PROCESSING)}


@dataclass
class Job:
    """A job. Times are seconds since 1970."""

    kind: Kind
    request: dict[str, Any]
    region: str
    tags: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    status: str = "InProgress"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    stop_asked: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.modified = self.created
        self.lock = threading.RLock()
        self.move("InProgress", "Starting")

    @property
    def name(self) -> str:
        """The job's name."""
        return self.request[self.kind.name_field]

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{self.kind.arn}/{self.name}"

    @property
    def is_final(self) -> bool:
        """Whether the status never changes again."""
        return self.status in FINAL

    def move(self, status: str, secondary: str | None = None, message: str | None = None) -> None:
        """Go to another status, unless the job has ended, or is ending and the new status is no end."""
        with self.lock:
            if self.is_final or (self.status == "Stopping" and status not in FINAL):
                return
            now = self.created if not self.transitions else time.time()
            if self.transitions:
                self.transitions[-1]["EndTime"] = now
            secondary = secondary or status
            said = message or MESSAGES.get(secondary, secondary)
            self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": said})
            self.modified = now
            self.status = status
            if status in FINAL:
                self.transitions[-1]["EndTime"] = self.ended = now

    def begin(self) -> None:
        """The instances are there: time is counted from now on."""
        self.started = time.time()
        self.move("InProgress", "Downloading")

    def fail(self, reason: str) -> None:
        """End as failed."""
        with self.lock:
            self.results["FailureReason"] = reason[:1024]
            self.move("Failed", message=reason)

    def describe(self) -> dict[str, Any]:
        """The answer of Describe: of the request and the state, what botocore's model knows."""
        with self.lock:
            state = {
                **self.request,
                f"{self.kind.word}JobArn": self.arn,
                self.kind.status_field: self.status,
                "SecondaryStatus": self.transitions[-1]["Status"],
                "SecondaryStatusTransitions": [dict(one) for one in self.transitions],
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                self.kind.started: self.started,
                self.kind.ended: self.ended,
                **self._bill(),
                **self.results,
            }
        return _known(state, f"Describe{self.kind.word}JobResponse")

    def summary(self) -> dict[str, Any]:
        """The job's entry in a list."""
        # DescribeTransformJob alone has no LastModifiedTime; its summary has.
        return _known({"LastModifiedTime": self.modified, **self.describe()}, f"{self.kind.word}JobSummary")

    def _bill(self) -> dict[str, Any]:
        if self.kind is not TRAINING or self.started is None or self.ended is None:
            return {}
        seconds = max(1, math.ceil(self.ended - self.started))
        # Spot instances are billed for less than they ran; 70 % is the saving that AWS's examples show.
        spot = self.request.get("EnableManagedSpotTraining")
        return {
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": math.ceil(seconds * 0.3) if spot else seconds,
        }


def _known(values: dict[str, Any], shape: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in _members(shape) and value is not None}


@cache
def _members(shape: str) -> frozenset[str]:
    return frozenset(service_model("sagemaker").shape_for(shape).members)

"""The rows of the catalog as values. No queries here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from optiflow.options import DatasetOptions
from resources.jobs.contract import JobKind, JobStatus, failed_in_passing

Stage = Literal["candidate", "champion", "archived"]


def revision_of(version: str, options: DatasetOptions) -> str:
    """The revision of a dataset: which bytes under which options, as `<12 hex>-<8 hex>`.

    Tables in the lake are filed under it, so that neither new bytes nor new options overwrite what an older report or
    a running job refers to.
    """
    return f"{version[:12]}-{options.digest()[:8]}"


@dataclass(frozen=True)
class DatasetRecord:
    """One revision of one dataset. `version` is the sha256 hex of the upload's bytes, sizes are bytes.

    A revision is `standing` if its options were the dataset's own, those of its options file; one that was only ever
    made by options for one run alone is not.
    """

    pipeline: str
    dataset: str
    revision: str
    version: str
    file_name: str
    size: int
    options: DatasetOptions
    created_at: datetime
    standing: bool = True

    def key(self, asset: str, suffix: str = ".parquet") -> str:
        """Where an asset of this revision lies in the lake."""
        return f"lake/{self.pipeline}/{asset}/{self.dataset}/{self.revision}{suffix}"


@dataclass(frozen=True)
class JobRecord:
    """One external job.

    `followed_up_at` is when a run took its result, or its failure, over. A run that adopts the job after that opens
    another `round`: what follows the job is then to be done again. `model` is the training job whose model a prediction
    job scores with; None for a training job.
    """

    name: str
    kind: JobKind
    pipeline: str
    dataset: str
    revision: str
    run_id: str
    status: JobStatus
    created_at: datetime
    ended_at: datetime | None = None
    failure_reason: str | None = None
    output_uri: str | None = None
    log_uri: str | None = None
    followed_up_at: datetime | None = None
    round: int = 1
    model: str | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the job failed of something that may pass by itself."""
        return failed_in_passing(self.status, self.failure_reason)


@dataclass(frozen=True)
class ModelRecord:
    """One trained model; named like the job that trained it.

    `champion` is the stage of the model that was better than its baselines when such a one was judged last; it was not
    compared with the champion before it. `judged_by_time` says whether it was judged on the newest rows, under the dataset's
    standing options; None if it was not judged yet.
    """

    name: str
    pipeline: str
    dataset: str
    revision: str
    artifact_uri: str
    created_at: datetime
    stage: Stage = "candidate"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    judged_by_time: bool | None = None

"""What SageMaker's answers say of a job, as a `JobState`: from Describe, and from the short form in List.

Pure functions. What does not belong here: asking (`sagemaker`).
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from resources.jobs.contract import JobKind, JobState, JobStatus
from resources.jobs.sagemaker.images import estimated_cost
from resources.jobs.sagemaker.words import WORDS, console_url, log_url

NO_MACHINES_YET = ("Starting", "Pending", "LaunchingMLInstances", "PreparingTrainingStack")
LIMITS = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
DELETING = "Deleting"


def job_state(answer: Mapping[str, Any], kind: JobKind) -> JobState:
    """The state in the answer of DescribeTrainingJob, DescribeTransformJob or DescribeProcessingJob."""
    words, status = WORDS[kind], _status(answer, kind)
    seconds = _machine_seconds(answer, kind)
    metrics = {m["MetricName"]: float(m["Value"]) for m in answer.get("FinalMetricDataList", ())}
    return JobState(
        name=answer[words.name],
        kind=kind,
        status=status,
        created_at=answer["CreationTime"].astimezone(UTC),
        started_at=_utc(answer.get(words.started)),
        ended_at=_utc(answer.get(words.ended)) if status.is_final else None,
        failure_reason=_reason(answer, status),
        output_uri=_output(answer, kind) if status is JobStatus.COMPLETED else None,
        log_uri=log_url(answer[words.arn], kind),
        console_url=console_url(answer[words.arn], kind),
        billable_seconds=seconds,
        estimated_cost=estimated_cost(_machines(answer, kind)[0], seconds),
        metrics=metrics,
    )


def listed_state(summary: Mapping[str, Any], kind: JobKind) -> JobState:
    """The state in one entry of a List answer, which knows neither when a job's machines came nor what it wrote."""
    words = WORDS[kind]
    status = _status({words.started: summary["CreationTime"], **summary}, kind)
    return JobState(
        name=summary[words.name],
        kind=kind,
        status=status,
        created_at=summary["CreationTime"].astimezone(UTC),
        ended_at=_utc(summary.get(words.ended)) if status.is_final else None,
        failure_reason=summary.get("FailureReason"),
        log_uri=log_url(summary[words.arn], kind),
        console_url=console_url(summary[words.arn], kind),
    )


def created_state(name: str, kind: JobKind, arn: str, now: datetime) -> JobState:
    """The state of a job that SageMaker has just accepted."""
    return JobState(name, kind, JobStatus.PENDING, now, log_uri=log_url(arn, kind), console_url=console_url(arn, kind))


def output_place(answer: Mapping[str, Any], kind: JobKind) -> str:
    """The address below which a job writes, whatever its state; of training jobs that is the folder of them all."""
    if kind is JobKind.TRAINING:
        return answer["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return _output(answer, kind)


def _status(answer: Mapping[str, Any], kind: JobKind) -> JobStatus:
    said = answer[WORDS[kind].status]
    if said == DELETING:
        return JobStatus.STOPPED
    status = JobStatus(said)
    if status is not JobStatus.IN_PROGRESS:
        return status
    # SageMaker has no word of its own for a job that waits for its machines.
    secondary = answer.get("SecondaryStatus")
    waits = secondary in NO_MACHINES_YET if secondary else answer.get(WORDS[kind].started) is None
    return JobStatus.PENDING if waits else status


def _reason(answer: Mapping[str, Any], status: JobStatus) -> str | None:
    if status is JobStatus.FAILED:
        said = [answer.get("FailureReason"), answer.get("ExitMessage")]
        return ". ".join(text.rstrip(". ") for text in dict.fromkeys(said) if text) or None
    secondary = answer.get("SecondaryStatus")
    if status is JobStatus.STOPPED and secondary in LIMITS:
        transitions = answer.get("SecondaryStatusTransitions") or [{}]
        return f"{secondary}: {transitions[-1].get('StatusMessage', 'the time limit of the job was reached')}"
    return None


def _output(answer: Mapping[str, Any], kind: JobKind) -> str:
    if kind is JobKind.TRAINING:
        return answer["ModelArtifacts"]["S3ModelArtifacts"]
    if kind is JobKind.TRANSFORM:
        return answer["TransformOutput"]["S3OutputPath"].rstrip("/")
    return answer["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"].rstrip("/")


def _machine_seconds(answer: Mapping[str, Any], kind: JobKind) -> int | None:
    """What is paid for: seconds times machines. Of spot training SageMaker says itself how many seconds it bills."""
    started, ended = answer.get(WORDS[kind].started), answer.get(WORDS[kind].ended)
    if kind is JobKind.TRAINING:
        seconds = answer.get("BillableTimeInSeconds")
    else:
        seconds = math.ceil((ended - started).total_seconds()) if started and ended else None
    return None if seconds is None else seconds * _machines(answer, kind)[1]


def _machines(answer: Mapping[str, Any], kind: JobKind) -> tuple[str | None, int]:
    if kind is JobKind.TRAINING:
        machines = answer.get("ResourceConfig", {})
    elif kind is JobKind.TRANSFORM:
        machines = answer.get("TransformResources", {})
    else:
        machines = answer.get("ProcessingResources", {}).get("ClusterConfig", {})
    return machines.get("InstanceType"), machines.get("InstanceCount", 1)


def _utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None

"""Submitting jobs so that one piece of work is paid for once.

What belongs here: the rules that training and prediction share. What does not: what a job works on (`models`), and
taking over what it made (`awaiting`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from optiflow.errors import JobFailedError, TransientError
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord, JobRecord
from resources.failures import is_last_try
from resources.jobs.contract import (
    MAX_ATTEMPTS,
    NOT_SUBMITTED,
    JobKind,
    JobRequest,
    Jobs,
    JobState,
    JobStatus,
    job_name,
    next_attempt,
)


@dataclass(frozen=True)
class Work:
    """One piece of work of a dataset's revision: what a job does, and all that its result depends on.

    `parts` are the data and the parameters; code and place add their own, and so does the revision if its options are for
    one run alone. `model` is the training job whose model a prediction job scores with.
    """

    record: DatasetRecord
    kind: JobKind
    algorithm: str
    parts: Iterable[str]
    model: str | None = None


def submit_once(
    context: dg.AssetExecutionContext,
    work: Work,
    jobs: Jobs,
    catalog: Catalog,
    prepare: Callable[[str], JobRequest],
    shown: Mapping[str, Any],
) -> dg.MaterializeResult:
    """Submit the work's job, or adopt the one that does it already or has done it.

    `prepare` writes what the job reads and returns its request; it is called with the job's name, and only if a job has
    to be made. A crash after the submission leaves a job that the next try finds by its name. `shown` is metadata to
    add to the result's.
    """
    record, parts = work.record, [*work.parts, *jobs.environment(work.algorithm)]
    if not record.standing:
        # A job is followed up for one revision: one for a single run would take it away from the standing one.
        parts.append(record.revision)
    names = (
        job_name(record.pipeline, record.dataset, work.kind, parts, attempt) for attempt in range(1, MAX_ATTEMPTS + 1)
    )
    name, state = next_attempt(jobs, names, work.kind)
    adopted = state is not None
    job = JobRecord(
        name=name,
        kind=work.kind,
        pipeline=record.pipeline,
        dataset=record.dataset,
        revision=record.revision,
        run_id=context.run.run_id,
        status=JobStatus.PENDING,
        created_at=state.created_at if state else utc_now(),
        model=work.model,
    )
    try:
        if state is None:
            request = prepare(name)
            state = jobs.submit(replace(request, tags={**_tags(context, record), **request.tags}))
        catalog.open().put_job(replace(job, created_at=state.created_at))
    except dg.DagsterExecutionInterruptedError:
        _stop_if_canceled(context, jobs, job)
        raise
    except TransientError as error:
        if state is None and is_last_try(context.run.tags, context.retry_number):
            raise _left_to_the_sensor(catalog, job, error) from error
        raise
    catalog.open().update_job(state)
    context.log.info(f"{'Adopted' if adopted else 'Submitted'} job {name}: {state.status}.")
    return dg.MaterializeResult(
        metadata={
            **job_metadata(state),
            "adopted": adopted,
            "revision": record.revision,
            **({"model": work.model} if work.model else {}),
            **shown,
        },
        data_version=dg.DataVersion(name),
    )


def _stop_if_canceled(context: dg.AssetExecutionContext, jobs: Jobs, job: JobRecord) -> None:
    # The sensor stops the jobs of canceled runs, but knows of none that is not in the catalog yet. A run that was
    # interrupted because its machine goes down is tried again and adopts the job.
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED):
        jobs.stop(job.name, job.kind)


def _left_to_the_sensor(catalog: Catalog, job: JobRecord, error: TransientError) -> JobFailedError:
    """Record a job that was not taken as one that failed in passing: `external_jobs_sensor` submits it again."""
    store, reason = catalog.open(), f"{NOT_SUBMITTED}: {error}"
    store.put_job(job)
    store.update_job(JobState(job.name, job.kind, JobStatus.FAILED, job.created_at, None, utc_now(), reason))
    return JobFailedError(
        f"{error}\nIt is submitted again by external_jobs_sensor, after pauses of up to half an hour."
    )


def job_metadata(state: JobState) -> dict[str, Any]:
    """What people want to see of a job: its name, how long it ran, what it cost, and where to look."""
    shown: dict[str, Any] = {"job": state.name, "status": state.status.value}
    if state.started_at is not None and state.ended_at is not None:
        shown["seconds"] = (state.ended_at - state.started_at).total_seconds()
    if state.billable_seconds is not None:
        shown["billable_seconds"] = state.billable_seconds
    if state.estimated_cost is not None:
        shown["estimated_cost_usd"] = round(state.estimated_cost, 4)
    for name, address in (("log", state.log_uri), ("console", state.console_url)):
        if address is not None:
            # Browsers do not follow file:// out of the UI.
            is_page = address.startswith("https://")
            shown[name] = dg.MetadataValue.url(address) if is_page else dg.MetadataValue.text(address)
    return shown


def _tags(context: dg.AssetExecutionContext, record: DatasetRecord) -> dict[str, str]:
    return {
        "dagster/run-id": context.run.run_id,
        "dagster/asset": context.asset_key.to_user_string(),
        "dagster/partition": context.partition_key,
        "optiflow/revision": record.revision,
    }


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)

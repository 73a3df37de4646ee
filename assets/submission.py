"""Submitting jobs so that one piece of work is paid for once, and taking their results over.

What belongs here: the rules that training and prediction share. What does not: what a job works on (`models`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.chain import Chain
from optiflow.errors import JobFailedError, UserError
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord, JobRecord
from resources.jobs.contract import (
    MAX_ATTEMPTS,
    JobKind,
    JobRequest,
    Jobs,
    JobState,
    JobStatus,
    OnProgress,
    job_name,
    next_attempt,
)

LOG_LINES = 50
PROGRESS_SECONDS = 2.0


@dataclass(frozen=True)
class Work:
    """One piece of work of a dataset's revision: what a job does, and all that its result depends on."""

    record: DatasetRecord
    kind: JobKind
    parts: Iterable[str]


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
    record, parts = work.record, list(work.parts)
    names = (
        job_name(record.pipeline, record.dataset, work.kind, parts, attempt) for attempt in range(1, MAX_ATTEMPTS + 1)
    )
    name, state = next_attempt(jobs, names, work.kind)
    adopted = state is not None
    if state is None:
        request = prepare(name)
        state = jobs.submit(replace(request, tags={**_tags(context, record), **request.tags}))
    catalog.open().put_job(
        JobRecord(
            name=name,
            kind=work.kind,
            pipeline=record.pipeline,
            dataset=record.dataset,
            revision=record.revision,
            run_id=context.run.run_id,
            status=JobStatus.PENDING,
            created_at=state.created_at,
        )
    )
    catalog.open().update_job(state)
    context.log.info(f"{'Adopted' if adopted else 'Submitted'} job {name}: {state.status}.")
    return dg.MaterializeResult(
        metadata={
            **job_metadata(state),
            "adopted": adopted,
            "revision": record.revision,
            **shown,
        },
        data_version=dg.DataVersion(name),
    )


def await_job(context: dg.AssetExecutionContext, chain: Chain, kind: JobKind, jobs: Jobs, catalog: Catalog) -> JobState:
    """The completed job of this run's revision; blocks while it runs.

    In the flow that sensors drive the job has ended before the run begins, so nothing waits then.

    Raises:
        UserError: no job was submitted for this revision.
        JobFailedError: the job is gone, failed or was stopped; carries its reason and the end of its log. One that
            failed of something that may pass is left to `external_jobs_sensor`, which has it done again after a while.
    """
    record = chain.record(context, catalog)
    store = catalog.open()
    job = store.current_job(record.pipeline, record.dataset, record.revision, kind)
    if job is None:
        asset = "training_job" if kind is JobKind.TRAINING else "prediction_job"
        raise UserError(
            f"No {kind} job was submitted for {record.dataset!r}: materialize {chain.pipeline.name}/{asset}."
        )
    try:
        state = jobs.wait(job.name, kind, on_progress=_log_progress(context))
    except JobFailedError:  # it is gone
        store.mark_followed_up([job.name])
        raise
    store.update_job(state)
    if state.status is not JobStatus.COMPLETED:
        if not state.may_pass or context.run.run_id != job.run_id:
            store.mark_followed_up([job.name])
        raise JobFailedError(_what_happened(state, jobs.log_tail(state, LOG_LINES)))
    return state


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


def _log_progress(context: dg.AssetExecutionContext) -> OnProgress:
    last = [time.monotonic()]

    def log(state: JobState, line: str) -> None:
        # Every round in the event log would be hundreds of events a job; one in two seconds shows that it lives.
        if time.monotonic() - last[0] >= PROGRESS_SECONDS:
            last[0] = time.monotonic()
            context.log.info(f"{state.name} {state.status.value} {line}")

    return log


def _what_happened(state: JobState, log_tail: str) -> str:
    reason = state.failure_reason or f"it was {state.status.value.lower()}"
    where = f" Its log: {state.log_uri}." if state.log_uri else ""
    tail = f"\nThe end of its log:\n{log_tail}" if log_tail else ""
    return f"Job {state.name} {state.status.value.lower()}: {reason}.{where} Run it again once that is mended.{tail}"


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)

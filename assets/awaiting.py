"""Waiting for a job, and what is said of one that ended without a result.

What belongs here: the rules that every asset shares which takes a job's output over. What does not: submitting
(`submission`).
"""

import time

import dagster as dg

from assets.chain import Chain
from assets.submission import utc_now
from optiflow.errors import JobFailedError, TransientError, UserError
from resources.catalog import Catalog
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobKind, Jobs, JobState, JobStatus, OnProgress, is_not_submitted

LOG_LINES = 50
PROGRESS_SECONDS = 2.0


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
    except JobFailedError as gone:
        if is_not_submitted(job.failure_reason):
            if not _is_ours(context, job):
                store.mark_followed_up([job.name])
            raise JobFailedError(f"Job {job.name} could not be submitted. {job.failure_reason}") from gone
        store.update_job(JobState(job.name, kind, JobStatus.FAILED, job.created_at, None, utc_now(), str(gone)))
        store.mark_followed_up([job.name])
        raise
    store.update_job(state)
    if state.status is not JobStatus.COMPLETED:
        if not state.may_pass or not _is_ours(context, job):
            store.mark_followed_up([job.name])
        raise JobFailedError(_what_happened(state, _end_of_log(jobs, state)))
    return state


def _is_ours(context: dg.AssetExecutionContext, job: JobRecord) -> bool:
    """Whether this run, or an earlier try of it, has submitted the job; the sensor answers for it then."""
    return job.run_id in (context.run.run_id, context.run.parent_run_id, context.run.root_run_id)


def _end_of_log(jobs: Jobs, state: JobState) -> str:
    try:
        return jobs.log_tail(state, LOG_LINES)
    except (TransientError, UserError) as error:
        # The reason for which the job failed matters more than why its log cannot be read.
        return f"(The log cannot be read: {error})"


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

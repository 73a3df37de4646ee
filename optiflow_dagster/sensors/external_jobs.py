"""`external_jobs_sensor`: when an external job has ended, the next part of its chain begins."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow_dagster.asked_runs import FOLLOWS_TAG, RUNS_A_QUERY, followed_up
from optiflow_dagster.jobs import PipelineJobs
from optiflow_dagster.sensors.external_jobs_decision import RunState, choose_follow_ups
from resources.aws.client import hurried
from resources.catalog import Catalog
from resources.catalog.records import JobRecord
from resources.failures import STARTED_BY_TAG
from resources.jobs.contract import JobKind, Jobs, JobState
from resources.revision import REVISION_TAG

INTERVAL_SECONDS = 4
"""Less than the five seconds of the daemon's look at all sensors, as in `sensors.uploads`."""
ASK_SECONDS = 20.0
"""No job is asked for, or stopped, later in a tick: Dagster would end it after a minute, and what it had learned were lost."""
NEXT_PART = {
    JobKind.TRAINING: "prediction_job",
    JobKind.TRANSFORM: "report_job",
    JobKind.PROCESSING: "report_job",
}
SAME_PART = {
    JobKind.TRAINING: "training_job",
    JobKind.TRANSFORM: "prediction_job",
    JobKind.PROCESSING: "prediction_job",
}
WILL_RETRY_TAG = "dagster/will_retry"
RETRY_TAG = "dagster/auto_retry_run_id"
"""On a failed run, by Dagster: the run that tries it again."""


def external_jobs_sensor(pipelines: Iterable[PipelineJobs]) -> dg.SensorDefinition:
    """One sensor for the jobs of all pipelines."""

    @dg.sensor(
        jobs=[job for pipeline in pipelines for job in pipeline.parts()],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def external_jobs_sensor(
        context: dg.SensorEvaluationContext, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> dg.SensorResult | dg.SkipReason:
        """Watches training and prediction jobs; a finished or failed one starts the next part of its chain."""
        with hurried():
            return _evaluate(context, catalog, jobs, end=time.monotonic() + ASK_SECONDS)

    def _evaluate(
        context: dg.SensorEvaluationContext, catalog: Catalog, jobs: Jobs, end: float
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            store = catalog.open()
            waiting = store.open_jobs()
            if not waiting:
                return dg.SkipReason("No job is running.")
            decision = choose_follow_ups(
                waiting,
                store.replaced_jobs(),
                {state.name: state for state in jobs.list_active({j.kind for j in waiting}, {j.name for j in waiting})},
                _describe_in_time(jobs, end),
                _run_states(context.instance, {job.run_id for job in waiting}).__getitem__,
                store.failed_tries,
                datetime.now(UTC),
            )
            for state in decision.updates:
                store.update_job(state)
            store.mark_followed_up(job.name for job in decision.closed)
        except (OSError, TransientError, UserError) as error:
            # What could not be asked is not an answer: nothing moves until it can.
            return dg.SkipReason(f"Cannot ask for jobs: {error}")
        notes = [f"Cannot ask for job {name}: {why}" for name, why in decision.unanswered.items()]
        for note in notes:
            context.log.warning(note)
        notes += [note for job in decision.stop if (note := _stop(context, jobs, job, end))]
        wanted = [*map(_follow_up, decision.follow_up), *map(_again, decision.again)]
        # A run key would throw the others away too, but each of them costs the daemon a query a tick.
        asked = followed_up(context.instance, [request.tags[FOLLOWS_TAG] for request in wanted])
        requests = [request for request in wanted if request.tags[FOLLOWS_TAG] not in asked]
        said = " ".join([f"{decision.waiting} job(s) still running.", *_waits(len(asked)), *notes])
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else said)

    return external_jobs_sensor


def _describe_in_time(jobs: Jobs, end: float) -> Callable[[JobRecord], JobState | None]:
    """Asks for one job after another; of a place that does not answer, no more once the tick's time is over."""

    def describe(job: JobRecord) -> JobState | None:
        if time.monotonic() >= end:
            raise TransientError("the others took too long. It is asked for at the next tick.")
        return jobs.describe(job.name, job.kind)

    return describe


def _waits(asked: int) -> list[str]:
    return [f"{asked} ended job(s) have their run, which has not taken the result over yet."] if asked else []


def _stop(context: dg.SensorEvaluationContext, jobs: Jobs, job: JobRecord, end: float) -> str:
    """Why the job could not be stopped; the next tick tries again, and the other jobs go on."""
    if time.monotonic() >= end:
        return f"Job {job.name} is stopped at the next tick: the others took too long."
    try:
        jobs.stop(job.name, job.kind)
    except (OSError, TransientError, UserError) as error:
        context.log.warning(str(error))
        return str(error)
    return ""


def _run_states(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, RunState]:
    """How the runs stand; of a run that Dagster has tried again, how its last try does."""
    runs: dict[str, dg.DagsterRun] = {}
    wanted = set(run_ids)
    while wanted:
        found = _runs(instance, wanted)
        runs |= found
        wanted = {run.tags[RETRY_TAG] for run in found.values() if RETRY_TAG in run.tags} - runs.keys()
    return {run_id: _run_state(_last_try(runs, run_id)) for run_id in run_ids}


def _runs(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, dg.DagsterRun]:
    wanted, found = list(run_ids), []
    for start in range(0, len(wanted), RUNS_A_QUERY):
        found += instance.get_runs(dg.RunsFilter(run_ids=wanted[start : start + RUNS_A_QUERY]))
    return {run.run_id: run for run in found}


def _last_try(runs: Mapping[str, dg.DagsterRun], run_id: str) -> dg.DagsterRun | None:
    run = runs.get(run_id)
    while run is not None and RETRY_TAG in run.tags:
        run = runs.get(run.tags[RETRY_TAG])
    return run


def _run_state(run: dg.DagsterRun | None) -> RunState:
    if run is None:
        return "ended"
    if not run.is_finished:
        return "active"
    if run.status is dg.DagsterRunStatus.CANCELED and run.tags.get(STARTED_BY_TAG) != "cli":
        return "canceled"
    return "retrying" if run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" else "ended"


def _follow_up(job: JobRecord) -> dg.RunRequest:
    follows = f"{job.name}/{job.round}"
    return dg.RunRequest(
        run_key=follows,  # makes it one run a job, also when the tick is repeated after a crash
        job_name=f"{job.pipeline}_{NEXT_PART[job.kind]}",
        partition_key=job.dataset,
        tags={REVISION_TAG: job.revision, FOLLOWS_TAG: follows},
    )


def _again(job: JobRecord) -> dg.RunRequest:
    follows = f"{job.name}/{job.round}/again"
    return dg.RunRequest(
        run_key=follows,
        job_name=f"{job.pipeline}_{SAME_PART[job.kind]}",
        asset_selection=[dg.AssetKey([job.pipeline, SAME_PART[job.kind]])],
        partition_key=job.dataset,
        tags={REVISION_TAG: job.revision, FOLLOWS_TAG: follows},
    )

"""`external_jobs_sensor`: when an external job has ended, the next part of its chain begins."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow_dagster.jobs import PipelineJobs
from optiflow_dagster.sensors.external_jobs_decision import RunState, choose_follow_ups
from resources.catalog import Catalog
from resources.catalog.records import JobRecord
from resources.failures import STARTED_BY_TAG
from resources.jobs.contract import JobKind, Jobs, JobState, JobStatus
from resources.revision import REVISION_TAG

INTERVAL_SECONDS = 5
NEXT_PART = {JobKind.TRAINING: "prediction_job", JobKind.TRANSFORM: "report_job"}
SAME_PART = {JobKind.TRAINING: "training_job", JobKind.TRANSFORM: "prediction_job"}
RUNS_A_QUERY = 500
WILL_RETRY_TAG = "dagster/will_retry"


def external_jobs_sensor(pipelines: Iterable[PipelineJobs]) -> dg.SensorDefinition:
    """One sensor for the jobs of all pipelines."""

    @dg.sensor(
        jobs=[job for pipeline in pipelines for job in (pipeline.training, pipeline.prediction, pipeline.report)],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def external_jobs_sensor(
        context: dg.SensorEvaluationContext, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> dg.SensorResult | dg.SkipReason:
        """Watches training and prediction jobs; a finished or failed one starts the next part of its chain."""
        try:
            store = catalog.open()
            waiting = store.open_jobs()
            if not waiting:
                return dg.SkipReason("No job is running.")
            decision = choose_follow_ups(
                waiting,
                {state.name: state for state in jobs.list_active({job.kind for job in waiting})},
                partial(_describe, jobs),
                _run_states(context.instance, {job.run_id for job in waiting}).__getitem__,
                store.failed_tries,
                datetime.now(UTC),
            )
            for job in decision.stop:
                jobs.stop(job.name, job.kind)
            for state in decision.updates:
                store.update_job(state)
            store.mark_followed_up(job.name for job in (*decision.superseded, *decision.stop))
        except (OSError, TransientError, UserError) as error:
            # What could not be asked is not an answer: nothing moves until it can.
            return dg.SkipReason(f"Cannot ask for jobs: {error}")
        requests = [*map(_follow_up, decision.follow_up), *map(_again, decision.again)]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else f"{decision.waiting} job(s) still running.",
        )

    return external_jobs_sensor


def _describe(jobs: Jobs, job: JobRecord) -> JobState:
    state = jobs.describe(job.name, job.kind)
    if state is not None:
        return state
    reason = "the job is unknown where it was submitted: its folder was deleted, or it is another account or region"
    return JobState(
        job.name, job.kind, JobStatus.FAILED, job.created_at, ended_at=datetime.now(UTC), failure_reason=reason
    )


def _run_states(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, RunState]:
    # Asked for one by one, the runs of a thousand jobs took four to ten seconds, longer than the sensor's interval.
    wanted, runs = list(run_ids), {}
    for start in range(0, len(wanted), RUNS_A_QUERY):
        found = instance.get_runs(dg.RunsFilter(run_ids=wanted[start : start + RUNS_A_QUERY]))
        runs |= {run.run_id: run for run in found}
    return {run_id: _run_state(runs.get(run_id)) for run_id in wanted}


def _run_state(run: dg.DagsterRun | None) -> RunState:
    if run is None:
        return "ended"
    if not run.is_finished:
        return "active"
    if run.status is dg.DagsterRunStatus.CANCELED and run.tags.get(STARTED_BY_TAG) != "cli":
        return "canceled"
    return "retrying" if run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" else "ended"


def _follow_up(job: JobRecord) -> dg.RunRequest:
    # The run key makes it one run a job, also when the tick is repeated after a crash.
    return dg.RunRequest(
        run_key=f"{job.name}/{job.round}",
        job_name=f"{job.pipeline}_{NEXT_PART[job.kind]}",
        partition_key=job.dataset,
        tags={REVISION_TAG: job.revision},
    )


def _again(job: JobRecord) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{job.name}/{job.round}/again",
        job_name=f"{job.pipeline}_{SAME_PART[job.kind]}",
        asset_selection=[dg.AssetKey([job.pipeline, SAME_PART[job.kind]])],
        partition_key=job.dataset,
        tags={REVISION_TAG: job.revision},
    )

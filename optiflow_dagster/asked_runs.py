"""Runs that sensors and schedules have asked for, as Dagster's run storage tells: by the tags that they carry.

What belongs here: the tags, and looking runs up by them. What does not: what follows (the sensors decide that).
"""

from collections.abc import Collection, Iterator
from datetime import datetime

import dagster as dg

PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"
SENSOR_TAG = "dagster/sensor_name"
SCHEDULE_TAG = "dagster/schedule_name"
ROOT_TAG = "dagster/root_run_id"
"""On another try of a run: the first of all tries."""
FOLLOWS_TAG = "optiflow/follows"
"""`<job>/<round>`: the ended job that the run follows; `<job>/<round>/again`: the job that it submits again."""
UPLOADS_SENSOR = "uploads_sensor"
RUNS_A_QUERY = 500


def records_tagged(
    instance: dg.DagsterInstance,
    tag: str,
    values: Collection[str],
    job: str | None = None,
    since: datetime | None = None,
) -> Iterator[dg.RunRecord]:
    """Every run whose tag has one of these values, also those that Dagster has made to retry one: they keep its tags.

    Of all jobs or of one, and if `since` is given only those that were made later.
    """
    # Asked for one by one, the runs of a thousand jobs took four to ten seconds, longer than a sensor's interval.
    wanted = list(values)
    for start in range(0, len(wanted), RUNS_A_QUERY):
        tags = {tag: wanted[start : start + RUNS_A_QUERY]}
        yield from instance.get_run_records(dg.RunsFilter(job_name=job, tags=tags, created_after=since))


def count_queued_uploads(instance: dg.DagsterInstance, job: str | None = None) -> int:
    """How many runs that `uploads_sensor` has asked for wait in the queue, of all jobs or of one."""
    wanted = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.QUEUED], tags={SENSOR_TAG: UPLOADS_SENSOR})
    return instance.get_runs_count(wanted)


def is_asked_for(run: dg.DagsterRun) -> bool:
    """Whether a sensor or a schedule has asked for the run, and no person."""
    return SENSOR_TAG in run.tags or SCHEDULE_TAG in run.tags


def followed_up(instance: dg.DagsterInstance, follows: Collection[str]) -> set[str]:
    """Those of these jobs and rounds that have a run."""
    return _that_have_runs(instance, FOLLOWS_TAG, follows)


def with_runs(instance: dg.DagsterInstance, run_keys: Collection[str]) -> set[str]:
    """Those of these run keys that have a run: to ask for them again would make none."""
    return _that_have_runs(instance, RUN_KEY_TAG, run_keys)


def _that_have_runs(instance: dg.DagsterInstance, tag: str, values: Collection[str]) -> set[str]:
    """However the run stands, but for one that was only stored.

    That has not reached the queue yet: whoever asks for it again makes sure that it does.
    """
    return {
        record.dagster_run.tags[tag]
        for record in records_tagged(instance, tag, values)
        if record.dagster_run.status is not dg.DagsterRunStatus.NOT_STARTED
    }

"""Runs of datasets as people ask for them: which go on, and which failed and why.

What belongs here: finding them. What does not: showing them (`cli.status`), and runs that never began
(`unstarted_runs`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from optiflow_dagster.asked_runs import PARTITION_TAG
from optiflow_dagster.run_cause import why_it_failed
from optiflow_dagster.run_queue import dataset_of

ACTIVE = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
STATES = {
    dg.DagsterRunStatus.NOT_STARTED: "waiting",
    dg.DagsterRunStatus.QUEUED: "waiting",
    dg.DagsterRunStatus.CANCELING: "being canceled",
    dg.DagsterRunStatus.FAILURE: "failed",
}
LOOKED_BACK = 500
"""So many of the newest failed runs are looked at; whose newest run is older and failed is not told."""
NEWEST_OF_ID = 20
"""Of the runs of one dataset id, so many are looked at for the newest of the pipeline: five pipelines may have the id."""


@dataclass(frozen=True)
class DatasetRun:
    """A run of one dataset. Times are UTC; `began` is None while it waits, `reason` is of a failed one."""

    run_id: str
    job: str
    pipeline: str
    dataset: str
    state: str
    asked_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state != STATES[dg.DagsterRunStatus.FAILURE]


def active_runs(instance: dg.DagsterInstance) -> list[DatasetRun]:
    """Runs of datasets that wait or go on, the newest first."""
    return [run for record in instance.get_run_records(dg.RunsFilter(statuses=list(ACTIVE))) for run in _told(record)]


def failed_runs(instance: dg.DagsterInstance) -> list[DatasetRun]:
    """Of each dataset whose newest run failed, that run with its reason, the newest first."""
    found: list[DatasetRun] = []
    seen: set[str] = set()
    failures = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=LOOKED_BACK)
    for record in failures:
        dataset = dataset_of(record.dagster_run)
        if dataset is None or dataset in seen:
            continue
        seen.add(dataset)
        if _is_newest(instance, record, dataset):
            found += _told(record, why_it_failed(instance, record.dagster_run.run_id))
    return found


def _is_newest(instance: dg.DagsterInstance, record: dg.RunRecord, dataset: str) -> bool:
    same_id = dg.RunsFilter(tags={PARTITION_TAG: record.dagster_run.tags[PARTITION_TAG]})
    runs = instance.get_run_records(same_id, limit=NEWEST_OF_ID)
    newest = next((run for run in runs if dataset_of(run.dagster_run) == dataset), record)
    return newest.storage_id <= record.storage_id


def _told(record: dg.RunRecord, reason: str | None = None) -> Iterator[DatasetRun]:
    run = record.dagster_run
    of = dataset_of(run)
    if of is None:
        return
    pipeline, _, dataset = of.partition("/")
    yield DatasetRun(
        run_id=run.run_id,
        job=run.job_name,
        pipeline=pipeline,
        dataset=dataset,
        state=STATES.get(run.status, "running"),
        asked_at=record.create_timestamp.replace(tzinfo=UTC),
        began_at=_time(record.start_time),
        ended_at=_time(record.end_time),
        reason=reason,
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

"""Dropping runs from the queue whose dataset has a newer upload: its run does their work, and more.

What belongs here: which queued runs a request replaces, and canceling them. What does not: what is uploaded (the
uploads sensor knows) and runs that have begun, which are brought to their end.
"""

from collections.abc import Sequence

import dagster as dg

from optiflow_dagster.asked_runs import PARTITION_TAG, RUN_KEY_TAG, is_asked_for, records_tagged

QUEUED = dg.DagsterRunStatus.QUEUED
REASON = (
    "A newer upload of this dataset was found while the run waited in the queue: the newer one's run takes its place."
)


def drop_replaced(instance: dg.DagsterInstance, requests: Sequence[dg.RunRequest]) -> None:
    """Cancel queued runs of the same job and dataset as one of these requests.

    Left alone are runs that a person asked for, that do a part of the job only, or that try another run again: they are
    not what the request repeats.
    """
    wanted = {(request.job_name, str(request.partition_key)): request for request in requests}
    runs = _queued(instance, {dataset for _, dataset in wanted}) if wanted else []
    replaced = [run for run in runs if (run.job_name, run.tags[PARTITION_TAG]) in wanted and _is_whole(run)]
    if not replaced:
        return
    # A request of a tick that is repeated after a crash has its run already, and replaces nothing.
    keys = {str(request.run_key) for request in requests}
    known = {record.dagster_run.tags[RUN_KEY_TAG] for record in records_tagged(instance, RUN_KEY_TAG, keys)}
    for run in replaced:
        if wanted[run.job_name, run.tags[PARTITION_TAG]].run_key not in known:
            _cancel(instance, run.run_id)


def _queued(instance: dg.DagsterInstance, datasets: set[str]) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(statuses=[QUEUED], tags={PARTITION_TAG: sorted(datasets)}))


def _is_whole(run: dg.DagsterRun) -> bool:
    return is_asked_for(run) and run.asset_selection is None and run.parent_run_id is None


def _cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """As the queue's own cancellation does it."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status is QUEUED:
        instance.report_run_canceling(run, message=REASON)
        instance.report_run_canceled(run, message=REASON)

"""Dagster's queue of runs, made to know which pipeline's dataset a run is of.

What belongs here: that note, and what has to be there before a run begins. What does not: the queue, which stays
Dagster's, and its limits (`dagster.yaml`).

Runs of one dataset must follow one another, whoever asks for them: a sensor, a schedule, a backfill, a person. Dagster's
limit goes by the value of a tag, and all that these runs have in common is the partition's, which `walmart` of
`store_sales` has as well as `walmart` of `orders`.
"""

import dagster as dg

from optiflow_dagster.asked_runs import PARTITION_TAG
from optiflow_dagster.pools import make_limits
from optiflow_dagster.quiet_ticks import quieten_ticks

DATASET_TAG = "optiflow/dataset"
"""`<pipeline>/<dataset>`, or `fred/<series>`."""


class DatasetQueue(dg.QueuedRunCoordinator):
    """Notes on each run what it is of, and queues it."""

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """The queue belongs to an instance: that is where a daemon of this project begins, whoever has started it."""
        super().register_instance(instance)
        quieten_ticks()

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue the run."""
        if dataset := dataset_of(context.dagster_run):
            self._instance.add_run_tags(context.dagster_run.run_id, {DATASET_TAG: dataset})
        make_limits(self._instance, context.dagster_run)
        return super().submit_run(context)


def dataset_of(run: dg.DagsterRun) -> str | None:
    """The value of the tag; None for a run of no partition."""
    partition = run.tags.get(PARTITION_TAG)
    if partition is None:
        return None
    selected = sorted(key.path[0] for key in run.asset_selection or ())
    selected += sorted(check.asset_key.path[0] for check in run.asset_check_selection or ())
    group = selected[0] if selected else _group_of_job(run.job_name)
    return f"{group}/{partition}"


def _group_of_job(name: str) -> str:
    for part in ("_training_job", "_prediction_job", "_report_job", "_job"):
        if name.endswith(part):
            return name.removesuffix(part)
    return name

"""Schedules: retraining weekly. FRED is refreshed by the condition of its asset (`assets.fred`)."""

from collections.abc import Iterator

import dagster as dg

from optiflow.pipelines.spec import Pipeline
from optiflow_dagster.asked_runs import PARTITION_TAG
from optiflow_dagster.jobs import PRIORITY_TAG, PipelineJobs
from optiflow_dagster.partitions import DATASETS
from resources.landing import live_datasets
from resources.storage import Storage

WEEKLY = "0 5 * * 1"
BEHIND_UPLOADS = "-1"
"""Thousands of retrainings wait at once; somebody waits for what was just uploaded."""


def retraining_schedule(pipeline: Pipeline, jobs: PipelineJobs) -> dg.ScheduleDefinition:
    """Every week, every dataset whose file is still in the landing folder."""
    partitions = DATASETS[pipeline.name]

    @dg.schedule(
        name=f"{pipeline.name}_retraining_schedule",
        job=jobs.training,
        cron_schedule=WEEKLY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Trains every live dataset again with the newest FRED figures, weekly. Where nothing has changed "
        "the existing model is kept and nothing is paid for.",
    )
    def retraining(context: dg.ScheduleEvaluationContext, storage: Storage) -> Iterator[dg.RunRequest | dg.SkipReason]:
        # A folder that cannot be listed fails the tick, so that the week without training is red and not just quiet.
        live = live_datasets(storage, pipeline.name)
        known = [d for d in context.instance.get_dynamic_partitions(str(partitions.name)) if d in live]
        if not known:
            yield dg.SkipReason(f"No dataset of {pipeline.name} has a file in its landing folder.")
        for dataset in known:
            # With the partition's tag, so that Dagster does not ask its database for each key, 7 ms each: we have just read them.
            tags = {PARTITION_TAG: dataset, PRIORITY_TAG: BEHIND_UPLOADS}
            yield dg.RunRequest(run_key=f"{dataset}@{_day(context)}", partition_key=dataset, tags=tags)

    return retraining


def _day(context: dg.ScheduleEvaluationContext) -> str:
    return context.scheduled_execution_time.date().isoformat()

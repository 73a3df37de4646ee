"""The code location's entry point, for `workspace.yaml` and for `dg`.

Nothing is read from the network or the disk here, and no variable decides which assets exist; the work folder, where it is
there already, is closed to others.
"""

from collections.abc import Mapping

import dagster as dg

from assets.fred import observations_asset
from assets.links import chain_definitions
from assets.sources import pulled_asset
from optiflow.disk import close_to_others
from optiflow.pipelines import PIPELINES
from optiflow.pipelines.spec import Pipeline
from optiflow_dagster.jobs import fred_job, pipeline_jobs, pull_job
from optiflow_dagster.partitions import DATASETS, SERIES, SOURCES
from optiflow_dagster.schedules import retraining_schedule
from optiflow_dagster.sensors.external_jobs import external_jobs_sensor
from optiflow_dagster.sensors.fred import fred_sensor
from optiflow_dagster.sensors.run_failure import run_failure_sensor
from optiflow_dagster.sensors.runs_retention import runs_retention_sensor
from optiflow_dagster.sensors.sources import sources_sensor
from optiflow_dagster.sensors.unstarted_runs import unstarted_runs_sensor
from optiflow_dagster.sensors.uploads import uploads_sensor
from resources.adapters import Adapters
from resources.settings import Settings, load_settings


def build_definitions(
    settings: Settings, pipelines: Mapping[str, Pipeline] = PIPELINES, **resource_overrides: object
) -> dg.Definitions:
    """A fresh `Definitions`; `resource_overrides` replace resources by name, so that callers swap parts.

    Who runs a job of one pipeline gives that one alone: all five take 0.17 s to build and resolve, one takes 0.03 s.
    """
    jobs = {name: pipeline_jobs(pipeline) for name, pipeline in pipelines.items()}
    refresh, pulling = fred_job(), pull_job()
    own = dg.Definitions(
        assets=[observations_asset(SERIES, settings.owners), pulled_asset(SOURCES, settings.owners)],
        jobs=[refresh, pulling, *(job for parts in jobs.values() for job in parts.all())],
        schedules=[retraining_schedule(pipeline, jobs[name]) for name, pipeline in pipelines.items()],
        sensors=[
            uploads_sensor(jobs, settings.upload_settle_seconds, settings.upload_queue_url),
            sources_sensor(pulling),
            external_jobs_sensor(jobs.values()),
            unstarted_runs_sensor([refresh, pulling, *(job for parts in jobs.values() for job in parts.parts())]),
            run_failure_sensor(settings.alert_url),
            runs_retention_sensor(settings.keep_runs_days),
            fred_sensor(),
        ],
        resources={**Adapters.of(settings, hide_secrets=True).by_name(), **resource_overrides},
        # Steps of one run follow one another and the heavy work is in jobs of its own: a process a step would only
        # add seconds of imports.
        executor=dg.in_process_executor,
    )
    chains = [
        chain_definitions(pipeline, DATASETS[name], settings.owners, settings.read_limits)
        for name, pipeline in pipelines.items()
    ]
    return dg.Definitions.merge(own, *chains)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    settings = load_settings()
    close_to_others(settings.work_dir)  # Dagster has just made it, and uploads lie in it
    return build_definitions(settings)

"""`unstarted_runs_sensor`: asks again for runs that sensors and schedules have asked for and that never began."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow_dagster.asked_runs import PARTITION_TAG
from optiflow_dagster.jobs import PRIORITY_TAG
from optiflow_dagster.run_launcher import LAUNCHED_TAG, PROCESS_TAG
from optiflow_dagster.unstarted_runs import AGAIN_TAG, UnstartedRun, unstarted_runs
from resources.catalog import Catalog

if TYPE_CHECKING:
    from optiflow_dagster.jobs import AssetJob

INTERVAL_SECONDS = 30
MOST_REQUESTS = 20
"""In one tick: to make a run takes the daemon a good part of a second. The oldest first; the next tick takes the rest."""
OWN_TAGS = "optiflow/"
KEPT_TAGS = (PARTITION_TAG, PRIORITY_TAG)
"""Of Dagster's: what it is about, and that a retraining waits behind uploads."""
OF_ONE_RUN = (LAUNCHED_TAG, PROCESS_TAG)


def unstarted_runs_sensor(jobs: "Sequence[AssetJob]") -> dg.SensorDefinition:
    """One sensor for all jobs that a sensor or a schedule asks for."""

    @dg.sensor(jobs=jobs, minimum_interval_seconds=INTERVAL_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
    def unstarted_runs_sensor(context: dg.SensorEvaluationContext, catalog: Catalog) -> dg.SensorResult | dg.SkipReason:
        """Asks again, after a pause that grows, for runs that failed before they began."""
        now = datetime.now(UTC)
        try:
            found = unstarted_runs(context.instance, lambda: catalog.open().open_jobs(), now)
        except (OSError, TransientError, UserError) as error:
            return dg.SkipReason(f"Cannot ask which jobs wait for a run: {error}")
        due = [one for one in found if one.due is not None and one.due <= now]
        requests = [_again(one) for one in due[:MOST_REQUESTS]]
        waiting = sum(one.due is not None for one in found)
        said = f"{waiting} run(s) failed to start and are asked for again; {len(found) - waiting} no longer are."
        skipped = said if found else "No run has failed to start."
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else skipped)

    return unstarted_runs_sensor


def _again(one: UnstartedRun) -> dg.RunRequest:
    run = one.run
    own = {tag: value for tag, value in run.tags.items() if tag.startswith(OWN_TAGS) and tag not in OF_ONE_RUN}
    kept = {tag: run.tags[tag] for tag in KEPT_TAGS if tag in run.tags}
    return dg.RunRequest(
        run_key=f"{one.first}/{one.tries}",  # once a try, also when the tick is repeated after a crash
        job_name=run.job_name,
        run_config=run.run_config,
        asset_selection=sorted(run.asset_selection) if run.asset_selection else None,
        tags={**own, **kept, AGAIN_TAG: one.first},
    )

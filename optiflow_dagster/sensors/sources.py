"""`sources_sensor`: a pull for each source of `sources.yaml` whose time has come.

The file is read at every tick, so that a new source needs no restart. What does not belong here: the pull.
"""

import json
import time
from typing import TYPE_CHECKING

import dagster as dg

from optiflow.errors import UserError
from optiflow_dagster.asked_runs import PARTITION_TAG, RUN_KEY_TAG
from optiflow_dagster.partitions import SOURCES
from optiflow_dagster.run_cause import failed_in_passing
from resources.sources import SOURCES_FILE, Sources

if TYPE_CHECKING:
    from optiflow_dagster.internals import AssetJob

INTERVAL_SECONDS = 29
FIRST_PAUSE_SECONDS = 300
LONGEST_PAUSE_SECONDS = 3600
"""Before the next run of a pull that failed in passing; twice as long after each further one."""


def sources_sensor(job: "AssetJob") -> dg.SensorDefinition:
    """Every half minute."""

    @dg.sensor(job=job, minimum_interval_seconds=INTERVAL_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
    def sources_sensor(context: dg.SensorEvaluationContext, sources: Sources) -> dg.SensorResult | dg.SkipReason:
        """Pulls each source of sources.yaml as often as it says."""
        try:
            described = sources.described()
        except UserError as error:
            return dg.SkipReason(str(error))
        if not described:
            return dg.SkipReason(f"There is no {SOURCES_FILE}, or it describes no source.")
        now = time.time()
        asked: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
        slots = {name: source.slot(now) for name, source in described.items()}
        due = [name for name, slot in slots.items() if asked.get(name) != slot]
        keys = {name: f"{name}@{slots[name]}" for name in due}
        for name in slots.keys() - keys.keys():
            if key := again(context.instance, job.name, name, f"{name}@{slots[name]}", now):
                keys[name] = key
        due = sorted(keys)
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=keys[name], partition_key=name) for name in due],
            dynamic_partitions_requests=[SOURCES.build_add_request(due)] if due else [],
            cursor=json.dumps(slots, sort_keys=True),
            skip_reason=None if due else f"No source is due: {', '.join(sorted(described))}.",
        )

    return sources_sensor


def again(instance: dg.DagsterInstance, job: str, name: str, key: str, now: float) -> str | None:
    """The key of a further run in the same period, if the last one failed in passing and the pause after it is over.

    Args:
        instance: Knows the runs.
        job: The job that pulls.
        name: The source.
        key: The key of the first run of this period.
        now: Seconds since 1970.
    """
    asked = dg.RunsFilter(job_name=job, tags={PARTITION_TAG: name})
    for record in instance.get_run_records(asked, limit=1):
        run = record.dagster_run
        first, _, number = run.tags.get(RUN_KEY_TAG, "").partition("#")
        if first != key or run.status is not dg.DagsterRunStatus.FAILURE or record.end_time is None:
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2 ** int(number or 0), LONGEST_PAUSE_SECONDS)
        if now - record.end_time >= pause and failed_in_passing(instance, run.run_id):
            return f"{key}#{int(number or 0) + 1}"
    return None

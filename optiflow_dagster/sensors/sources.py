"""`sources_sensor`: a pull for each source of `sources.yaml` whose time has come.

The file is read at every tick, so that a new source needs no restart. What does not belong here: the pull.
"""

import json
import time
from typing import TYPE_CHECKING

import dagster as dg

from optiflow.errors import UserError
from optiflow_dagster.partitions import SOURCES
from resources.sources import SOURCES_FILE, Sources

if TYPE_CHECKING:
    from optiflow_dagster.internals import AssetJob

INTERVAL_SECONDS = 29


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
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"{name}@{slots[name]}", partition_key=name) for name in due],
            dynamic_partitions_requests=[SOURCES.build_add_request(sorted(due))] if due else [],
            cursor=json.dumps(slots, sort_keys=True),
            skip_reason=None if due else f"No source is due: {', '.join(sorted(described))}.",
        )

    return sources_sensor

"""Which finished runs something still refers to, so that they may not be deleted however old they are.

What belongs here: the rules. What does not: how old a run must be, and deleting it (`sensors.runs_retention`).

Dagster deletes a run together with what it has recorded: the materializations of its assets, and its run key. Without the
rules a dataset that nobody has uploaded for a month would be shown as never materialized, and a sensor that asks for a run
key once more would be given another run.
"""

from collections.abc import Iterable

import dagster as dg

from optiflow_dagster.asked_runs import FOLLOWS_TAG, PARTITION_TAG, ROOT_TAG, RUN_KEY_TAG, SENSOR_TAG, UPLOADS_SENSOR
from optiflow_dagster.event_damage import DamagedEventsError, reading_events_of
from resources.catalog.records import JobRecord

PARENT_TAG = "dagster/parent_run_id"

FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_CHECK_PLANNED = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED

AssetPartition = tuple[dg.AssetKey, str | None]


class NeededRuns:
    """The rules, as things stand now: answers are remembered, so make a new one when time has passed."""

    def __init__(self, instance: dg.DagsterInstance, open_jobs: Iterable[JobRecord]) -> None:
        """Ask for what concerns all runs; `open_jobs` are those of the catalog that still want something."""
        self._instance = instance
        jobs = list(open_jobs)
        self._open_jobs = {job.name for job in jobs}
        self._runs_of_open_jobs = {job.run_id for job in jobs}
        self._newest = _stored_last(instance)
        self._newest_of_partition: dict[AssetPartition, set[str]] = {}
        self.damaged: list[str] = []
        """Of runs that are held because their events cannot be read: which, and why."""

    def holds(self, run: dg.DagsterRun) -> bool:
        """Whether the finished run is still needed."""
        return (
            run.run_id in self._newest
            or self._follows_an_open_job(run)
            or self._is_the_last_for_its_upload(run)
            or self._is_referred_to_by_an_open_job_or_another_try(run)
            or self._recorded_what_is_newest(run)
        )

    def _follows_an_open_job(self, run: dg.DagsterRun) -> bool:
        """`external_jobs_sensor` asks for it until it has taken the job over; so does whoever asks for it again."""
        # The run key of one that is asked for again is another; older runs have no more than the key.
        return any(run.tags.get(tag, "").partition("/")[0] in self._open_jobs for tag in (FOLLOWS_TAG, RUN_KEY_TAG))

    def _is_the_last_for_its_upload(self, run: dg.DagsterRun) -> bool:
        """Its run key is of the file as it lies there now, which is listed again when the sensor's memory is lost."""
        if run.tags.get(SENSOR_TAG) != UPLOADS_SENSOR:
            return False
        tags = {SENSOR_TAG: UPLOADS_SENSOR, PARTITION_TAG: run.tags.get(PARTITION_TAG, "")}
        last = self._instance.get_runs(dg.RunsFilter(job_name=run.job_name, tags=tags), limit=1)
        return not last or last[0].run_id == run.run_id

    def _is_referred_to_by_an_open_job_or_another_try(self, run: dg.DagsterRun) -> bool:
        """How an open job's run ended, its last try tells; and Dagster counts the tries of a run from the first one on."""
        root = run.tags.get(ROOT_TAG, run.run_id)
        family = self._instance.get_runs(dg.RunsFilter(tags={ROOT_TAG: root}))
        return bool({root, *(member.run_id for member in family)} & self._runs_of_open_jobs) or any(
            run.run_id in (member.tags[ROOT_TAG], member.tags.get(PARENT_TAG)) for member in family
        )

    def _recorded_what_is_newest(self, run: dg.DagsterRun) -> bool:
        """Of some asset's partition the last materialization or the last attempt at one, or of a check the last result."""
        try:
            with reading_events_of(run.run_id):
                events = [entry.dagster_event for entry in self._instance.all_logs(run.run_id) if entry.dagster_event]
        except DamagedEventsError as error:
            self.damaged.append(f"Run {run.run_id} is kept. {error}")
            return True
        if not events:
            return True  # its file was lost: nothing tells what it recorded
        partitions = {
            (event.asset_key, event.partition)
            for event in events
            if event.asset_key and (event.is_step_materialization or event.event_type is _PLANNED)
        }
        checks = {
            event.asset_check_planned_data.asset_check_key for event in events if event.event_type is _CHECK_PLANNED
        }
        return any(run.run_id in self._newest_runs(partition) for partition in partitions) or any(
            (last := self._instance.get_latest_asset_check_evaluation_record(key)) and last.run_id == run.run_id
            for key in checks
        )

    def _newest_runs(self, of: AssetPartition) -> set[str]:
        if of not in self._newest_of_partition:
            key, partition = of
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
            done = self._instance.fetch_materializations(wanted, limit=1).records
            planned = self._instance.get_latest_planned_materialization_info(key, partition)
            self._newest_of_partition[of] = {record.run_id for record in done} | (
                {planned.run_id} if planned else set()
            )
        return self._newest_of_partition[of]


def _stored_last(instance: dg.DagsterInstance) -> set[str]:
    """The runs that hold the highest numbers.

    SQLite gives the number of a deleted last row to the next one. Sensors and daemons that remember the number of the last
    event that they have seen would then take a new event for an old one: no alert, and no other try.
    """
    last = {run.run_id for run in instance.get_runs(limit=1)}
    for kind in _ENDS:
        last |= {record.run_id for record in instance.fetch_run_status_changes(kind, limit=1).records}
    return last

"""`runs_retention_sensor`: deletes old runs that nothing refers to, and gives the room that they leave to the disk."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow_dagster.needed_runs import FINISHED, NeededRuns
from resources.catalog import Catalog
from resources.catalog.records import JobRecord

INTERVAL_SECONDS = 30
RUNS_A_TICK = 100
SECONDS_A_TICK = 3.0
"""After so long a tick ends. A laptop's daemon takes one sensor after the other, and the others are to go on."""
REST = timedelta(days=1)
"""Between the end of one round through all old runs and the next: to find that a run is needed takes up to 0.1 seconds."""


@dataclass(frozen=True)
class Position:
    """How far the work has come. Times in seconds since the epoch."""

    after: str | None = None
    """The last run of this round that was kept; runs are taken in the order in which they were made."""
    rests_until: float = 0.0


@dataclass(frozen=True)
class Round:
    """A tick's part of a round. `last_kept` is the last run that was kept, in this tick or before."""

    last_kept: str | None
    deleted: int = 0
    kept: int = 0
    is_over: bool = False
    damaged: tuple[str, ...] = ()
    """Of runs that were kept because their events cannot be read: which, and why."""


def runs_retention_sensor(keep_days: int) -> dg.SensorDefinition:
    """A sensor that deletes runs which ended more than `keep_days` days ago; with 0 it does nothing."""

    @dg.sensor(
        name="runs_retention_sensor",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext, catalog: Catalog) -> dg.SensorResult | dg.SkipReason:
        """Deletes runs older than OPTIFLOW_KEEP_RUNS_DAYS that hold nothing newest and that nothing refers to."""
        if keep_days == 0:
            return dg.SkipReason("OPTIFLOW_KEEP_RUNS_DAYS is 0: every run is kept.")
        now = datetime.now(UTC)
        position = read_cursor(context.cursor)
        said: list[str] = []
        try:
            if now.timestamp() >= position.rests_until:
                part = delete_old_runs(context.instance, catalog.open().open_jobs(), position.after, now, keep_days)
                rests_until = (now + REST).timestamp() if part.is_over else 0.0
                position = replace(position, after=part.last_kept, rests_until=rests_until)
                said.append(f"Deleted {part.deleted} run(s) older than {keep_days} days, kept {part.kept}.")
                for damaged in part.damaged:
                    context.log.warning(damaged)
                said += part.damaged[:10]
            # Also for runs that somebody else has deleted.
            if freed := give_back_space(context.instance):
                said.append(f"Gave {freed / 1e6:.1f} MB back to the disk.")
        except (TransientError, UserError) as error:
            # What was deleted stays deleted, and the next tick finds the rest.
            return dg.SkipReason(f"Cannot delete old runs: {error}")
        rest = (
            f"The next round through all runs begins at {datetime.fromtimestamp(position.rests_until, UTC):%F %R} UTC."
        )
        return dg.SensorResult(cursor=write_cursor(position), skip_reason=" ".join(said) or rest)

    return sensor


def delete_old_runs(
    instance: dg.DagsterInstance, open_jobs: Sequence[JobRecord], after: str | None, now: datetime, keep_days: int
) -> Round:
    """Go on with the round: delete the next old runs that are not needed.

    Args:
        instance: Whose runs they are.
        open_jobs: The catalog's jobs that still want something.
        after: The last run that this round has kept.
        now: The time, UTC.
        keep_days: A run that changed less than so many days ago is kept.
    """
    old = dg.RunsFilter(statuses=FINISHED, updated_before=now - timedelta(days=keep_days))
    records = instance.get_run_records(old, limit=RUNS_A_TICK, ascending=True, cursor=after)
    part = Round(after)
    if not records:
        return Round(None, is_over=True)
    needed = NeededRuns(instance, open_jobs)
    ends_at = time.monotonic() + SECONDS_A_TICK
    for run in (record.dagster_run for record in records):
        if time.monotonic() > ends_at:
            return part
        if needed.holds(run):
            part = replace(part, last_kept=run.run_id, kept=part.kept + 1, damaged=tuple(needed.damaged))
        else:
            instance.delete_run(run.run_id)
            part = replace(part, deleted=part.deleted + 1)
    return replace(part, last_kept=None, is_over=True) if len(records) < RUNS_A_TICK else part


def give_back_space(instance: dg.DagsterInstance) -> int:
    """Give some of the room that deleted events have left back; how many bytes. Other storages do that by themselves."""
    # Not by its class, whose module takes a while to import where `dagster.yaml` names another.
    give = getattr(instance.event_log_storage, "give_back_space", None)
    return give() if give else 0


def read_cursor(text: str | None) -> Position:
    """The position; a cursor that is not ours begins anew."""
    try:
        return Position(**json.loads(text)) if text else Position()
    except (json.JSONDecodeError, TypeError):
        return Position()


def write_cursor(position: Position) -> str:
    """The cursor's text."""
    return json.dumps(asdict(position))

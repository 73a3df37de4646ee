"""`run_failure_sensor`: tells a webhook or an SNS topic about every failed run.

What belongs here: reading failed runs from Dagster's event log. What does not: the message (`run_failure_message`), who
takes it (`run_failure_delivery`), and what is still to be sent (`run_failure_outbox`).

Dagster's own `@run_failure_sensor` moves on when its function fails, and begins at the newest failure, so that an
alert is lost with one refused request and a failure before the first tick is never told.
"""

from collections.abc import Iterator

import dagster as dg

from optiflow_dagster.event_damage import DamagedEventsError, reading_events_of
from optiflow_dagster.run_cause import why_it_failed
from optiflow_dagster.sensors.run_failure_delivery import REAL, Message, sender
from optiflow_dagster.sensors.run_failure_message import alert
from optiflow_dagster.sensors.run_failure_outbox import Failure, Outbox, send_all
from resources.http_retries import Timing

FAILED = dg.DagsterEventType.RUN_FAILURE
MAX_EVENTS = 50
"""Read in one tick."""
SETTLE_SECONDS = 2.0
"""An event is taken when it is this old: PostgreSQL may show one with a lower number a moment later."""
FIRST_LOOK_BACK_SECONDS = 24 * 3600.0
"""The first tick of all tells failures of so long before."""


def run_failure_sensor(alert_url: str | None, timing: Timing = REAL) -> dg.SensorDefinition:
    """A sensor that posts to `alert_url`, or publishes to the SNS topic whose ARN it is; without one it does nothing."""

    @dg.sensor(name="run_failure_sensor", default_status=dg.DefaultSensorStatus.RUNNING)
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Sends a JSON message to OPTIFLOW_ALERT_URL, a webhook or an SNS topic, for every failed run."""
        outbox, instance = Outbox.read(context.cursor), context.instance
        # Asked for before the events: a failure in between is then among them.
        newest = _newest(instance) if alert_url is None or outbox.after is None else 0
        if alert_url is None:
            # It keeps up nevertheless: who sets the variable after a year is not told of a year.
            context.update_cursor(Outbox(newest).text())
            return dg.SkipReason("OPTIFLOW_ALERT_URL is not set.")
        now = timing.now()
        if now < outbox.not_before:
            return dg.SkipReason(f"OPTIFLOW_ALERT_URL wants no message for {outbox.not_before - now:.0f} s.")
        events = _events_after(instance, outbox, now)
        outbox = Outbox(_start(outbox, events, newest), outbox.refused)
        failures = [Failure(one.storage_id, one.run_id, _news(context, one)) for one in _settled(events, now)]
        outbox, taken, notes = send_all(
            outbox, failures, lambda run_id: _message(instance, run_id), sender(alert_url, timing), timing
        )
        for note in notes:
            context.log.warning(note)
        context.update_cursor(outbox.text())
        return dg.SkipReason(_said(outbox, failures, taken, notes))

    return sensor


def _newest(instance: dg.DagsterInstance) -> int:
    records = instance.fetch_run_status_changes(FAILED, limit=1).records
    return records[0].storage_id if records else 0


def _events_after(instance: dg.DagsterInstance, outbox: Outbox, now: float) -> list[dg.EventLogRecord]:
    if outbox.after is None:
        which = dg.RunStatusChangeRecordsFilter(FAILED, after_timestamp=now - FIRST_LOOK_BACK_SECONDS)
    else:
        which = dg.RunStatusChangeRecordsFilter(FAILED, after_storage_id=outbox.after)
    return list(instance.fetch_run_status_changes(which, limit=MAX_EVENTS, ascending=True).records)


def _start(outbox: Outbox, events: list[dg.EventLogRecord], newest: int) -> int:
    if outbox.after is not None:
        return outbox.after
    return events[0].storage_id - 1 if events else newest


def _settled(events: list[dg.EventLogRecord], now: float) -> Iterator[dg.EventLogRecord]:
    for event in events:
        if 0 <= now - event.timestamp < SETTLE_SECONDS:  # one from a clock that is ahead is not waited for
            return
        yield event


def _news(context: dg.SensorEvaluationContext, event: dg.EventLogRecord) -> Message | None:
    """The message of an event; None if its run was deleted, is another code location's, or had failed before."""
    run = context.instance.get_run_by_id(event.run_id)
    if run is None or _place(run) != _own_place(context):
        return None
    # A run that was declared dead and then fails by itself fails twice.
    return None if _failed_before(context.instance, event) else _message(context.instance, event.run_id)


def _failed_before(instance: dg.DagsterInstance, event: dg.EventLogRecord) -> bool:
    try:
        with reading_events_of(event.run_id):
            first = instance.get_records_for_run(event.run_id, of_type=FAILED, limit=1).records
    except DamagedEventsError:
        return False  # better told twice than not at all
    return bool(first) and first[0].timestamp < event.timestamp


def _message(instance: dg.DagsterInstance, run_id: str) -> Message | None:
    run = instance.get_run_by_id(run_id)
    return None if run is None else alert(run, why_it_failed(instance, run_id))


def _place(run: dg.DagsterRun) -> tuple[str | None, str | None]:
    if run.remote_job_origin is None:
        return None, None
    repository = run.remote_job_origin.repository_origin
    return repository.code_location_origin.location_name, repository.repository_name


def _own_place(context: dg.SensorEvaluationContext) -> tuple[str | None, str | None]:
    location = context.code_location_origin
    return location.location_name if location else None, context.repository_name


def _said(outbox: Outbox, failures: list[Failure], taken: int, notes: list[str]) -> str:
    waiting = sum(one.message is not None and one.storage_id > (outbox.after or 0) for one in failures)
    counts = [
        f"{taken} alert(s) sent." if taken else "",
        f"{waiting} alert(s) wait." if waiting else "",
        f"{len(outbox.refused)} refused alert(s) are tried again." if outbox.refused else "",
    ]
    return " ".join(filter(None, [*counts, *notes])) or "No run has failed."

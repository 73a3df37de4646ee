"""Why a run failed, in the words that were written for people."""

import dagster as dg

from optiflow_dagster.event_damage import DamagedEventsError, reading_events_of

FAILED = dg.DagsterEventType.RUN_FAILURE


def why_it_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """The message of the first step that failed, else what the run itself says of its end."""
    try:
        events = [record.event_log_entry.dagster_event for record in _failures_of(instance, run_id)]
    except DamagedEventsError as error:
        return str(error)
    for event in filter(None, events):
        if not event.is_step_failure:
            continue
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        if failure.error:
            # Dagster wraps what an asset raised in an error that only names the step.
            return (failure.error.cause or failure.error).message.strip()
    said = (event.message for event in filter(None, events) if event.event_type == FAILED)
    return next(said, None) or "No cause was recorded."


def _failures_of(instance: dg.DagsterInstance, run_id: str) -> list[dg.EventLogRecord]:
    with reading_events_of(run_id):
        return list(instance.get_records_for_run(run_id, of_type={FAILED, dg.DagsterEventType.STEP_FAILURE}).records)

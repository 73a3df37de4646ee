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


def failed_in_passing(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run failed of what a later one may not meet: its step was tried again and again, or never began."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY}
    try:
        with reading_events_of(run_id):
            records = instance.get_records_for_run(run_id, of_type=kinds).records
    except DamagedEventsError:
        return False
    events = [event for record in records if (event := record.event_log_entry.dagster_event)]
    failures = [event.step_failure_data for event in events if event.is_step_failure]
    return not failures or (len(failures) < len(events) and all(each.user_failure_data is None for each in failures))


def _failures_of(instance: dg.DagsterInstance, run_id: str) -> list[dg.EventLogRecord]:
    with reading_events_of(run_id):
        return list(instance.get_records_for_run(run_id, of_type={FAILED, dg.DagsterEventType.STEP_FAILURE}).records)

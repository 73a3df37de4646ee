"""`run_failure_sensor`: tells a webhook about every failed run."""

import json
from http.client import HTTPException
from urllib.request import Request, urlopen

import dagster as dg

from optiflow.errors import TransientError

TIMEOUT_SECONDS = 10


def run_failure_sensor(alert_url: str | None) -> dg.SensorDefinition:
    """A sensor that posts to `alert_url`; without one it does nothing."""

    @dg.run_failure_sensor(name="run_failure_sensor", default_status=dg.DefaultSensorStatus.RUNNING)
    def sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        """Posts a JSON message to OPTIFLOW_ALERT_URL for every failed run."""
        if alert_url is None:
            return dg.SkipReason("OPTIFLOW_ALERT_URL is not set.")
        post(alert_url, alert(context.dagster_run, _first_cause(context)))
        return None

    return sensor


def alert(run: dg.DagsterRun, cause: str) -> dict[str, str]:
    """The message: `text` is what chat tools show, the rest is for programs."""
    partition = run.tags.get("dagster/partition", "")
    what = f"{run.job_name} of {partition}" if partition else run.job_name
    return {
        "text": f"OptiFlow: {what} failed. {cause}",
        "job": run.job_name,
        "dataset": partition,
        "run_id": run.run_id,
        "cause": cause,
    }


def post(url: str, message: dict[str, str]) -> None:
    """Send a JSON message.

    Raises:
        TransientError: the webhook did not take it; names the variable, not the address, which may hold a token.
    """
    request = Request(url, json.dumps(message).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS):
            pass
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise TransientError(f"The webhook in OPTIFLOW_ALERT_URL did not take the message: {reason}.") from error


def _first_cause(context: dg.RunFailureSensorContext) -> str:
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        if failure.error:
            # Dagster wraps what an asset raised in an error that only names the step.
            return (failure.error.cause or failure.error).message.strip()
    return context.failure_event.message or "No cause was recorded."

"""`run_failure_sensor`: tells a webhook or an SNS topic about every failed run."""

import json
from http.client import HTTPException
from urllib.request import Request, urlopen

import dagster as dg

from optiflow.errors import TransientError, UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors

TIMEOUT_SECONDS = 10
MAX_SUBJECT = 100
MAX_CHARACTERS = 60_000
"""SNS takes 262,144 bytes."""


def run_failure_sensor(alert_url: str | None) -> dg.SensorDefinition:
    """A sensor that posts to `alert_url`, or publishes to the SNS topic whose ARN it is; without one it does nothing."""

    @dg.run_failure_sensor(name="run_failure_sensor", default_status=dg.DefaultSensorStatus.RUNNING)
    def sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        """Sends a JSON message to OPTIFLOW_ALERT_URL, a webhook or an SNS topic, for every failed run."""
        if alert_url is None:
            return dg.SkipReason("OPTIFLOW_ALERT_URL is not set.")
        send = publish if alert_url.startswith("arn:") else post
        send(alert_url, alert(context.dagster_run, _first_cause(context)))
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


def publish(topic: str, message: dict[str, str]) -> None:
    """Publish a JSON message to an SNS topic; who reads it as an e-mail sees the job and the dataset in its subject.

    Raises:
        UserError: the topic or the permission is missing.
        TransientError: SNS cannot be reached.
    """
    subject = (
        f"OptiFlow: {message['job']} of {message['dataset']} failed" if message["dataset"] else "OptiFlow: a run failed"
    )
    text = json.dumps(message, ensure_ascii=False, indent=1)[:MAX_CHARACTERS]
    try:
        with aws_errors("tell the topic in OPTIFLOW_ALERT_URL of a failed run"):
            client("sns").publish(TopicArn=topic, Subject=subject[:MAX_SUBJECT], Message=text)
    except FileNotFoundError as error:
        raise UserError(
            f"OPTIFLOW_ALERT_URL: there is no topic {topic}. Mend the variable, or make the topic."
        ) from error


def _first_cause(context: dg.RunFailureSensorContext) -> str:
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        if failure.error:
            # Dagster wraps what an asset raised in an error that only names the step.
            return (failure.error.cause or failure.error).message.strip()
    return context.failure_event.message or "No cause was recorded."

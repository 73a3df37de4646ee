"""`run_failure_sensor`: what a webhook or a topic gets, and what is said when it does not take it."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import dagster as dg
import pytest
from aws_double.client import AwsDouble
from dagster._core.definitions.run_request import SkipReason

from optiflow.errors import TransientError, UserError
from optiflow_dagster.sensors.run_failure import alert, post, publish, run_failure_sensor

SECRET = "T0ken-of-ours"  # pragma: allowlist secret


class Webhook:
    """A webhook on 127.0.0.1 that answers `status`; None hangs up without an answer."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.messages: list[dict[str, Any]] = []
        self.types: list[str] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.messages.append(json.loads(body))
                webhook.types.append(self.headers["Content-Type"])
                if webhook.status is not None:
                    self.send_response(webhook.status)
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/{SECRET}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_the_message_names_job_dataset_and_cause() -> None:
    run = dg.DagsterRun(job_name="orders_training_job", tags={"dagster/partition": "shop"})
    assert alert(run, "No column 'x'.") == {
        "text": "OptiFlow: orders_training_job of shop failed. No column 'x'.",
        "job": "orders_training_job",
        "dataset": "shop",
        "run_id": run.run_id,
        "cause": "No column 'x'.",
    }
    assert alert(dg.DagsterRun(job_name="fred_job"), "Why")["text"] == "OptiFlow: fred_job failed. Why"


def test_the_webhook_gets_json(webhook: Webhook) -> None:
    post(webhook.url, {"text": "Größe"})
    assert webhook.messages == [{"text": "Größe"}]
    assert webhook.types == ["application/json"]


@pytest.mark.parametrize("status", [500, 429, 404, None])
def test_a_webhook_that_refuses_is_worth_another_try_and_its_address_stays_secret(
    webhook: Webhook, status: int | None
) -> None:
    webhook.status = status
    with pytest.raises(TransientError, match="OPTIFLOW_ALERT_URL did not take the message") as caught:
        post(webhook.url, {})
    assert_secret(caught.value)


def test_a_webhook_that_nobody_answers_at_is_told_alike() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/{SECRET}", f"http://127.0.0.1:{port}/a b/{SECRET}"):
        with pytest.raises(TransientError, match="OPTIFLOW_ALERT_URL") as caught:
            post(url, {})
        assert SECRET not in str(caught.value)


def assert_secret(error: BaseException | None) -> None:
    """Neither the error nor what caused it holds the token: Dagster shows both."""
    while error is not None:
        assert SECRET not in f"{error} {error!r}"
        error = error.__cause__


def fail(cause: str, kind: type[Exception]) -> Any:
    @dg.op
    def broken() -> None:
        raise kind(cause)

    @dg.job
    def orders_training_job() -> None:
        broken()

    return orders_training_job


@pytest.mark.parametrize("kind", [dg.Failure, ValueError])
def test_a_failed_run_is_told_with_its_own_cause(webhook: Webhook, kind: type[Exception]) -> None:
    sensor = run_failure_sensor(webhook.url)
    with dg.DagsterInstance.ephemeral() as instance:
        run = fail("Column 'Date' holds no dates.", kind).execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor.name, run.get_run_failure_event(), instance, run.dagster_run
        ).for_run_failure()
        sensor(context)
    (message,) = webhook.messages
    assert message["run_id"] == run.run_id
    assert "Column 'Date' holds no dates." in message["cause"]


@pytest.fixture
def topic(aws: AwsDouble) -> str:
    return boto3.client("sns").create_topic(Name="alerts")["TopicArn"]


def test_who_subscribes_to_the_topic_is_told_of_a_failed_run(topic: str) -> None:
    queues = boto3.client("sqs")
    queue = queues.create_queue(QueueName="inbox")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sensor = run_failure_sensor(topic)
    with dg.DagsterInstance.ephemeral() as instance:
        run = fail("Kein gültiges Datum.", ValueError).execute_in_process(
            instance=instance, raise_on_error=False, tags={"dagster/partition": "shop"}
        )
        context = dg.build_run_status_sensor_context(
            sensor.name, run.get_run_failure_event(), instance, run.dagster_run
        ).for_run_failure()
        sensor(context)
    (message,) = queues.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == "OptiFlow: orders_training_job of shop failed"
    assert json.loads(told["Message"])["cause"].endswith("Kein gültiges Datum.")


def test_a_topic_that_is_not_there_is_told(topic: str) -> None:
    with pytest.raises(UserError, match="OPTIFLOW_ALERT_URL"):
        publish(f"{topic}-gone", alert(dg.DagsterRun(job_name="orders_job"), "Why"))


def test_without_an_address_nothing_is_sent() -> None:
    sensor = run_failure_sensor(None)
    with dg.DagsterInstance.ephemeral() as instance:
        run = fail("x", ValueError).execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor.name, run.get_run_failure_event(), instance, run.dagster_run
        ).for_run_failure()
        skipped: Any = sensor(context)
    assert isinstance(skipped, SkipReason)
    assert skipped.skip_message == "OPTIFLOW_ALERT_URL is not set."

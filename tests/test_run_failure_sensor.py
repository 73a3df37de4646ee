"""`run_failure_sensor`: what a webhook or a topic gets, and what is said when it does not take it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from aws_double.client import AwsDouble
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from damaged_events import damage_an_event
from hypothesis import given
from hypothesis import strategies as st

from optiflow.errors import TransientError, UserError
from optiflow_dagster.sensors.run_failure import MAX_EVENTS, run_failure_sensor
from optiflow_dagster.sensors.run_failure_delivery import post, publish
from optiflow_dagster.sensors.run_failure_message import alert, as_json, cut
from optiflow_dagster.sensors.run_failure_outbox import BEGIN_SECONDS, MAX_REFUSED, Outbox, Refused
from resources.aws.client import HURRIED_ATTEMPTS
from resources.http_retries import Timing

SECRET = "T0ken-of-ours"  # pragma: allowlist secret


class Webhook:
    """A webhook on 127.0.0.1; `answer` says with which status, and None hangs up without an answer."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.answer: Callable[[dict[str, Any]], int | None] = lambda _: self.status
        self.headers: dict[str, str] = {}
        self.messages: list[dict[str, Any]] = []
        self.taken: list[str] = []
        self.types: list[str] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = json.loads(body)
                webhook.messages.append(message)
                webhook.types.append(self.headers["Content-Type"])
                status = webhook.answer(message)
                if status == 200:
                    webhook.taken.append(message.get("cause", ""))
                if status is not None:
                    self.send_response(status)
                    for name, value in webhook.headers.items():
                        self.send_header(name, value)
                    self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.server_bind()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/{SECRET}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def listen(self) -> None:
        """Take connections; until then they are refused."""
        self.server.server_activate()
        self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
        self.server.server_close()


@pytest.fixture
def silent() -> Iterator[Webhook]:
    """A webhook that nobody answers at yet."""
    made = Webhook()
    yield made
    made.close()


@pytest.fixture
def webhook(silent: Webhook) -> Webhook:
    silent.listen()
    return silent


class Clock:
    """A clock that only sleeping moves; it goes ahead of the events, so that they have settled."""

    def __init__(self) -> None:
        self.time = time.time() + 60
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.on_sleep()

    @property
    def timing(self) -> Timing:
        return Timing(self.sleep, lambda: self.time, lambda: self.time, lambda: 0.5)


class Ticks:
    """The real sensor over a real event log, ticked like the daemon does it."""

    def __init__(self, instance: dg.DagsterInstance, url: str | None) -> None:
        self.instance, self.clock, self.cursor = instance, Clock(), None
        self.url = url

    def __call__(self) -> str:
        """What the tick says."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        data = run_failure_sensor(self.url, self.clock.timing).evaluate_tick(context)
        self.cursor = data.cursor
        return str(data.skip_message)

    def fail(self, *causes: str) -> list[dg.DagsterRun]:
        runs = [dg.DagsterRun(job_name="orders_training_job") for _ in causes]
        for run, cause in zip(runs, causes, strict=True):
            self.instance.add_run(run)
            self.instance.report_run_failed(run, cause)
        return runs

    @property
    def outbox(self) -> Outbox:
        return Outbox.read(self.cursor)


@pytest.fixture
def tick(webhook: Webhook) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance, webhook.url)


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


@pytest.mark.parametrize("status", [500, 503, 429, 408, None])
def test_a_webhook_that_does_not_take_the_message_is_worth_another_try_and_its_address_stays_secret(
    webhook: Webhook, status: int | None
) -> None:
    webhook.status = status
    with pytest.raises(TransientError, match="OPTIFLOW_ALERT_URL did not take the message") as caught:
        post(webhook.url, {})
    assert_secret(caught.value)


def test_a_webhook_that_nobody_answers_at_is_told_alike() -> None:
    with socket.socket() as taken:  # by somebody who does not listen, so that nobody else comes to
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TransientError, match="OPTIFLOW_ALERT_URL") as caught:
            post(f"http://127.0.0.1:{port}/{SECRET}", {})
    assert_secret(caught.value)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413])
def test_a_webhook_that_refuses_the_message_is_for_the_user_to_mend(webhook: Webhook, status: int) -> None:
    webhook.status = status
    with pytest.raises(UserError, match=rf"in OPTIFLOW_ALERT_URL refuses the message: {status}.* Mend") as caught:
        post(webhook.url, {})
    assert_secret(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_which_would_lose_the_message_on_its_way_is_not_taken_for_success(
    webhook: Webhook, status: int
) -> None:
    webhook.status, webhook.headers = status, {"Location": webhook.url}
    with pytest.raises(UserError, match="It has moved: set the variable to its new address"):
        post(webhook.url, {})


@pytest.mark.parametrize("address", ["127.0.0.1/a b", "127.0.0.1:port", "127.0.0.1/ü", f"{'x' * 70}.example"])
def test_an_address_that_cannot_be_used_is_told_without_it(address: str) -> None:
    with pytest.raises(UserError, match="OPTIFLOW_ALERT_URL holds an address that cannot be used") as caught:
        post(f"http://{address}/{SECRET}", {})
    assert_secret(caught.value)


def assert_secret(error: BaseException | None) -> None:
    """Neither the error nor what led to it holds the token: Dagster shows both."""
    while error is not None:
        assert SECRET not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__


def fail(cause: str, kind: type[Exception]) -> Any:
    @dg.op
    def broken() -> None:
        raise kind(cause)

    @dg.job
    def orders_training_job() -> None:
        broken()

    return orders_training_job


@pytest.mark.parametrize("kind", [dg.Failure, ValueError])
def test_a_failed_run_is_told_with_its_own_cause(tick: Ticks, webhook: Webhook, kind: type[Exception]) -> None:
    run = fail("Column 'Date' holds no dates.", kind).execute_in_process(instance=tick.instance, raise_on_error=False)
    assert tick() == "1 alert(s) sent."
    (message,) = webhook.messages
    assert message["run_id"] == run.run_id
    assert "Column 'Date' holds no dates." in message["cause"]
    assert tick() == "No run has failed."
    assert len(webhook.messages) == 1


@pytest.mark.parametrize("status", [500, 503, 429, None])
def test_one_refused_request_loses_no_alert_and_needs_no_second_tick(
    tick: Ticks, webhook: Webhook, status: int | None
) -> None:
    answers = iter([status])
    webhook.answer = lambda _: next(answers, 200)
    tick.fail("a", "b")
    assert tick().startswith("2 alert(s) sent.")
    assert webhook.taken == ["a", "b"]
    assert tick.clock.slept == [0.5]


def test_a_run_whose_events_are_damaged_is_told_without_its_cause_and_stops_no_other_alert(
    webhook: Webhook, tmp_path: Path
) -> None:
    storage = {
        "module": "optiflow_dagster.event_database",
        "class": "EventDatabase",
        "config": {"base_dir": str(tmp_path)},
    }
    with dg.instance_for_test(overrides={"event_log_storage": storage}) as instance:
        tick = Ticks(instance, webhook.url)
        _, damaged, _ = tick.fail("a", "b", "c")
        damage_an_event(instance, tmp_path / "event_log.db", damaged, of_a_failed_step=True)
        assert tick() == "3 alert(s) sent."
        assert (webhook.taken[0], webhook.taken[2]) == ("a", "c")
        assert webhook.messages[1]["run_id"] == damaged.run_id
        assert webhook.taken[1].startswith("Its events cannot be read: event_log.db in Dagster's history is damaged ")
        assert tick() == "No run has failed."


def test_a_webhook_that_is_started_while_the_tick_waits_gets_the_alert(silent: Webhook) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        tick = Ticks(instance, silent.url)
        tick.clock.on_sleep = lambda: silent.listen() if len(tick.clock.slept) == 3 else None
        tick.fail("a")
        assert tick().startswith("1 alert(s) sent.")
    assert (silent.taken, tick.clock.slept) == (["a"], [0.5, 1.0, 2.0])


def test_what_was_not_taken_waits_in_its_order_for_as_long_as_it_takes(tick: Ticks, webhook: Webhook) -> None:
    tick.fail("a", "b", "c")
    webhook.status = 500
    for _ in range(3):
        assert "3 alert(s) wait." in tick()
        tick.clock.time += 100_000
    tick.fail("d")
    webhook.status = 200
    assert tick() == "4 alert(s) sent."
    assert webhook.taken == ["a", "b", "c", "d"]


@pytest.mark.parametrize("wish", ["120", "date"])
def test_a_webhook_that_asks_for_a_pause_gets_it(tick: Ticks, webhook: Webhook, wish: str) -> None:
    webhook.status = 429
    webhook.headers["Retry-After"] = formatdate(tick.clock.time + 120) if wish == "date" else wish
    tick.fail("a", "b")
    assert "2 alert(s) wait." in tick()
    webhook.status = 200
    assert tick().startswith("OPTIFLOW_ALERT_URL wants no message for ")
    assert (len(webhook.messages), tick.clock.slept) == (1, [])
    tick.clock.time += 121
    assert tick() == "2 alert(s) sent."


def test_a_message_that_the_webhook_stumbles_over_holds_up_no_other(tick: Ticks, webhook: Webhook) -> None:
    webhook.answer = lambda message: 500 if message["cause"] == "odd" else 200
    tick.fail("a", "odd", "b", "c")
    assert "3 alert(s) sent. 1 refused alert(s) are tried again." in tick()
    assert webhook.taken == ["a", "b", "c"]
    webhook.answer = lambda _: 200
    tick.clock.time += 61
    assert tick() == "1 alert(s) sent."
    assert webhook.taken == ["a", "b", "c", "odd"]


def test_a_refused_message_is_tried_ever_more_rarely_for_a_day_and_holds_up_no_other(
    tick: Ticks, webhook: Webhook
) -> None:
    webhook.answer = lambda message: 413 if message["cause"] == "large" else 200
    (refused,) = tick.fail("large")
    tick.fail("a")
    start, tries = tick.clock.time, []
    said = tick()
    assert "413" in said
    assert webhook.taken == ["a"]
    while tick.outbox.refused:
        tick.clock.time = tick.outbox.refused[0].due
        tries.append((tick.clock.time - start) / 60)
        said = tick()
    assert tries[:6] == pytest.approx([1, 3, 7, 15, 31, 61])
    assert 24 * 60 <= tries[-1] <= 25 * 60
    assert f"The alert of run {refused.run_id} is given up" in said
    assert tick() == "No run has failed."


def test_a_daemon_that_was_off_for_a_day_gives_up_nothing(tick: Ticks, webhook: Webhook) -> None:
    webhook.status = 404
    tick.fail("a")
    tick()
    tick.clock.time += 3 * 24 * 3600
    assert "1 refused alert(s) are tried again." in tick()
    webhook.status = 200
    tick.clock.time += 3600
    assert tick() == "1 alert(s) sent."


def test_refused_messages_are_kept_up_to_a_limit_and_the_rest_waits_in_the_event_log(
    tick: Ticks, webhook: Webhook
) -> None:
    webhook.status = 404
    causes = [str(number) for number in range(MAX_REFUSED + 30)]
    tick.fail(*causes)
    said = [tick() for _ in range(4)][-1]
    assert len(tick.outbox.refused) == MAX_REFUSED
    assert "30 alert(s) wait." in said
    assert len(str(tick.cursor)) < 200 * MAX_REFUSED
    webhook.status = 200
    tick.clock.time += 3600
    while "sent" in tick():
        pass
    assert sorted(webhook.taken, key=int) == causes


def test_a_tick_begins_no_message_when_its_time_is_over(tick: Ticks, webhook: Webhook) -> None:
    def slow(_: dict[str, Any]) -> int:
        tick.clock.time += 7
        return 200

    webhook.answer = slow
    tick.fail(*"abcdef")
    assert tick() == "3 alert(s) sent. 3 alert(s) wait."
    assert tick() == "3 alert(s) sent."
    assert webhook.taken == list("abcdef")
    assert BEGIN_SECONDS + 10 < 60  # Dagster ends a tick there


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    """Instances with the event logs that OptiFlow is run with."""
    overrides = {}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url").replace("+psycopg:", "+psycopg2:")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.instance_for_test(overrides=overrides) as instance:
        yield instance


def test_failures_before_the_first_tick_are_told_once(kept: dg.DagsterInstance, webhook: Webhook) -> None:
    tick = Ticks(kept, webhook.url)
    tick.fail("a", "b")
    assert [tick(), tick()] == ["2 alert(s) sent.", "No run has failed."]
    tick.fail("later")
    assert tick() == "1 alert(s) sent."
    assert webhook.taken == ["a", "b", "later"]


def test_many_failures_are_told_in_several_ticks(tick: Ticks, webhook: Webhook) -> None:
    causes = [str(number) for number in range(MAX_EVENTS + 20)]
    tick.fail(*causes)
    said = [tick() for _ in range(3)]
    assert said == [f"{MAX_EVENTS} alert(s) sent.", "20 alert(s) sent.", "No run has failed."]
    assert webhook.taken == causes


def test_a_new_sensor_tells_nothing_that_is_older_than_a_day(tick: Ticks, webhook: Webhook) -> None:
    tick.fail("old")
    tick.clock.time += 25 * 3600
    assert tick() == "No run has failed."
    tick.clock.time -= 25 * 3600
    assert tick() == "No run has failed."
    tick.fail("new")
    tick()
    assert webhook.taken == ["new"]


def test_who_sets_the_address_late_is_told_what_fails_from_then_on(tick: Ticks, webhook: Webhook) -> None:
    tick.url = None
    tick.fail("a", "b")
    assert tick() == "OPTIFLOW_ALERT_URL is not set."
    tick.fail("while it was restarted")
    tick.url = webhook.url
    tick()
    assert webhook.taken == ["while it was restarted"]


@pytest.mark.parametrize("seen", [0, 2, 3])
def test_an_upgraded_installation_goes_on_from_where_the_old_sensor_was(
    tick: Ticks, webhook: Webhook, seen: int
) -> None:
    """Dagster's own sensor kept the number of the last event in a `RunStatusSensorCursor`."""
    tick.fail("a", "b", "c")
    failed = dg.DagsterEventType.RUN_FAILURE
    events = tick.instance.fetch_run_status_changes(failed, limit=9, ascending=True).records
    last = events[seen - 1].storage_id if seen else -1
    tick.cursor = RunStatusSensorCursor(last, record_timestamp="2026-01-01T00:00:00+00:00").to_json()
    tick()
    assert webhook.taken == ["a", "b", "c"][seen:]


@pytest.mark.parametrize("cursor", ["", "x", "[]", "7", '{"after": "x"}', '{"refused": [1]}', '{"after": {}}'])
def test_what_is_no_cursor_begins_anew(tick: Ticks, webhook: Webhook, cursor: str) -> None:
    tick.fail("a")
    tick.cursor = cursor
    assert tick() == "1 alert(s) sent."


def test_an_event_that_has_just_come_waits_for_those_with_lower_numbers(tick: Ticks, webhook: Webhook) -> None:
    tick.fail("a")
    tick.clock.time = time.time()
    assert tick() == "No run has failed."
    tick.clock.time += 60
    assert tick() == "1 alert(s) sent."
    tick.clock.time -= 3600  # the event is of a machine whose clock is ahead
    tick.fail("b")
    assert tick() == "1 alert(s) sent."


def test_a_run_that_was_declared_dead_and_then_failed_itself_is_told_once(tick: Ticks, webhook: Webhook) -> None:
    (run,) = tick.fail("its process is gone")
    assert tick() == "1 alert(s) sent."
    tick.instance.report_run_failed(run, "by itself")
    assert tick() == "No run has failed."
    assert webhook.taken == ["its process is gone"]


def test_a_run_that_was_deleted_is_passed_over(tick: Ticks, webhook: Webhook) -> None:
    webhook.answer = lambda message: 400 if message["cause"] == "refused" else 200
    unsent, refused = tick.fail("unsent", "refused")
    tick.instance.delete_run(unsent.run_id)
    assert "1 refused" in tick()
    tick.instance.delete_run(refused.run_id)
    tick.clock.time += 61
    assert tick() == "No run has failed."
    assert webhook.taken == []


def test_a_cursor_comes_back_as_it_was_written() -> None:
    outbox = Outbox(7, (Refused("r", 1.5, 2, 3.5),), 9.0)
    assert Outbox.read(outbox.text()) == outbox


@pytest.mark.parametrize("letter", ["x", "ü", "😀", "\n", "\0", '"', "\ud83d"])
def test_a_message_too_long_is_cut_in_its_text_and_stays_json(letter: str) -> None:
    run = dg.DagsterRun(job_name="orders_job", tags={"dagster/partition": letter * 90_000})
    message = alert(run, letter * 90_000)
    assert len(as_json(message)) < 40_000
    assert json.loads(as_json(message)) == message
    assert message["cause"].endswith("…")
    assert message["run_id"] == run.run_id
    assert 15_950 < len(json.dumps(message["cause"], ensure_ascii=False).encode()) <= 16_002


@given(st.text(st.characters(exclude_categories=()), max_size=60), st.integers(3, 80))
def test_a_cut_text_is_a_beginning_that_fits_and_any_encoding_takes_it(text: str, most: int) -> None:
    made = cut(text, most)
    assert len(json.dumps(made, ensure_ascii=False).encode()) - 2 <= most
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert made == clean or (made.endswith("…") and clean.startswith(made[:-1]))
    if len(json.dumps(clean, ensure_ascii=False).encode()) - 2 <= most:
        assert made == clean


@pytest.fixture
def topic(aws: AwsDouble) -> str:
    return boto3.client("sns").create_topic(Name="alerts")["TopicArn"]


def test_who_subscribes_to_the_topic_is_told_of_a_failed_run_although_sns_stumbles(aws: AwsDouble, topic: str) -> None:
    queues = boto3.client("sqs")
    queue = queues.create_queue(QueueName="inbox")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    with dg.DagsterInstance.ephemeral() as instance:
        tick = Ticks(instance, topic)
        fail("Kein gültiges Datum.", ValueError).execute_in_process(
            instance=instance, raise_on_error=False, tags={"dagster/partition": "shop"}
        )
        aws.add_fault("sns:Publish", "InternalError", status=500, times=2 * HURRIED_ATTEMPTS)
        assert tick().startswith("1 alert(s) sent.")
    assert tick.clock.slept == [0.5, 1.0]
    (message,) = queues.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == "OptiFlow: orders_training_job of shop failed"
    assert json.loads(told["Message"])["cause"].endswith("Kein gültiges Datum.")


def test_a_topic_that_is_not_there_is_told(topic: str) -> None:
    with pytest.raises(UserError, match="OPTIFLOW_ALERT_URL"):
        publish(f"{topic}-gone", alert(dg.DagsterRun(job_name="orders_job"), "Why"))


def test_a_missing_topic_keeps_the_alert_until_it_is_made(topic: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        tick = Ticks(instance, f"{topic}-later")
        tick.fail("a")
        assert "1 refused alert(s) are tried again. OPTIFLOW_ALERT_URL: there is no topic" in tick()
        boto3.client("sns").create_topic(Name="alerts-later")
        tick.clock.time += 61
        assert tick() == "1 alert(s) sent."


def test_a_cause_of_any_length_and_letters_fits_into_sns(topic: str) -> None:
    for letter in ("ü", "\0", "\ud83d"):
        publish(topic, alert(dg.DagsterRun(job_name="ö" * 200, tags={"dagster/partition": "a\nb"}), letter * 300_000))

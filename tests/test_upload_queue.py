"""`uploads_sensor` in queue mode, over a real SQS protocol and S3."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from aws_double.client import REGION, AwsDouble
from dagster._core.definitions.run_request import SkipReason
from queued_runs import asked_run, status_of, stored_run
from s3_events import bridged, by_sns, direct

from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.upload_events import _read
from optiflow_dagster.sensors.upload_events_decision import read_progress
from optiflow_dagster.sensors.uploads_cursor import recall
from resources.adapters import Adapters
from resources.settings import load_settings
from resources.storage import S3Storage
from resources.upload_events import UploadEvent
from resources.upload_queue import Message

BUCKET = "optiflow-queue-test"


class Queue:
    """The sensor over a queue and a bucket, ticked like the daemon does it."""

    def __init__(self, home: Path) -> None:
        s3, self.sqs = boto3.client("s3"), boto3.client("sqs")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.url = self.sqs.create_queue(QueueName="uploads")["QueueUrl"]
        settings = load_settings(
            home=home,
            env="aws",
            storage=f"s3://{BUCKET}/team",
            sagemaker_role_arn="arn:aws:iam::123456789012:role/r",
            upload_queue_url=self.url,
        )
        storage = Adapters.of(settings).storage
        assert isinstance(storage, S3Storage)
        self.storage = storage
        self.repository = build_definitions(settings).get_repository_def()
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None

    def put(self, name: str, sequencer: str = "01", data: bytes = b"a\n1\n") -> UploadEvent:
        """Write an object and return the event that S3 makes of it."""
        self.storage.write_bytes(f"uploads/{name}", data)
        found = self.storage.stat(f"uploads/{name}")
        assert found is not None
        return UploadEvent(BUCKET, f"team/uploads/{name}", found.size, found.etag, sequencer, "t")

    def send(self, *bodies: str | dict[str, Any]) -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.sqs.send_message(QueueUrl=self.url, MessageBody=text)

    def tick(self, keep: bool = True) -> dg.SensorResult | SkipReason:
        """One tick; without `keep` Dagster died before it recorded anything."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"storage": self.storage},
        )
        result: Any = self.repository.get_sensor_def("uploads_sensor")(context)
        if keep and isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
        return result

    def requests(self, keep: bool = True) -> list[tuple[str, str]]:
        result = self.tick(keep)
        assert isinstance(result, dg.SensorResult), result
        return sorted((str(r.partition_key), str(r.run_key)) for r in result.run_requests or [])

    def said(self) -> str:
        result = self.tick()
        if isinstance(result, SkipReason):
            return str(result.skip_message)
        assert not result.run_requests
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def left(self) -> int:
        """Messages that were not deleted, seen or not."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))["Attributes"]
        return sum(int(found[name]) for name in names)

    def show_again(self) -> None:
        """As if the time were over for which received messages are hidden."""
        for receipt in read_progress(recall(self.storage, self.cursor).text).receipts:
            self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=0)


@pytest.fixture
def queue(aws: AwsDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    made = Queue(tmp_path)
    with made.instance:
        yield made


def test_a_message_becomes_a_request_and_is_deleted_by_the_next_tick(queue: Queue) -> None:
    queue.send(direct(queue.put("orders/My Shop+ü.csv")))
    result = queue.tick()
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    assert (request.job_name, request.partition_key) == ("orders_training_job", "my-shop-u")
    (added,) = result.dynamic_partitions_requests or []
    assert added.partition_keys == ["my-shop-u"]
    assert queue.left() == 1
    assert queue.said() == "No new upload in the queue."
    assert queue.left() == 0


@pytest.mark.parametrize("form", [direct, bridged, lambda e: by_sns(direct(e)), lambda e: by_sns(bridged(e))])
def test_events_come_by_every_way_that_aws_has(queue: Queue, form: Any) -> None:
    queue.send(form(queue.put("orders/a.csv")))
    assert [dataset for dataset, _ in queue.requests()] == ["a"]


def test_if_dagster_dies_before_it_has_recorded_the_requests_they_come_again_with_the_same_run_key(
    queue: Queue,
) -> None:
    queue.send(direct(queue.put("orders/a.csv")))
    result = queue.tick(keep=False)
    assert isinstance(result, dg.SensorResult)
    lost = [(str(r.partition_key), str(r.run_key)) for r in result.run_requests or []]
    died_with, queue.cursor = queue.cursor, result.cursor
    queue.show_again()
    queue.cursor = died_with
    assert queue.requests() == lost
    queue.said()
    assert queue.left() == 0


def test_a_run_that_still_waits_in_the_queue_is_dropped_when_its_object_was_changed(queue: Queue) -> None:
    queue.send(direct(queue.put("orders/a.csv")))
    result = queue.tick()
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    waiting = asked_run(queue.instance, request, "uploads_sensor")
    queue.send(direct(queue.put("orders/a.csv", "02", b"a\n2\n")))
    assert [dataset for dataset, _ in queue.requests()] == ["a"]
    assert status_of(queue.instance, waiting) is dg.DagsterRunStatus.CANCELED


def test_a_message_that_comes_twice_is_requested_once(queue: Queue) -> None:
    message = direct(queue.put("orders/a.csv"))
    queue.send(message, message)
    assert len(queue.requests()) == 1
    queue.send(message)
    assert queue.said() == "No new upload in the queue."
    queue.said()
    assert queue.left() == 0


def test_messages_that_are_not_from_s3_are_kept_and_named_once_and_stop_no_other(queue: Queue) -> None:
    queue.send("not JSON", '{"hello": 1}', direct(queue.put("orders/a.csv")))
    assert [dataset for dataset, _ in queue.requests()] == ["a"]
    kept = sorted(queue.storage.read_bytes(item.key) for item in queue.storage.list("lake/unreadable-messages"))
    assert kept == [b"not JSON", b'{"hello": 1}']
    assert queue.said() == "No new upload in the queue."
    assert queue.left() == 0
    queue.send("again")
    said = queue.said()
    assert said.startswith("A message of the upload queue cannot be read: not JSON")
    assert f"s3://{BUCKET}/team/lake/unreadable-messages/" in said


def test_events_that_no_database_could_record_are_kept_and_stop_no_other(queue: Queue) -> None:
    good = queue.put("orders/a.csv")
    poison = [bridged(replace(good, key="team/uploads/orders/\ud800.csv")), direct(replace(good, etag="\0"))]
    endless = json.dumps(direct(replace(good, size=987654321))).replace("987654321", "1e999")
    queue.send(*poison, endless, direct(good), direct(replace(good, key="team/uploads/orders/b\n.csv")))
    assert [dataset for dataset, _ in queue.requests()] == ["a"]
    kept = [queue.storage.read_bytes(item.key).decode() for item in queue.storage.list("lake/unreadable-messages")]
    assert sorted(kept) == sorted([*map(json.dumps, poison), endless])
    assert queue.said() == "No new upload in the queue."
    assert queue.left() == 0


def test_a_body_that_is_no_utf8_is_kept_with_every_bit_of_it(queue: Queue) -> None:
    context = dg.build_sensor_context(instance=queue.instance)
    told, (note,) = _read(context, queue.storage, [Message("1", "r", "\ud800 not JSON")])
    (item,) = queue.storage.list("lake/unreadable-messages")
    assert (told, queue.storage.read_bytes(item.key)) == ({"r": []}, b"\xed\xa0\x80 not JSON")
    assert note.endswith(f"It was moved to {queue.storage.uri_for(item.key)}.")


def test_a_bucket_that_tells_of_all_its_objects_falls_silent_after_an_upload(queue: Queue) -> None:
    arn = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    everything = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    boto3.client("s3").put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=everything)
    queue.put("orders/a.csv")
    assert [dataset for dataset, _ in queue.requests()] == ["a"]
    for _ in range(3):
        assert queue.said() == "No new upload in the queue."
    before = queue.cursor
    assert queue.said() == "No new upload in the queue."
    assert (queue.left(), queue.cursor) == (0, before)


def test_the_event_that_s3_sends_as_a_test_is_deleted(queue: Queue) -> None:
    queue.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET})
    assert queue.said() == "No new upload in the queue."
    queue.said()
    assert queue.left() == 0


def test_options_alone_run_a_table_that_is_there_and_wait_for_one_that_is_not(queue: Queue) -> None:
    queue.send(direct(queue.put("orders/late.csv.options.yaml")))
    assert queue.said() == "No new upload in the queue."
    queue.send(direct(queue.put("orders/late.csv", "02")))
    assert [dataset for dataset, _ in queue.requests()] == ["late"]
    queue.send(direct(queue.put("orders/late.csv.options.yaml", "03")))
    assert [dataset for dataset, _ in queue.requests()] == ["late"]


def test_options_that_are_removed_from_the_bucket_run_their_table_again(queue: Queue) -> None:
    """The events come from the bucket itself, by the notifications that the docs ask for."""
    arn = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    asked = (Path(__file__).parents[1] / "deploy" / "upload-events.json").read_text()
    asked = asked.replace("arn:aws:sqs:REGION:ACCOUNT_ID:QUEUE_NAME", arn).replace("PREFIX", "team")
    s3 = boto3.client("s3")
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=json.loads(asked))
    queue.put("orders/a.csv.options.yaml")
    queue.put("orders/a.csv")
    ((_, first),) = queue.requests()
    s3.delete_object(Bucket=BUCKET, Key="team/uploads/orders/a.csv.options.yaml")
    ((dataset, second),) = queue.requests()
    assert dataset == "a"
    assert second != first
    s3.delete_object(Bucket=BUCKET, Key="team/uploads/orders/a.csv")
    assert queue.said() == "No new upload in the queue."


def test_what_the_queue_has_told_leaves_the_cursor_short(queue: Queue) -> None:
    events = [queue.put("orders/a.csv", f"{n:02x}") for n in range(60)]
    for start in range(0, 60, 10):
        entries = [{"Id": str(n), "MessageBody": json.dumps(direct(events[start + n]))} for n in range(10)]
        queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
    for _ in range(3):
        queue.requests()
    memory = read_progress(recall(queue.storage, queue.cursor).text)
    assert (len(memory.receipts), len(memory.known)) == (20, 60)
    assert len(str(queue.cursor)) < 500


def test_a_name_that_cannot_be_a_dataset_is_named_and_stops_no_other(queue: Queue) -> None:
    queue.send(direct(queue.put("orders/---.csv")))
    assert "---.csv" in queue.said()
    queue.send(direct(queue.put("orders/a.csv"), queue.put("orders/notes.pdf")))
    assert [dataset for dataset, _ in queue.requests()] == ["a"]


def test_a_tick_takes_a_bounded_number_and_the_next_ones_the_rest(queue: Queue, aws: AwsDouble) -> None:
    events = [queue.put(f"orders/f{n:02}.csv") for n in range(50)]
    for start in range(0, 50, 10):
        entries = [{"Id": str(n), "MessageBody": json.dumps(direct(events[start + n]))} for n in range(10)]
        queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
    aws.clear_requests()
    asked = [queue.requests()]
    assert len(aws.requests("sqs:ReceiveMessage")) == 2
    asked += [queue.requests(), queue.requests()]
    assert [len(requests) for requests in asked] == [20, 20, 10]
    assert len({dataset for requests in asked for dataset, _ in requests}) == 50
    queue.said()
    assert queue.left() == 0


def test_messages_wait_in_their_queue_while_enough_runs_of_uploads_wait_in_dagsters(queue: Queue) -> None:
    for number in range(99):
        tags = {"dagster/sensor_name": "uploads_sensor"}
        stored_run(queue.instance, "orders_training_job", f"waiting-{number}", tags)
    queue.send(*(direct(queue.put(f"orders/{name}.csv")) for name in "ab"))
    assert len(queue.requests()) == 1
    stored_run(queue.instance, "orders_training_job", "waiting-99", tags)
    queue.said()
    assert queue.left() == 1


@pytest.mark.parametrize(
    ("operation", "code", "words"),
    [
        ("sqs:ReceiveMessage", "ServiceUnavailable", "just now"),
        ("sqs:ReceiveMessage", "AccessDenied", "access is denied"),
        ("sqs:DeleteMessageBatch", "ThrottlingException", "just now"),
        ("s3:PutObject", "SlowDown", "just now"),
    ],
)
def test_a_fault_skips_the_tick_and_nothing_is_lost_or_doubled(
    queue: Queue, aws: AwsDouble, operation: str, code: str, words: str
) -> None:
    queue.send(direct(queue.put("orders/a.csv")), "not JSON")
    if operation == "sqs:DeleteMessageBatch":
        assert len(queue.requests()) == 1
    cursor, left = queue.cursor, queue.left()
    aws.add_fault(operation, code, status=503, times=None)
    said = queue.said()
    assert said.startswith("Cannot read the upload queue: ")
    assert words in said
    assert (queue.cursor, queue.left()) == (cursor, left)
    assert left == (1 if operation == "sqs:DeleteMessageBatch" else 2)


def test_a_queue_that_does_not_exist_names_the_variable(queue: Queue) -> None:
    queue.sqs.delete_queue(QueueUrl=queue.url)
    assert "Mend OPTIFLOW_UPLOAD_QUEUE_URL" in queue.said()


def test_a_folder_is_taken_once_for_all_that_came_and_again_when_it_is_due(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    queue.send(direct(queue.put("orders/My Shop/day=1/a.csv", "01"), queue.put("orders/My Shop/b.csv", "02")))
    assert queue.said() == "Folders that collect files until they are due: 1."
    now += 3 * 10**9
    (first,) = queue.requests()
    assert first[0] == "my-shop"
    assert queue.left() == 0
    queue.send(direct(queue.put("orders/My Shop/c.csv", "03")))
    now += 3600 * 10**9
    assert queue.said() == queue.said() == "Folders that collect files until they are due: 1."
    now += 86_400 * 10**9
    (second,) = queue.requests()
    assert (second[0], second[1] != first[1]) == ("my-shop", True)
    assert queue.said() == "No new upload in the queue."


def test_new_options_of_a_folder_do_not_wait_until_it_is_due(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    queue.send(direct(queue.put("orders/shop.options.yaml", "01", b"retrain_every: 1w\n")))
    assert queue.said() == "No new upload in the queue."  # there is no folder yet
    queue.send(direct(queue.put("orders/shop/a.csv", "02")))
    queue.said()
    now += 3 * 10**9
    assert [dataset for dataset, _ in queue.requests()] == ["shop"]
    queue.send(direct(queue.put("orders/shop/b.csv", "03")))
    now += 6 * 86_400 * 10**9
    assert "until they are due: 1." in queue.said()
    queue.send(direct(queue.put("orders/shop.options.yaml", "04", b"retrain_every: 2w\n")))
    queue.said()
    now += 3 * 10**9
    assert [dataset for dataset, _ in queue.requests()] == ["shop"]


def test_if_what_is_remembered_is_lost_what_came_to_a_folder_is_not(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    queue.send(direct(queue.put("orders/shop/a.csv")))
    queue.said()
    for memory in list(queue.storage.walk("lake/uploads-sensor")):
        queue.storage.write_bytes(memory.key, b"{}")
    now += 3 * 10**9
    queue.tick()
    now += 3 * 10**9
    assert [dataset for dataset, _ in queue.requests()] == ["shop"]

"""`uploads_sensor` that lists a bucket: what is denied or does not answer stops no other pipeline and no tick."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from aws_double.client import REGION, AwsDouble
from dagster._core.definitions.run_request import SkipReason

from optiflow.pipelines import PIPELINES
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors import uploads
from resources.aws import client as aws_client
from resources.settings import load_settings
from resources.storage import S3Storage

BUCKET = "optiflow-listing-test"
DAGSTER_ENDS_A_TICK_AFTER_SECONDS = 60


class Ticks:
    """The sensor over a bucket, ticked like the daemon does it."""

    def __init__(self, home: Path) -> None:
        self.storage, self.cursor = S3Storage(uri=f"s3://{BUCKET}/team"), None
        self.repository = build_definitions(load_settings(home=home, upload_settle_seconds=0)).get_repository_def()
        self.instance = dg.DagsterInstance.ephemeral()

    def __call__(self) -> tuple[list[str], str]:
        """The run keys that a tick asks for, and what it says."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"storage": self.storage},
        )
        result: Any = self.repository.get_sensor_def("uploads_sensor")(context)
        if isinstance(result, SkipReason):
            return [], str(result.skip_message)
        self.cursor = result.cursor
        said = result.skip_reason.skip_message if result.skip_reason else ""
        return [str(request.run_key) for request in result.run_requests or []], said


@pytest.fixture
def tick(aws: AwsDouble, tmp_path: Path) -> Iterator[Ticks]:
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    made = Ticks(tmp_path)
    with made.instance:
        yield made


def put(tick: Ticks, key: str, data: bytes = b"a\n1\n") -> None:
    tick.storage.write_bytes(f"uploads/{key}", data)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's times have a grain of a second: what was put just now is complete."""
    later = time.time_ns() + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: later)


@pytest.mark.usefixtures("later")
def test_a_denied_folder_skips_its_pipeline_alone(tick: Ticks, aws: AwsDouble) -> None:
    put(tick, "orders/a.csv")
    put(tick, "turnover/b.csv")
    aws.add_fault("s3:ListObjectsV2", "AccessDenied", status=403, times=None, key_pattern="*/orders/*")
    keys, _ = tick()
    assert [key.partition("@")[0] for key in keys] == ["turnover/b.csv"]
    keys, said = tick()
    assert keys == []
    assert said.startswith(f"Cannot list s3://{BUCKET}/team/uploads/orders/: access is denied. Allow s3:ListBucket")
    aws.clear_faults()
    keys, _ = tick()
    assert [key.partition("@")[0] for key in keys] == ["orders/a.csv"]


@pytest.mark.usefixtures("later")
def test_options_that_are_removed_from_the_bucket_request_their_table_again(tick: Ticks) -> None:
    put(tick, "orders/a.csv")
    put(tick, "orders/a.csv.options.yaml", b"target: a")
    (first,), _ = tick()
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="team/uploads/orders/a.csv.options.yaml")
    (second,), _ = tick()
    assert first != second
    assert tick()[0] == []


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(("patience", "listed"), [(600, len(PIPELINES)), (0, 1)])
def test_with_s3_down_a_tick_asks_each_folder_twice_at_most_and_none_when_it_has_waited(
    tick: Ticks, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, patience: int, listed: int
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", patience)
    put(tick, "orders/a.csv")
    assert len(tick()[0]) == 1
    cursor = tick.cursor
    aws.clear_requests()
    aws.add_fault("s3:ListObjectsV2", drop=True, times=None)
    keys, said = tick()
    assert (keys, tick.cursor) == ([], cursor)
    assert f"Cannot list s3://{BUCKET}/team/uploads/orders/ just now" in said
    assert len(aws.requests("s3:ListObjectsV2")) == listed * aws_client.HURRIED_ATTEMPTS
    assert said.count(" is left for the next tick.") == len(PIPELINES) - listed
    aws.clear_faults()
    put(tick, "orders/b.csv")
    assert [key.partition("@")[0] for key in tick()[0]] == ["orders/b.csv"]


def test_where_nobody_answers_a_tick_gives_up_and_keeps_its_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_client, "HURRIED_READ_SECONDS", 0.2)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIADOUBLE",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",  # pragma: allowlist secret
        }.items():
            monkeypatch.setenv(name, value)
        tick = Ticks(tmp_path)
        with tick.instance:
            keys, said = tick()
        silent.settimeout(0)
        calls = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                calls += 1
    assert (keys, tick.cursor) == ([], None)
    assert said.startswith("Cannot read or write what the sensor remembers: ")
    assert calls == (len(PIPELINES) + 1) * aws_client.HURRIED_ATTEMPTS


def test_a_tick_that_waits_as_long_as_it_may_ends_before_dagster_ends_it() -> None:
    """One listing that begins at the last moment, then the memory."""
    longest = uploads.PATIENCE_SECONDS + 2 * aws_client.HURRIED_SECONDS
    assert longest < DAGSTER_ENDS_A_TICK_AFTER_SECONDS

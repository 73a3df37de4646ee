"""A tick of `uploads_sensor` over a bucket: by listing it, and by the queue that S3 tells of uploads.

The server is the test double over real HTTP, and most of a listing is boto3 reading its answers, so the sides that list
share one server and one client. The best of the turns counts: another process on the machine only ever slows one down.
All objects were put within the last hour, which the sensor reads again in each tick, and thousands within one second:
the most that a position has to remember.
"""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from benchmarks.aws_server import aws_server, make_bucket
from benchmarks.figure import Figure
from benchmarks.measuring import in_turns, timed
from benchmarks.peers.list_bucket import objects_since, walk
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.uploads import S3_OVERLAP
from optiflow_dagster.sensors.uploads_decision import RUNS_AHEAD, Position, choose_uploads, write_cursor
from resources.aws.client import client
from resources.landing import landing_prefix, pair_files
from resources.settings import load_settings
from resources.storage import UPLOADS, S3Storage

if TYPE_CHECKING:
    from aws_double.client import AwsDouble

PIPELINE = "orders"
ROLE = "arn:aws:iam::123456789012:role/bench"
KNOWN, FEW, NEW, TURNS = 100_000, 100, 100, 2
QUICK_KNOWN, QUICK_TURNS = 2_000, 1
LISTING_LIMIT, QUEUE_LIMIT_SECONDS = 1.3, 2.0


class Watched:
    """A bucket that holds `objects` uploads, and the sensor that watches it."""

    def __init__(
        self, server: "AwsDouble", home: Path, bucket: str, objects: int, queue_url: str | None = None
    ) -> None:
        self.bucket, self.prefix = make_bucket(bucket), f"{landing_prefix(PIPELINE)}/"
        self._server, self._cursor, self._uploads = server, None, 0
        settings = load_settings(
            home=home,
            env="aws",
            storage=f"s3://{bucket}",
            sagemaker_role_arn=ROLE,
            upload_settle_seconds=0,
            upload_queue_url=queue_url,
        )
        self.storage = S3Storage(uri=settings.storage_uri)
        self._definitions = build_definitions(settings)
        self._sensor = self._definitions.resolve_sensor_def("uploads_sensor")
        server.seed_objects(bucket, self.new_keys(objects))

    def new_keys(self, count: int) -> list[str]:
        """Keys for so many further uploads."""
        first, self._uploads = self._uploads, self._uploads + count
        return [f"{self.prefix}orders-{number:06d}.csv" for number in range(first, self._uploads)]

    def know_all(self) -> datetime:
        """Let the sensor know every object that is there; the time of the last one, UTC."""
        landed = pair_files(self.storage.list(landing_prefix(PIPELINE)))
        known = choose_uploads(
            landed, Position(), now_ns=time.time_ns(), settle_ns=0, limit=len(landed), overlap=S3_OVERLAP
        )
        self._cursor = write_cursor({PIPELINE: known.position})
        return datetime.fromtimestamp(known.position.at_ns / 1e9, UTC)

    def tick(self, instance: dg.DagsterInstance, *, move: bool) -> list[dg.RunRequest]:
        """What one tick asks for; the cursor moves as the daemon moves it, or stays so that the tick can be repeated."""
        with dg.build_sensor_context(
            instance_ref=instance.get_ref(),  # as the code server has it
            cursor=self._cursor,
            definitions=self._definitions,
            resources={"storage": self.storage},
        ) as context:
            result = self._sensor.evaluate_tick(context)
        if move:
            self._cursor = result.cursor
        return list(result.run_requests or [])

    def listing_seconds(self, instance: dg.DagsterInstance) -> float:
        """How long a tick takes that lists the bucket and asks for the new objects."""
        requests, seconds = timed(partial(self.tick, instance, move=False))
        return _checked(requests, seconds, RUNS_AHEAD)

    def queue_seconds(self, instance: dg.DagsterInstance) -> float:
        """How long ticks take that read the messages of new uploads, and delete those of the tick before."""
        for key in self.new_keys(NEW):
            client("s3").put_object(Bucket=self.bucket, Key=key, Body=b"x")
        ticks = [timed(partial(self.tick, instance, move=True)) for _ in range(NEW // RUNS_AHEAD)]
        return _checked([one for requests, _ in ticks for one in requests], sum(seconds for _, seconds in ticks), NEW)


def _checked(requests: list[dg.RunRequest], seconds: float, wanted: int) -> float:
    if len({request.run_key for request in requests}) != wanted:
        raise SystemExit(f"The sensor asked for {len(requests)} runs, not for {wanted} of the new uploads.")
    return seconds


def listing_figures(
    server: "AwsDouble", home: Path, instance: dg.DagsterInstance, known: int, turns: int
) -> list[Figure]:
    """`known` objects that the sensor knows and a hundred new ones, listed in turns with both peers."""
    watched = Watched(server, home, "listed", known)
    last = watched.know_all()
    server.seed_objects(watched.bucket, watched.new_keys(NEW))
    s3 = client("s3")
    seconds = in_turns(
        turns,
        ours=partial(watched.listing_seconds, instance),
        walk=lambda: timed(partial(walk, s3, watched.bucket, watched.prefix))[1],
        dagster_aws=lambda: timed(partial(objects_since, s3, watched.bucket, watched.prefix, last))[1],
    )
    ours, bare, theirs = (min(seconds[side]) for side in ("ours", "walk", "dagster_aws"))
    return [
        Figure("uploads-tick-s3", ours, bare, "s", "ratio", LISTING_LIMIT),
        Figure("uploads-tick-dagster-aws", ours, theirs, "s", "ratio", LISTING_LIMIT),
    ]


def queue_figure(server: "AwsDouble", home: Path, instance: dg.DagsterInstance, known: int, turns: int) -> Figure:
    """A hundred messages, which is what some ticks read, from a bucket of `known` objects and from one of a hundred."""
    many, few = (
        Watched(server, home, f"told-{name}", objects, told_queue(f"told-{name}"))
        for name, objects in (("many", known), ("few", FEW))
    )
    for watched in (many, few):
        tell(watched.bucket)
        watched.tick(instance, move=True)  # reads the test event that S3 begins with
    seconds = in_turns(turns, many=partial(many.queue_seconds, instance), few=partial(few.queue_seconds, instance))
    return Figure("uploads-tick-sqs", min(seconds["many"]), min(seconds["few"]), "s", "ours", QUEUE_LIMIT_SECONDS)


def told_queue(name: str) -> str:
    """Make a queue; its address."""
    return client("sqs").create_queue(QueueName=name)["QueueUrl"]


def tell(bucket: str) -> None:
    """Let S3 tell the queue of the bucket's name of each upload, as `deploy/upload-events.json` does."""
    sqs: Any = client("sqs")
    url = sqs.get_queue_url(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    landing = {"Name": "prefix", "Value": f"{UPLOADS}/"}  # what the sensor itself writes would count as a message
    told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [landing]}}}
    wanted = {"QueueConfigurations": [told]}
    client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    known, turns = (QUICK_KNOWN, QUICK_TURNS) if quick else (KNOWN, TURNS)
    with aws_server() as server, TemporaryDirectory() as name, dg.instance_for_test() as instance:
        listed = listing_figures(server, Path(name), instance, known, turns)
        return [*listed, queue_figure(server, Path(name), instance, known, turns)]

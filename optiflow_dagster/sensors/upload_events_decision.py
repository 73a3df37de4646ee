"""Which uploads follow from the events of a queue: the pure part of `uploads_sensor` in queue mode."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow_dagster.sensors.uploads_decision import load_cursor
from resources.storage import UPLOADS
from resources.upload_events import UploadEvent

REMEMBERED = 500
"""So many of the last events are known again when their message comes twice."""


@dataclass(frozen=True)
class Progress:
    """What the last tick left: messages to delete now that its requests are recorded, and the events it has read."""

    receipts: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """A table that was uploaded, or whose options were. `key` is relative to the storage."""

    pipeline: str
    name: str
    key: str
    event: UploadEvent
    options_only: bool

    @property
    def run_key(self) -> str:
        """The same whenever the same event comes."""
        return f"{self.pipeline}/{self.name}@{self.event.etag}@{self.event.sequencer or self.event.time}"


@dataclass(frozen=True)
class Reading:
    """What the events of one tick come to."""

    arrivals: list[Arrival] = field(default_factory=list)
    known: tuple[str, ...] = ()
    passed_over: list[str] = field(default_factory=list)
    """Why an event leads to nothing, for the tick's message."""


def read_events(
    events: Iterable[UploadEvent], known: Sequence[str], *, bucket: str, prefix: str, pipelines: Collection[str]
) -> Reading:
    """One arrival for each table that the events are about, in the order of its newest event.

    Args:
        events: Events of all messages.
        known: Digests of events that were read before.
        bucket: The storage's bucket.
        prefix: The storage's prefix in it, without slashes at its ends; may be empty.
        pipelines: Names of pipelines, which are the folders below `uploads/`.

    Events of other buckets and of keys outside of the landing folders (our own tables, if the bucket reports them) are
    passed over in silence.
    """
    seen = dict.fromkeys(known)
    newest: dict[str, Arrival] = {}
    passed_over: list[str] = []
    landing = _landing(prefix)
    for event in sorted(events, key=lambda event: event.order):
        digest = _digest(event)
        if digest in seen or not is_upload(event, bucket=bucket, prefix=prefix):
            continue
        seen[digest] = None
        pipeline, _, name = event.key.removeprefix(landing).partition("/")
        if not name or name.startswith("."):
            continue
        if pipeline not in pipelines or "/" in name:
            passed_over.append(f"{event.key} is not in the landing folder of a pipeline.")
            continue
        options = name.endswith(OPTIONS_SUFFIX)
        table = name.removesuffix(OPTIONS_SUFFIX)
        if event.size == 0 and not options:
            passed_over.append(f"{name} is empty.")
            continue
        earlier = newest.pop(f"{pipeline}/{table}", None)
        only = options and (earlier is None or earlier.options_only)
        newest[f"{pipeline}/{table}"] = Arrival(pipeline, table, f"{UPLOADS}/{pipeline}/{table}", event, only)
    return Reading(list(newest.values()), tuple(seen)[-REMEMBERED:], passed_over)


def is_upload(event: UploadEvent, *, bucket: str, prefix: str) -> bool:
    """Whether the event is about something in the landing place; arguments as in `read_events`."""
    return event.bucket == bucket and event.key.startswith(_landing(prefix))


def _landing(prefix: str) -> str:
    return "/".join(part for part in (prefix, UPLOADS) if part) + "/"


def read_progress(text: str | None) -> Progress:
    """The progress in a cursor; a cursor that is not ours is none."""
    queue = load_cursor(text).get("queue")
    if not isinstance(queue, dict):
        return Progress()
    return Progress(tuple(queue.get("receipts", ())), tuple(queue.get("known", ())))


def write_progress(text: str | None, progress: Progress) -> str:
    """The cursor with this progress; what listing mode has written into it stays."""
    queue = {"receipts": progress.receipts, "known": progress.known}
    return json.dumps({**load_cursor(text), "queue": queue})


def _digest(event: UploadEvent) -> str:
    whole = "\0".join((event.bucket, event.key, event.etag, event.sequencer, event.time))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]

"""Which uploads follow from the events of a queue: the pure part of `uploads_sensor` in queue mode."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow_dagster.sensors.uploads_decision import load_cursor
from resources.landing import ASIDE
from resources.storage import HIDDEN, UPLOADS
from resources.upload_events import UploadEvent

REMEMBERED = 500
"""So many of the last events are known again when their message comes twice."""


@dataclass(frozen=True)
class Drops:
    """What is new in a folder of files: the run key that it leads to, None if it was taken, and times in nanoseconds.

    `quiet_ns` is when the last of it came; the folder is not taken before `due_ns`, unless its options are new.
    """

    run_key: str | None = None
    quiet_ns: int = 0
    due_ns: int = 0


@dataclass(frozen=True)
class Progress:
    """What the last tick left.

    `receipts` are of messages to delete now that their requests are recorded, `known` the events that were read, and
    `folders` is `<pipeline>/<folder>` -> what is new there.
    """

    receipts: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    folders: Mapping[str, Drops] = field(default_factory=dict)


@dataclass(frozen=True)
class Arrival:
    """A table that was uploaded, or whose options were. `key` is relative to the storage.

    `in_folder` is for a file in a folder of files; name and key are the folder's then.
    """

    pipeline: str
    name: str
    key: str
    event: UploadEvent
    options_only: bool
    in_folder: bool = False
    new_options: bool = False

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
        name, inside, below = name.partition("/")
        if not name or name.startswith(HIDDEN) or (inside and _is_aside(name, below)):
            continue
        if pipeline not in pipelines:
            passed_over.append(f"{event.key} is not in the landing folder of a pipeline.")
            continue
        options = name.endswith(OPTIONS_SUFFIX)
        table = name.removesuffix(OPTIONS_SUFFIX)
        if event.size == 0 and not options:
            passed_over.append(f"{name}{inside}{below} is empty.")
            continue
        if inside and below.endswith(OPTIONS_SUFFIX):
            passed_over.append(f"{event.key}: the options of a folder lie beside it, as {name}{OPTIONS_SUFFIX}.")
            continue
        earlier = newest.pop(f"{pipeline}/{table}", None)
        only = options and (earlier is None or earlier.options_only)
        in_folder = bool(inside) or (earlier is not None and earlier.in_folder)
        fresh = options or (earlier is not None and earlier.new_options)
        key = f"{UPLOADS}/{pipeline}/{table}"
        newest[f"{pipeline}/{table}"] = Arrival(pipeline, table, key, event, only, in_folder, fresh)
    return Reading(list(newest.values()), tuple(seen)[-REMEMBERED:], passed_over)


def _is_aside(folder: str, below: str) -> bool:
    """Whether a key in a folder is none of its files: hidden, put aside, or the mark of an empty folder."""
    parts = below.split("/")
    return not parts[-1] or any(part.startswith((*HIDDEN, ASIDE)) for part in (folder, *parts))


def take_folders(
    folders: Mapping[str, Drops],
    new: Mapping[str, str],
    at_once: Collection[str],
    *,
    now_ns: int,
    settle_ns: int,
    pause_ns: Callable[[str], int],
) -> tuple[dict[str, str], dict[str, Drops]]:
    """The folders whose drops are complete and due.

    Args:
        folders: What was new before, by `<pipeline>/<folder>`.
        new: The folders that something has come to since, and the run keys of the newest events.
        at_once: Those whose options are new: they do not wait until they are due.
        now_ns: The time, in nanoseconds since 1970.
        settle_ns: How long nothing must have come.
        pause_ns: How long a folder that is taken now only collects afterwards.

    Returns:
        The folders to take, with their run keys, and what is new afterwards.
    """
    left = dict(folders)
    for name, run_key in new.items():
        due_ns = 0 if name in at_once else left.get(name, Drops()).due_ns
        left[name] = Drops(run_key, now_ns, due_ns)
    take: dict[str, str] = {}
    for name, drops in left.items():
        if drops.run_key is not None and now_ns >= max(drops.due_ns, drops.quiet_ns + settle_ns):
            take[name] = drops.run_key
            left[name] = Drops(None, drops.quiet_ns, now_ns + pause_ns(name))
    return take, left


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
    folders = {name: Drops(*drops) for name, drops in queue.get("folders", {}).items()}
    return Progress(tuple(queue.get("receipts", ())), tuple(queue.get("known", ())), folders)


def write_progress(text: str | None, progress: Progress) -> str:
    """The cursor with this progress; what listing mode has written into it stays."""
    folders = {name: list(vars(drops).values()) for name, drops in sorted(progress.folders.items())}
    queue = {"receipts": progress.receipts, "known": progress.known, **({"folders": folders} if folders else {})}
    return json.dumps({**load_cursor(text), "queue": queue})


def _digest(event: UploadEvent) -> str:
    whole = "\0".join((event.bucket, event.key, event.etag, event.sequencer, event.time))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]

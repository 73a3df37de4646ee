"""What a message of the upload queue says: S3's own event notifications, direct or through SNS or EventBridge.

What belongs here: reading one message. What does not: the queue (`resources.upload_queue`) and what follows from an
event (`optiflow_dagster.sensors.upload_events_decision`).

Source: "Event message structure" and "Using EventBridge" in the user guide of Amazon S3; Ceph's `rgw_pubsub_s3_event::dump`,
which writes keys unencoded.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from optiflow.dataset_id import OPTIONS_SUFFIX

MAX_KEY_LENGTH = 1024
"""In bytes of UTF-8, says S3; so it is in characters at most."""

CREATED, REMOVED = "ObjectCreated", "ObjectRemoved"
BRIDGED = {"Object Created": CREATED, "Object Deleted": REMOVED}
"""What EventBridge calls the same."""

CEPH = "ceph:s3"
"""What Ceph's gateway calls the source of its events; S3's own is `aws:s3`."""

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, and surrogates, which JSON may hold alone; PostgreSQL takes neither."""


@dataclass(frozen=True)
class UploadEvent:
    """One object that was written, or one of options that was removed.

    `sequencer` orders the events of one key, as hexadecimal text. Of a removed object S3 tells neither size nor ETag.
    """

    bucket: str
    key: str
    size: int
    etag: str
    sequencer: str
    time: str

    @property
    def order(self) -> tuple[str, str]:
        """Sorts the events of one key in the order of the writes."""
        # S3 says: compare as text, the shorter one filled up with zeros on its right.
        return self.sequencer.ljust(64, "0"), self.time


class UnreadableMessageError(ValueError):
    """The message is none that S3 sends; carries what is wrong with it."""


def read_message(body: str) -> list[UploadEvent]:
    """The objects that a message says were written, and the options that were removed; empty for all else.

    A table that is removed asks for nothing; one whose options are removed is to be read without them.

    Raises:
        UnreadableMessageError: not JSON, or not an event of S3.
    """
    content = _load(body)
    if content.get("Type") == "Notification" and isinstance(content.get("Message"), str):
        content = _load(content["Message"])  # as SNS wraps it, unless raw delivery is on
    try:
        if content.get("Event") == "s3:TestEvent":
            return []
        if isinstance(content.get("Records"), list):
            return [found for record in content["Records"] for found in _told(_kind(record), _direct, record)]
        if content.get("source") == "aws.s3":
            return _told(BRIDGED.get(content.get("detail-type", "")), _bridged, content)
    except UnreadableMessageError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UnreadableMessageError(f"an event of S3 in which something is missing or wrong ({error!r})") from error
    raise UnreadableMessageError("neither an event notification of S3 nor one through SNS or EventBridge")


def _load(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError(f"not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UnreadableMessageError("JSON, but not an object")
    return content


def _kind(record: dict[str, Any]) -> str:
    return record["eventName"].removeprefix("s3:").partition(":")[0]


def _told(
    kind: str | None, read: Callable[[dict[str, Any]], UploadEvent], content: dict[str, Any]
) -> list[UploadEvent]:
    if kind not in (CREATED, REMOVED):
        return []
    event = read(content)
    return [event] if kind == CREATED or event.key.endswith(OPTIONS_SUFFIX) else []


def _direct(record: dict[str, Any]) -> UploadEvent:
    entity = record["s3"]["object"]
    # Direct notifications encode the key as in a form: a space is a plus. Ceph's have it as it is.
    key = entity["key"] if record.get("eventSource") == CEPH else unquote_plus(entity["key"])
    return _event(record["s3"]["bucket"]["name"], key, entity, record.get("eventTime", ""))


def _bridged(content: dict[str, Any]) -> UploadEvent:
    detail = content["detail"]
    return _event(detail["bucket"]["name"], detail["object"]["key"], detail["object"], content.get("time", ""))


def _event(bucket: object, key: object, entity: dict[str, Any], time: object) -> UploadEvent:
    if not (isinstance(bucket, str) and isinstance(key, str)):
        raise UnreadableMessageError(f"an event of S3 whose bucket {bucket!r} or key {key!r} is not text")
    if len(key) > MAX_KEY_LENGTH:
        # S3 would refuse each question about it, and the queue would stand still.
        raise UnreadableMessageError(f"an event of S3 whose key has {len(key)} characters")
    etag = entity.get("eTag") or entity.get("etag") or ""
    event = UploadEvent(bucket, key, int(entity.get("size", 0)), str(etag), str(entity.get("sequencer", "")), str(time))
    for text in (bucket, key, event.etag, event.sequencer, event.time):
        # All of them get into run keys and cursors, which a database has to take.
        if UNSTORABLE.search(text):
            raise UnreadableMessageError(f"an event of S3 in which {text!r} holds a NUL or half a character")
    return event

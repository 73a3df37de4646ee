"""What a message of the upload queue says: S3's own event notifications, direct or through SNS or EventBridge.

What belongs here: reading one message. What does not: the queue (`resources.upload_queue`) and what follows from an
event (`optiflow_dagster.sensors.upload_events_decision`).

Source: "Event message structure" and "Using EventBridge" in the user guide of Amazon S3.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


@dataclass(frozen=True)
class UploadEvent:
    """One object that was written. `sequencer` orders the events of one key, as hexadecimal text."""

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
    """The objects that a message says were written; empty for a test event, or if something else happened to them.

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
            return [_direct(record) for record in content["Records"] if _is_write(record)]
        if content.get("source") == "aws.s3":
            return [_bridged(content)] if content.get("detail-type") == "Object Created" else []
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableMessageError(f"an event of S3 without {error}") from error
    raise UnreadableMessageError("neither an event notification of S3 nor one through SNS or EventBridge")


def _load(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError(f"not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UnreadableMessageError("JSON, but not an object")
    return content


def _is_write(record: dict[str, Any]) -> bool:
    return record["eventName"].removeprefix("s3:").startswith("ObjectCreated:")


def _direct(record: dict[str, Any]) -> UploadEvent:
    entity = record["s3"]["object"]
    # Direct notifications encode the key as in a form: a space is a plus.
    return _event(record["s3"]["bucket"]["name"], unquote_plus(entity["key"]), entity, str(record.get("eventTime", "")))


def _bridged(content: dict[str, Any]) -> UploadEvent:
    detail = content["detail"]
    return _event(detail["bucket"]["name"], detail["object"]["key"], detail["object"], str(content.get("time", "")))


def _event(bucket: str, key: str, entity: dict[str, Any], time: str) -> UploadEvent:
    etag = entity.get("eTag") or entity.get("etag") or ""
    return UploadEvent(bucket, key, int(entity.get("size", 0)), str(etag), str(entity.get("sequencer", "")), time)

"""The messages that S3 makes of an event, by each way that AWS has."""

import json
from typing import Any
from urllib.parse import quote_plus

from resources.upload_events import UploadEvent


def direct(*events: UploadEvent, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """As S3 sends it to a queue by itself: the key is encoded as in a form."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": name,
                "eventTime": event.time,
                "s3": {
                    "bucket": {"name": event.bucket},
                    "object": {
                        "key": quote_plus(event.key, safe="/"),
                        "size": event.size,
                        "eTag": event.etag,
                        "sequencer": event.sequencer,
                    },
                },
            }
            for event in events
        ]
    }


def bridged(event: UploadEvent, kind: str = "Object Created") -> dict[str, Any]:
    """As EventBridge sends it: the key is as it is."""
    entity = {"key": event.key, "size": event.size, "etag": event.etag, "sequencer": event.sequencer}
    detail = {"bucket": {"name": event.bucket}, "object": entity}
    return {"source": "aws.s3", "detail-type": kind, "time": event.time, "detail": detail}


def by_sns(content: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "1", "Message": json.dumps(content)}

"""Reading parts of large S3 objects without moto, which copies the whole object for each range that is asked for."""

import re
from typing import Any

from moto.s3.models import FakeKey

from aws_double.answers import Answer
from aws_double.bucket_files import backend
from aws_double.calls import Call

RANGE = re.compile(r"bytes=(\d+)-(\d*)")
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")


def read_range(call: Call, environ: dict[str, Any]) -> Answer | None:
    """The answer to a plain GetObject with a range that lies in the object; None for what is moto's to answer."""
    wanted = RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    simple = call.name == "s3:GetObject" and not call.parameters.keys() - {"x-id"}
    if not wanted or not simple or any(name in environ for name in CONDITIONS):
        return None
    bucket = backend().buckets.get(call.bucket or "")
    key = bucket.keys.get(call.key or "") if bucket else None
    # boto3 downloads a large object by parts on the condition that it is still the same object.
    if not isinstance(key, FakeKey) or environ.get("HTTP_IF_MATCH", key.etag) != key.etag:
        return None
    first = int(wanted[1])
    last = min(int(wanted[2] or key.size), key.size - 1)
    if first > last:
        return None
    with key.lock:
        key._value_buffer.seek(first)
        content = key._value_buffer.read(last - first + 1)
    headers = {name: str(value) for name, value in {**key.response_dict, **key.metadata}.items()}
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    span = {"Content-Range": f"bytes {first}-{last}/{key.size}", "Accept-Ranges": "bytes"}
    return Answer(206, content, {**headers, **span})

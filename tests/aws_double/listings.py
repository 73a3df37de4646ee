"""ListObjectsV2 over an index that is kept between calls.

moto looks at every key of the bucket for each page and takes a second to write one of 1,000 entries: with 100,000 objects
a walk is minutes, and a benchmark of a listing would measure moto.
"""

import base64
import binascii
import threading
from bisect import bisect_left, bisect_right
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3.models import FakeKey

from aws_double.answers import Answer, AwsError
from aws_double.bucket_files import backend
from aws_double.calls import Call

KNOWN = {"list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "x-id"}
READS = ("Get", "Head", "List")
LAST = "\U0010ffff"
MAX_KEYS = 1000


class Listings:
    """Sorted keys by bucket, valid until something is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self._names: dict[str, tuple[int, list[str]]] = {}

    def wrote(self) -> None:
        """Something may have been written: said before and after the writing, since lists may come in between."""
        with self._lock:
            self._writes += 1

    def answer(self, call: Call) -> Answer | None:
        """The answer to a plain ListObjectsV2; None for what is moto's to answer.

        Raises:
            AwsError: the continuation token is none of ours.
        """
        if call.name != "s3:ListObjectsV2" or call.parameters.keys() - KNOWN or call.bucket not in backend().buckets:
            return None
        bucket = backend().buckets[call.bucket]
        given = call.parameters
        size = min(int(given.get("max-keys") or MAX_KEYS), MAX_KEYS)
        after = (
            _read_token(given["continuation-token"]) if "continuation-token" in given else given.get("start-after", "")
        )
        keys, folders, more = self._page(call.bucket, given.get("prefix", ""), given.get("delimiter", ""), after, size)
        objects = [(key, bucket.keys.get(key)) for key in keys]
        body = _page_xml(call, [(key, one) for key, one in objects if isinstance(one, FakeKey)], folders, size, more)
        return Answer(
            200, body.encode(), {"Content-Type": "application/xml", "x-amz-bucket-region": bucket.region_name}
        )

    def _sorted(self, bucket: str) -> list[str]:
        with self._lock:
            writes, names = self._names.get(bucket, (-1, []))
            if writes != self._writes:
                keys = backend().buckets[bucket].keys
                # A copy of the names first: another thread may write while they are sorted.
                names = sorted(name for name in list(keys) if isinstance(keys.get(name), FakeKey))
                self._names[bucket] = (self._writes, names)
            return names

    def _page(
        self, bucket: str, prefix: str, delimiter: str, after: str, size: int
    ) -> tuple[list[str], list[str], str | None]:
        names = self._sorted(bucket)
        place = max(bisect_left(names, prefix), bisect_right(names, after) if after else 0)
        keys: list[str] = []
        folders: list[str] = []
        last = after
        while place < len(names) and names[place].startswith(prefix):
            name = names[place]
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            folder = name[: cut + len(delimiter)] if cut >= 0 else None
            # A folder that the page before has given is passed over whole.
            if folder is None or not after.startswith(folder):
                if len(keys) + len(folders) == size:
                    return keys, folders, last
                (keys if folder is None else folders).append(folder or name)
                last = name if folder is None else folder + LAST
            place = place + 1 if folder is None else bisect_left(names, folder + LAST)
        return keys, folders, None


def _page_xml(call: Call, objects: list[tuple[str, FakeKey]], folders: list[str], size: int, more: str | None) -> str:
    url = call.parameters.get("encoding-type") == "url"
    shown = (lambda text: quote(text, safe="/")) if url else escape
    echoed = {"Prefix": "prefix", "Delimiter": "delimiter", "StartAfter": "start-after"}
    head = "".join(f"<{tag}>{shown(call.parameters.get(name, ''))}</{tag}>" for tag, name in echoed.items() if name in call.parameters or tag == "Prefix")  # fmt: skip
    token = f"<NextContinuationToken>{base64.b64encode(more.encode()).decode()}</NextContinuationToken>" if more else ""
    given = f"<ContinuationToken>{escape(call.parameters['continuation-token'])}</ContinuationToken>" if "continuation-token" in call.parameters else ""  # fmt: skip
    entries = "".join(
        f"<Contents><Key>{shown(name)}</Key><LastModified>{one.last_modified_ISO8601}</LastModified>"
        f"<ETag>{escape(one.etag)}</ETag><Size>{one.size}</Size><StorageClass>{one.storage_class}</StorageClass></Contents>"
        for name, one in objects
    )
    prefixes = "".join(f"<CommonPrefixes><Prefix>{shown(folder)}</Prefix></CommonPrefixes>" for folder in folders)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{call.bucket}</Name>{head}{given}{token}<KeyCount>{len(objects) + len(folders)}</KeyCount>"
        f"<MaxKeys>{size}</MaxKeys>{'<EncodingType>url</EncodingType>' if url else ''}"
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{entries}{prefixes}</ListBucketResult>"
    )


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect") from error


def is_write(call: Call) -> bool:
    """Whether the call may change what a list shows."""
    return call.service == "s3" and not call.operation.startswith(READS)


def put_many(bucket: str, names: list[str], content: bytes) -> None:
    """Put many objects of equal content, without the events that a put has."""
    place: Any = backend().buckets[bucket]
    for name in names:
        key = FakeKey(name, content, account_id=place.account_id, region_name=place.region_name, bucket_name=bucket)
        place.keys.setlist(name, [key])

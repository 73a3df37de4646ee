"""The storage resource: the one place that knows where bytes lie and how they are put in place.

What belongs here: one class per kind of storage, all with the methods of `Storage`. What does not: what is stored.
"""

from urllib.parse import urlparse

from resources.storage.base import HIDDEN, LAKE, UPLOADS, Storage, StoredObject, Unreadable
from resources.storage.files import FileStorage
from resources.storage.s3 import S3Storage

__all__ = [
    "HIDDEN",
    "LAKE",
    "UPLOADS",
    "FileStorage",
    "S3Storage",
    "Storage",
    "StoredObject",
    "Unreadable",
    "storage_at",
]


def storage_at(uri: str, kms_key: str | None = None) -> Storage:
    """The storage at a `file://` or `s3://` address.

    Args:
        uri: The root of uploads and lake.
        kms_key: Key that S3 is to encrypt with, instead of its own.
    """
    return S3Storage(uri=uri, kms_key=kms_key) if urlparse(uri).scheme == "s3" else FileStorage(uri=uri)

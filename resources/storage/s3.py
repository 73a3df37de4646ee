"""Storage in S3, or in any store that speaks its protocol (`AWS_ENDPOINT_URL`).

boto3 moves files and bytes; polars reads and writes Parquet by itself, with the same credentials, region and endpoint.
An object appears when its upload is complete, so putting in place is S3's own business.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import polars as pl

from optiflow.errors import TransientError, UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors
from resources.aws.objects import download, reading
from resources.storage.base import HIDDEN, Storage, StoredObject, Unreadable, check_key
from resources.storage.s3_parquet import polars_errors, polars_options, sink

PART_BYTES = 16 << 20
"""Size of the parts of a large object, and the size from which an object is sent in parts."""

THREADS = 8
KEYS_A_REQUEST = 1000


class S3Storage(Storage):
    """Objects below one prefix (`s3://bucket/prefix`), encrypted at rest.

    Without `kms_key` nothing is asked for, so that S3 encrypts as the bucket says: with AES-256 if it says nothing, or
    with the bucket's own key.
    """

    kms_key: str | None = None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return urlparse(self.uri).netloc

    def full_key(self, key: str) -> str:
        """The object's key in the bucket.

        Raises:
            UserError: the key leads out of the storage.
        """
        return "/".join(part for part in (urlparse(self.uri).path.strip("/"), check_key(key)) if part)

    def uri_for(self, key: str) -> str:
        """The object's address."""
        return f"s3://{self.bucket}/{self.full_key(key)}"

    def stat(self, key: str) -> StoredObject | None:
        """The object with this key; None if there is none."""
        try:
            with reading(self.bucket, self.full_key(key)):
                head = client("s3").head_object(Bucket=self.bucket, Key=self.full_key(key))
        except FileNotFoundError:
            return None
        return StoredObject(key, head["ContentLength"], _nanoseconds(head["LastModified"]), _etag(head))

    def list(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects directly below `prefix`; nothing for a prefix without objects. Only folders are unreadable.

        S3's times have a grain of one second, and of an object sent in parts the time is that of the first request.
        """
        start = len(self.full_key(prefix)) + 1
        for page in self._pages(prefix, Delimiter="/"):
            for item in page.get("Contents", ()):
                if (name := item["Key"][start:]) and not name.startswith(HIDDEN):
                    yield _object(f"{prefix}/{name}", item)
            for folder in page.get("CommonPrefixes", ()):
                name = folder["Prefix"][start:].removesuffix("/")
                if unreadable is not None and name and not name.startswith(HIDDEN):
                    unreadable.append(Unreadable(name, "a folder", is_folder=True))

    def walk(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects at any depth below `prefix`, in one listing."""
        start = len(self.full_key(prefix)) + 1
        for page in self._pages(prefix):
            for item in page.get("Contents", ()):
                name = item["Key"][start:]
                # A console marks an empty folder by an object whose name ends with a slash.
                if name and not name.endswith("/") and not any(part.startswith(HIDDEN) for part in name.split("/")):
                    yield _object(f"{prefix}/{name}", item)

    def _pages(self, prefix: str, **asked: str) -> Iterator[dict[str, Any]]:
        with aws_errors(f"list {self.uri_for(prefix)}/"):
            listing = client("s3").get_paginator("list_objects_v2")
            yield from listing.paginate(Bucket=self.bucket, Prefix=f"{self.full_key(prefix)}/", **asked)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """The first parts of the keys below `prefix` that have further ones, sorted."""
        folder = f"{self.full_key(prefix)}/"
        with aws_errors(f"list {self.uri_for(prefix)}/"):
            pages = client("s3").get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=self.bucket, Prefix=folder, Delimiter="/")
            names = (item["Prefix"][len(folder) : -1] for page in found for item in page.get("CommonPrefixes", ()))
            return tuple(sorted(names))

    def tree(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below `prefix`."""
        folder = f"{self.full_key(prefix)}/"
        with aws_errors(f"list {self.uri_for(prefix)}/"):
            for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder):
                for item in page.get("Contents", ()):
                    key = f"{prefix}/{item['Key'][len(folder) :]}"
                    yield StoredObject(key, item["Size"], _nanoseconds(item["LastModified"]), _etag(item))

    def remove(self, key: str) -> bool:
        """Remove an object; in a bucket with versions the earlier ones stay. False if there was none."""
        if not self.exists(key):
            return False
        with aws_errors(f"delete {self.uri_for(key)}"):
            client("s3").delete_object(Bucket=self.bucket, Key=self.full_key(key))
        return True

    def remove_tree(self, prefix: str) -> None:
        """Remove all objects below `prefix`, a thousand a request; in a bucket with versions the earlier ones stay."""
        keys = [{"Key": self.full_key(found.key)} for found in self.tree(prefix)]
        for start in range(0, len(keys), KEYS_A_REQUEST):
            with aws_errors(f"delete {self.uri_for(prefix)}/"):
                answer = client("s3").delete_objects(
                    Bucket=self.bucket, Delete={"Objects": keys[start : start + KEYS_A_REQUEST], "Quiet": True}
                )
            for error in answer.get("Errors", ()):
                raise UserError(
                    f"Cannot delete s3://{self.bucket}/{error['Key']}: {error.get('Code')}, {error.get('Message')}. "
                    "Allow s3:DeleteObject there, then run it again."
                )

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            FileNotFoundError: no object has this key.
        """
        with aws_errors(f"read {self.uri_for(key)}"):
            return client("s3").get_object(Bucket=self.bucket, Key=self.full_key(key))["Body"].read()

    @contextlib.contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """The object as a temporary local file.

        Raises:
            FileNotFoundError: no object has this key.
        """
        with tempfile.TemporaryDirectory(prefix="optiflow-") as folder:
            path = Path(folder, "object").with_suffix(Path(key).suffix)
            download(self.bucket, self.full_key(key), path, _transfer())
            yield path

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary local path whose content is uploaded when the block ends without an error."""
        target = self.full_key(key)
        with tempfile.TemporaryDirectory(prefix="optiflow-") as folder:
            path = Path(folder, "object")
            yield path
            with aws_errors(f"write {self.uri_for(key)}"):
                client("s3").upload_file(
                    str(path), self.bucket, target, ExtraArgs=self._encryption(), Config=_transfer()
                )

    def put_file(self, key: str, source: Path) -> None:
        """Upload a local file."""
        with aws_errors(f"write {self.uri_for(key)}"):
            client("s3").upload_file(
                str(source), self.bucket, self.full_key(key), ExtraArgs=self._encryption(), Config=_transfer()
            )

    def write_bytes(self, key: str, data: bytes) -> None:
        """Upload bytes."""
        with aws_errors(f"write {self.uri_for(key)}"):
            client("s3").put_object(Bucket=self.bucket, Key=self.full_key(key), Body=data, **self._encryption())

    def write_if_unchanged(self, key: str, data: bytes, etag: str | None) -> str:
        """Upload bytes unless the object is another one by now; S3 itself compares."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        try:
            with aws_errors(f"write {self.uri_for(key)}"):
                answer = client("s3").put_object(
                    Bucket=self.bucket, Key=self.full_key(key), Body=data, **condition, **self._encryption()
                )
        except FileNotFoundError as error:
            raise TransientError(f"{self.uri_for(key)} was removed meanwhile. It is tried again.") from error
        return _etag(answer)

    def scan_parquet(self, key: str) -> pl.LazyFrame:
        """A Parquet object as a lazy frame; only the columns that are asked for are fetched.

        Raises:
            FileNotFoundError: no object has this key.
        """
        # Asked by boto3 first: it tells what is wrong with credentials or permissions, and polars reads later.
        if self.stat(key) is None:
            raise FileNotFoundError(self.uri_for(key))
        with polars_errors(f"read {self.uri_for(key)}"):
            return pl.scan_parquet(self.uri_for(key), storage_options=polars_options(), glob=False)

    def write_parquet(self, key: str, frame: pl.DataFrame | pl.LazyFrame) -> None:
        """Put a frame in place as Parquet (zstd); a lazy frame is streamed."""
        with polars_errors(f"write {self.uri_for(key)}"):
            sink(frame, self.uri_for(key), self.kms_key)

    def _encryption(self) -> dict[str, str]:
        if self.kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}


def _transfer() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=THREADS)


def _object(key: str, item: Any) -> StoredObject:
    return StoredObject(key, item["Size"], _nanoseconds(item["LastModified"]), _etag(item))


def _nanoseconds(time: Any) -> int:
    return int(time.timestamp()) * 1_000_000_000 + time.microsecond * 1_000


def _etag(answer: dict[str, Any]) -> str:
    return answer["ETag"].strip('"')

"""Files between S3 and a job's folder, read and written within the server: neither faults nor the log of requests see them."""

import json
from pathlib import Path
from urllib.parse import urlparse

from moto.s3.models import FakeKey, S3Backend, s3_backends

from aws_double.job import ACCOUNT


class NoObjects(Exception):
    """Nothing lies under the address."""


def backend() -> S3Backend:
    """moto's S3, which is another object after each reset."""
    return s3_backends[ACCOUNT]["aws"]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    parts = urlparse(uri, allow_fragments=False)
    return parts.netloc, parts.path.lstrip("/")


def find_objects(uri: str, data_type: str = "S3Prefix") -> dict[str, FakeKey]:
    """All objects under a prefix, or of a manifest, by their paths below it.

    Raises:
        NoObjects: there is none, or no such bucket.
    """
    bucket, prefix = split_uri(uri)
    if bucket not in backend().buckets:
        raise NoObjects(uri)
    keys = backend().buckets[bucket].keys
    if data_type == "ManifestFile":
        if prefix not in keys:
            raise NoObjects(uri)
        head, *names = json.loads(keys[prefix].value)
        found = {name: find_objects(head["prefix"] + name) for name in names}
        return {name: next(iter(objects.values())) for name, objects in found.items()}
    # A prefix is text, not a folder: `a/tr` also finds `a/train/x`, whose path is then counted from `a`.
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    parent = prefix.rpartition("/")[0]
    found = {}
    for name in sorted(keys):
        if not name.startswith(prefix) or name.endswith("/") or not isinstance(keys[name], FakeKey):
            continue
        base = folder if name.startswith(folder) else f"{parent}/" if parent else ""
        found[name.removeprefix(base)] = keys[name]
    if not found:
        raise NoObjects(uri)
    return found


def download(uri: str, folder: Path, data_type: str = "S3Prefix") -> list[Path]:
    """Write all objects under the address below `folder` and return the files.

    Raises:
        NoObjects: there is none.
    """
    files = []
    for name, key in find_objects(uri, data_type).items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise NoObjects(f"{uri}: {name} leads out of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.value)
        files.append(path)
    return files


def upload(file: Path, uri: str) -> None:
    """Put one file to an `s3://` address.

    Raises:
        NoObjects: there is no such bucket.
    """
    bucket, key = split_uri(uri)
    if bucket not in backend().buckets:
        raise NoObjects(uri)
    backend().put_object(bucket, key, file.read_bytes())


def upload_folder(folder: Path, uri: str) -> None:
    """Put all files of a folder below an `s3://` address."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        upload(file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")

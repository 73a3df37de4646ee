"""The landing folder: `uploads/<pipeline>/`, where users drop files. Read only.

What belongs here: which files there are datasets, with which options beside them. What does not: reading tables
(`optiflow.upload`) and deciding what to run (`optiflow_dagster.sensors`).
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from optiflow.dataset_id import OPTIONS_SUFFIX, dataset_id, file_stem
from optiflow.errors import TransientError, UserError
from optiflow.options import parse_options_file
from resources.storage import UPLOADS, Storage, StoredObject


@dataclass(frozen=True)
class LandedFile:
    """An upload and the options file beside it, if there is one."""

    table: StoredObject
    options: StoredObject | None = None

    @property
    def name(self) -> str:
        """The user's file name."""
        return PurePosixPath(self.table.key).name

    @property
    def changed_ns(self) -> int:
        """When the table or its options last changed, whichever is later."""
        return max(self.table.modified_ns, self.options.modified_ns if self.options else 0)

    @property
    def etag(self) -> str:
        """Changes whenever the table or its options are written."""
        return f"{self.table.etag}+{self.options.etag}" if self.options else self.table.etag


def landing_prefix(pipeline: str) -> str:
    """The folder that belongs to a pipeline."""
    return f"{UPLOADS}/{pipeline}"


def pair_files(objects: Iterable[StoredObject]) -> list[LandedFile]:
    """Every file but options files, with the options file beside it, in no order."""
    listing = list(objects)
    options = {item.key: item for item in listing if item.key.endswith(OPTIONS_SUFFIX)}
    return [LandedFile(item, options.get(item.key + OPTIONS_SUFFIX)) for item in listing if item.key not in options]


def find_upload(storage: Storage, pipeline: str, dataset: str) -> LandedFile:
    """The newest file of a dataset.

    Raises:
        UserError: there is none, or files of different names share this dataset id.
    """
    found = [file for file in pair_files(storage.list(landing_prefix(pipeline))) if _id_or_none(file.name) == dataset]
    folder = storage.uri_for(landing_prefix(pipeline))
    if not found:
        raise UserError(f"No upload of dataset {dataset!r} in {folder}: put the file there, or use `optiflow upload`.")
    stems = sorted({file_stem(file.name) for file in found})
    if len(stems) > 1:
        names = ", ".join(repr(file.name) for file in sorted(found, key=lambda file: file.name))
        raise UserError(f"{names} in {folder} all make the dataset id {dataset!r}: rename all but one of them.")
    newest = max(found, key=lambda file: (file.table.modified_ns, file.name))
    if newest.table.size == 0:
        raise UserError(f"{newest.name} in {folder} is empty (0 bytes): put the whole file there.")
    return newest


def _id_or_none(file_name: str) -> str | None:
    try:
        return dataset_id(file_name)
    except UserError:
        return None


def read_options(storage: Storage, file: LandedFile) -> dict[str, Any]:
    """What the options file beside an upload says; empty if there is none.

    Raises:
        UserError: it is not UTF-8 text or not YAML.
    """
    if file.options is None:
        return {}
    name = PurePosixPath(file.options.key).name
    try:
        text = storage.read_bytes(file.options.key).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise TransientError(f"{name} was removed from the landing folder before it was read.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text; save it as UTF-8.") from error
    return parse_options_file(text, name)


def sha256_of(path: Path) -> str:
    """sha256 hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(storage: Storage, file: LandedFile) -> Iterator[Path]:
    """The upload as a local file.

    Raises:
        TransientError: it was removed since it was found.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(storage.local_copy(file.table.key))
        except FileNotFoundError as error:
            raise _gone(file) from error
        yield path


def ensure_unchanged(storage: Storage, file: LandedFile) -> None:
    """Make sure that an upload that was just read is still the one in the landing folder.

    Raises:
        TransientError: it, or its options, were written to or removed meanwhile.
    """
    table, options = storage.stat(file.table.key), storage.stat(file.table.key + OPTIONS_SUFFIX)
    if table is None:
        raise _gone(file)
    if LandedFile(table, options).etag != file.etag:
        raise TransientError(f"{file.name} changed while it was read: it will be read again once it is complete.")


def _gone(file: LandedFile) -> TransientError:
    return TransientError(f"{file.name} was removed from the landing folder before it was read.")

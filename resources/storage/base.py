"""What the rest of OptiFlow knows of the storage: objects by key, put in place whole.

Keys are relative to the storage's root and use `/`. `uploads/` belongs to the user and is only ever read (the CLI's
`upload`, `delete` and `rename` are the user); everything of ours lies under `lake/`. What does not belong here: any one kind of storage.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from optiflow.errors import TransientError, UserError

UPLOADS = "uploads"
LAKE = "lake"
HIDDEN = (".", "~$")
"""What the names of entries begin with that no listing shows; Excel puts `~$shop.xlsx` beside a workbook that is open."""


@dataclass(frozen=True)
class StoredObject:
    """One object of a listing. `modified_ns` is nanoseconds since 1970; `etag` changes with every write."""

    key: str
    size: int
    modified_ns: int
    etag: str


@dataclass(frozen=True)
class Unreadable:
    """An entry of a listing that is no object that can be read: its name in the folder, and why."""

    name: str
    reason: str
    is_folder: bool = False


class Storage(dg.ConfigurableResource, ABC):
    """Objects below one root. A reader sees the old object or the new one, never a part; a failed write leaves the old.

    Every method raises UserError or TransientError when the storage cannot be used, and FileNotFoundError for an
    object that is not there.
    """

    uri: str

    @abstractmethod
    def uri_for(self, key: str) -> str:
        """The object's address, for other programs."""

    @abstractmethod
    def stat(self, key: str) -> StoredObject | None:
        """The object with this key, as a listing tells it; None if there is none."""

    @abstractmethod
    def list(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects directly below `prefix`, in no order; nothing for a prefix that does not exist.

        Args:
            prefix: The folder, without a slash at its end.
            unreadable: Gets the entries that are passed over because they cannot be read, folders among them; one of them
                hides no other.
        """

    @abstractmethod
    def walk(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects at any depth below `prefix`, in no order; arguments as of `list`.

        An entry of `unreadable` has its path below `prefix` for a name; a folder among them hides all that is in it.
        """

    @abstractmethod
    def folders(self, prefix: str) -> tuple[str, ...]:
        """The names of the folders directly below `prefix`, sorted; none for a prefix that does not exist."""

    @abstractmethod
    def tree(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below `prefix`, in its folders too, in no order; those whose name begins with a dot included."""

    @abstractmethod
    def remove(self, key: str) -> bool:
        """Remove an object; False if there was none."""

    @abstractmethod
    def remove_tree(self, prefix: str) -> None:
        """Remove all objects below `prefix`; nothing happens where there is none. Repeated, it goes on where it was cut off."""

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """The object's bytes."""

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """The object as a local file, for programs that need a path; not to be written to."""

    @abstractmethod
    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A temporary local path whose content becomes the object when the block ends without an error."""

    @abstractmethod
    def scan_parquet(self, key: str) -> pl.LazyFrame:
        """A Parquet object as a lazy frame."""

    @abstractmethod
    def write_parquet(self, key: str, frame: pl.DataFrame | pl.LazyFrame) -> None:
        """Put a frame in place as Parquet (zstd); a lazy frame is streamed."""

    def exists(self, key: str) -> bool:
        """Whether an object has this key."""
        return self.stat(key) is not None

    def size(self, key: str) -> int:
        """The object's size in bytes."""
        found = self.stat(key)
        if found is None:
            raise FileNotFoundError(self.uri_for(key))
        return found.size

    def write_bytes(self, key: str, data: bytes) -> None:
        """Put bytes in place."""
        with self.writing(key) as path:
            path.write_bytes(data)

    def write_if_unchanged(self, key: str, data: bytes, etag: str | None) -> str:
        """Put bytes in place unless another process has done so; on a disk whoever does holds a lock (`locks`) besides.

        Args:
            key: The object.
            data: Its new content.
            etag: Of the object as it was read; None if there was none.

        Returns:
            The new etag.

        Raises:
            TransientError: it is another one by now; nothing was written.
        """
        found = self.stat(key)
        if (found.etag if found else None) != etag:
            raise TransientError(f"{self.uri_for(key)} was written by another process meanwhile. It is tried again.")
        self.write_bytes(key, data)
        written = self.stat(key)
        return written.etag if written else ""

    def put_file(self, key: str, source: Path) -> None:
        """Put a copy of a local file in place."""
        with self.writing(key) as path:
            shutil.copyfile(source, path)


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        UserError: the key leads out of the storage.
    """
    if key.startswith("/") or ".." in key.split("/"):
        raise UserError(f"{key!r} leads out of the storage: use a plain relative name.")
    return key

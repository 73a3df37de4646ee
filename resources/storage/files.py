"""Storage on this machine's disk."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from urllib.parse import unquote, urlparse

import polars as pl

from optiflow.disk import make_folder, replace_on_disk, to_disk
from optiflow.errors import TransientError
from optiflow.parquet import write_parquet
from resources.storage.base import HIDDEN, Storage, StoredObject, Unreadable, check_key

TEMPORARY_PREFIX = ".tmp-"
PROBE_BYTES = 1 << 16


class FileStorage(Storage):
    """Files below one root (`file:///…`), written to a temporary name first and then put in place."""

    @property
    def root(self) -> Path:
        """The root as a local folder."""
        return Path(unquote(urlparse(self.uri).path))

    def path(self, key: str) -> Path:
        """The local path of a key.

        Raises:
            UserError: the key leads out of the storage.
        """
        return self.root / check_key(key)

    def uri_for(self, key: str) -> str:
        """The object's address, for other programs."""
        return self.path(key).absolute().as_uri()

    def stat(self, key: str) -> StoredObject | None:
        """The object with this key; None if there is none."""
        try:
            found = self.path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _object(key, found) if S_ISREG(found.st_mode) else None

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            FileNotFoundError: no object has this key.
        """
        return self.path(key).read_bytes()

    def list(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects directly below `prefix`, in no order; nothing for a prefix that does not exist.

        Links are followed. What is no file, or cannot be looked at, goes to `unreadable` and hides no other entry.

        `modified_ns` is the change time (ctime): unlike the modification time it also moves when a file is copied
        with its old time kept, or moved in from elsewhere, so that nothing arrives in the past of a cursor.
        """
        try:
            entries = os.scandir(self.path(prefix))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.name.startswith(HIDDEN):
                    continue
                found = _looked_at(entry)
                if isinstance(found, os.stat_result):
                    yield _object(f"{prefix}/{entry.name}", found)
                elif found is not None and unreadable is not None:
                    unreadable.append(found)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """The names of the folders directly below `prefix`, sorted; links are not followed."""
        try:
            with os.scandir(self.path(prefix)) as entries:
                return tuple(sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False)))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def tree(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below `prefix`; links to folders are not followed."""
        for folder, _, names in os.walk(self.path(prefix)):
            for name in names:
                path = Path(folder, name)
                found = path.lstat()
                yield _object(path.relative_to(self.root).as_posix(), found)

    def remove(self, key: str) -> bool:
        """Remove a file; False if there was none."""
        try:
            self.path(key).unlink()
        except FileNotFoundError:
            return False
        to_disk(self.path(key).parent)
        return True

    def remove_tree(self, prefix: str) -> None:
        """Remove a folder with all that is in it. Of a link to a folder the link goes: what it leads to is not ours."""
        path = self.path(prefix)
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink():
                path.unlink()
            else:
                shutil.rmtree(path)

    def walk(self, prefix: str, unreadable: "list[Unreadable] | None" = None) -> Iterator[StoredObject]:
        """The objects at any depth below `prefix`. Links are followed, but not back to a folder above."""
        yield from self._below(prefix, "", [] if unreadable is None else unreadable, frozenset())

    def _below(
        self, prefix: str, inside: str, unreadable: "list[Unreadable]", above: frozenset[str]
    ) -> Iterator[StoredObject]:
        folder = "/".join(filter(None, (prefix, inside)))
        above |= {os.path.realpath(self.path(folder))}
        entries: list[Unreadable] = []
        yield from self.list(folder, entries)
        for entry in entries:
            name = "/".join(filter(None, (inside, entry.name)))
            if not entry.is_folder:
                unreadable.append(replace(entry, name=name))
            elif os.path.realpath(self.path(f"{folder}/{entry.name}")) in above:
                unreadable.append(Unreadable(name, "a link back to a folder above it"))
            else:
                try:
                    yield from self._below(prefix, name, unreadable, above)
                except PermissionError as error:
                    unreadable.append(Unreadable(name, error.strerror or type(error).__name__, is_folder=True))

    @contextlib.contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """The object as a local file, for programs that need a path; not to be written to."""
        yield self.path(key)

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary local path whose content becomes the object when the block ends without an error.

        Raises:
            TransientError: the disk is full; nothing was put in place.
        """
        target = self.path(key)
        temporary = target.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        try:
            make_folder(target.parent)
            yield temporary
            replace_on_disk(temporary, target)
        except (OSError, pl.exceptions.ComputeError) as error:
            if _is_disk_full(error, temporary):
                raise TransientError(
                    f"No space left while writing {self.uri_for(key)}: free some space, then run again. "
                    "Nothing half-written was left and the upload is untouched."
                ) from error
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def scan_parquet(self, key: str) -> pl.LazyFrame:
        """A Parquet object as a lazy frame.

        Raises:
            FileNotFoundError: no object has this key.
        """
        if not self.exists(key):
            raise FileNotFoundError(self.uri_for(key))
        return pl.scan_parquet(self.path(key), glob=False)  # a `[` in the path is a letter like any other

    def write_parquet(self, key: str, frame: pl.DataFrame | pl.LazyFrame) -> None:
        """Put a frame in place as Parquet (zstd); a lazy frame is streamed."""
        with self.writing(key) as path:
            write_parquet(frame, path)


def _looked_at(entry: "os.DirEntry[str]") -> os.stat_result | Unreadable | None:
    """What is known of a regular file, why the entry is none, or None for one that was deleted since the listing began."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        return Unreadable(entry.name, "a link that leads nowhere") if entry.is_symlink() else None
    except OSError as error:
        return Unreadable(entry.name, error.strerror or type(error).__name__)
    if S_ISREG(found.st_mode):
        return found
    if S_ISDIR(found.st_mode):
        return Unreadable(entry.name, "a folder", is_folder=True)
    return Unreadable(entry.name, "neither a file nor a folder")


def _object(key: str, stat: os.stat_result) -> StoredObject:
    etag = f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ino:x}"
    return StoredObject(key, stat.st_size, stat.st_ctime_ns, etag)


def _is_disk_full(error: OSError | pl.exceptions.ComputeError, written: Path) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in full
    # The Parquet writer keeps the system's reason to itself; writing some more brings it out.
    try:
        with written.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as refused:
        return refused.errno in full
    return False

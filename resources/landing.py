"""The landing folder: `uploads/<pipeline>/`, where users drop files, and folders of files. Read only.

What belongs here: which of them are datasets, with which options beside them, and which are left alone. What does not: reading tables
(`optiflow.upload`) and deciding what to run (`optiflow_dagster.sensors`).
"""

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from optiflow.dataset_id import (
    MAX_LENGTH,
    OPTIONS_SUFFIX,
    dataset_id,
    file_stem,
    folder_id,
    folder_stem,
    former_id,
    table_suffix,
)
from optiflow.errors import TransientError, UserError
from optiflow.options import parse_options_file
from optiflow.plain_yaml import MAX_BYTES
from resources.storage import LAKE, UPLOADS, Storage, StoredObject, Unreadable

LEFT_ALONE = f"{LAKE}/deleted-uploads"
"""A note for each dataset that was deleted while its file stayed, `<pipeline>/<dataset>`: which state of which file."""

MISNAMED_SUFFIX = ".options.yml"
MENDABLE = (errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
"""What the system says of a folder that stays unreadable until somebody mends it."""


ASIDE = "_"
"""What names in and of folders begin with that hold no data: Spark writes `_SUCCESS` and `_temporary`."""


@dataclass(frozen=True)
class LandedFile:
    """An upload and the options file beside it, if there is one.

    A folder is one upload of many files: `table` then stands for all of them, its key being the folder's, and `parts` are
    the files at any depth; `unreadable` are those of its entries that cannot be read.
    """

    table: StoredObject
    options: StoredObject | None = None
    parts: tuple[StoredObject, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return bool(self.parts)

    @property
    def name(self) -> str:
        """The user's name of the file, or of the folder."""
        return PurePosixPath(self.table.key).name

    @property
    def stem(self) -> str:
        """The name without suffixes.

        Raises:
            UserError: it is not a table's.
        """
        return folder_stem(self.name) if self.is_folder else file_stem(self.name)

    @property
    def dataset(self) -> str:
        """The dataset id.

        Raises:
            UserError: the name makes none.
        """
        return folder_id(self.name) if self.is_folder else dataset_id(self.name)

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


def pair_files(objects: Iterable[StoredObject], folders: Iterable[LandedFile] = ()) -> list[LandedFile]:
    """Every file but options files, and every folder, with the options file beside it, in no order."""
    listing = list(objects)
    options = {item.key: item for item in listing if item.key.endswith(OPTIONS_SUFFIX)}
    tables = [LandedFile(item) for item in listing if item.key not in options]
    return [replace(file, options=options.get(file.table.key + OPTIONS_SUFFIX)) for file in (*tables, *folders)]


def read_folder(storage: Storage, key: str) -> LandedFile | None:
    """A folder as one upload, without the options beside it; None if it holds no file.

    Raises:
        UserError: a folder in it cannot be listed: what is in it may be half of the data.
        OSError, TransientError: it cannot be listed itself.
    """
    unreadable: list[Unreadable] = []
    start = len(key) + 1
    found = (item for item in storage.walk(key, unreadable) if not _is_aside(item.key[start:]))
    parts = tuple(sorted(found, key=lambda item: item.key))
    unreadable = [entry for entry in unreadable if not _is_aside(entry.name)]
    for entry in unreadable:
        if entry.is_folder:
            raise UserError(
                f"{entry.name!r} in {storage.uri_for(key)} cannot be read: {entry.reason}. Mend or remove it."
            )
    if not parts:
        return None
    told = "\n".join(f"{item.key[start:]}@{item.etag}" for item in parts)
    whole = StoredObject(
        key,
        sum(item.size for item in parts),
        max(item.modified_ns for item in parts),
        hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16],
    )
    return LandedFile(whole, parts=parts, unreadable=tuple(unreadable))


def _is_aside(name: str) -> bool:
    return any(part.startswith(ASIDE) for part in name.split("/"))


@dataclass(frozen=True)
class Landing:
    """What lies in a landing folder: its uploads, and by name why an entry there cannot be taken.

    A table whose options file cannot be read is not taken without them.
    """

    folder: str
    files: list[LandedFile]
    faults: Mapping[str, str] = field(default_factory=dict)

    def by_dataset(self) -> dict[str, list[LandedFile]]:
        """The files of each dataset id; files whose name makes none are left out."""
        found: dict[str, list[LandedFile]] = {}
        for file in self.files:
            name = _id_or_none(file)
            if name is not None:
                found.setdefault(name, []).append(file)
        return found

    def of(self, dataset: str, made_from: Callable[[], str | None] = lambda: None) -> list[LandedFile]:
        """The files of a dataset, also of one that has its id from the time before lost letters and cut-off ends counted.

        Args:
            dataset: Its id.
            made_from: Tells the name of the file that it was made from last, which decides where several had that id; asked
                only then.
        """
        if found := self.by_dataset().get(dataset):
            return found
        former = [file for file in self.files if _id_or_none(file) and former_id(file.stem) == dataset]
        name = made_from() if len(former) > 1 else None
        return [file for file in former if name and file.stem == folder_stem(name)] or former


def read_landing(storage: Storage, pipeline: str) -> Landing:
    """One listing of a pipeline's landing folder. An entry that cannot be read is named and hides no other.

    Raises:
        UserError: the folder itself cannot be listed, and somebody has to mend that.
        TransientError: it cannot be listed just now.
    """
    prefix, unreadable = landing_prefix(pipeline), list[Unreadable]()
    folder = storage.uri_for(prefix)
    folders: list[LandedFile] = []
    faults: dict[str, str] = {}
    try:
        objects = list(storage.list(prefix, unreadable))
        for entry in unreadable:
            if entry.is_folder and not _is_aside(entry.name):
                try:
                    found = read_folder(storage, f"{prefix}/{entry.name}")
                except UserError as error:
                    faults[entry.name] = str(error)
                else:
                    folders += [found] if found else []
    except OSError as error:
        told = f"Cannot list {folder}: {error.strerror}."
        raise (UserError if error.errno in MENDABLE else TransientError)(told) from error
    files, known = pair_files(objects, folders), {file.name for file in folders}
    for entry in unreadable:
        if entry.name not in known and entry.name not in faults and _counts(entry):
            faults[entry.name.removesuffix(OPTIONS_SUFFIX)] = _fault(folder, entry)
    faults |= _misnamed_options(folder, files)
    return Landing(folder, [file for file in files if file.name not in faults], faults)


def _misnamed_options(folder: str, files: Iterable[LandedFile]) -> dict[str, str]:
    """Why a table is not taken whose options would be passed over for their name."""
    names = {file.name for file in files}
    found = {}
    for name in sorted(names):
        table = name.removesuffix(MISNAMED_SUFFIX)
        if table != name and table in names:
            rename = f"rename it to {table}{OPTIONS_SUFFIX}"
            found[table] = (
                f"{name!r} in {folder} would be passed over: {rename}. Until then {table!r} is passed over, too."
            )
    return found


def _counts(entry: Unreadable) -> bool:
    # A folder without a file is one that somebody has begun to fill, unless it has the name of a table.
    return not entry.is_folder or _is_table(entry.name.removesuffix(OPTIONS_SUFFIX))


def _fault(folder: str, entry: Unreadable) -> str:
    what = f"{entry.name!r} in {folder} cannot be read: {entry.reason}."
    table = entry.name.removesuffix(OPTIONS_SUFFIX)
    if table == entry.name:
        return f"{what} Put the file itself there; until then it is passed over."
    return f"{what} Mend or remove it; until then {table!r} is passed over."


def find_upload(
    storage: Storage, pipeline: str, dataset: str, made_from: Callable[[], str | None] = lambda: None
) -> LandedFile:
    """The newest file of a dataset; `made_from` as in `Landing.of`.

    Raises:
        UserError: there is none, it cannot be read, or files of different names share this dataset id.
        TransientError: the landing folder cannot be listed just now.
    """
    landing = read_landing(storage, pipeline)
    found = landing.of(dataset, made_from)
    if not found:
        for name, fault in landing.faults.items():
            if dataset in (_id_of_name(name, dataset_id), _id_of_name(name, folder_id)):
                raise UserError(fault)
        raise UserError(
            f"No upload of dataset {dataset!r} in {landing.folder}: put the file there, or use `optiflow upload`."
        )
    return _chosen(found, landing.folder, dataset)


def live_datasets(storage: Storage, pipeline: str) -> set[str]:
    """The ids of all datasets that `find_upload` would find, by one listing.

    Raises:
        UserError, TransientError: the landing folder cannot be listed.
    """
    landing = read_landing(storage, pipeline)
    live = {dataset for dataset, found in landing.by_dataset().items() if _is_live(found, landing.folder, dataset)}
    # Which file a former id stands for is for the run to say: it knows what the dataset was made from.
    unlike = [file for file in landing.files if not file.name.isascii() or len(file.name) > MAX_LENGTH]
    return live | {
        former
        for file in unlike
        if (name := _id_or_none(file)) and (former := former_id(file.stem)) not in (None, name)
    }


def _is_live(found: list[LandedFile], folder: str, dataset: str) -> bool:
    try:
        _chosen(found, folder, dataset)
    except UserError:
        return False
    return True


def _chosen(found: list[LandedFile], folder: str, dataset: str) -> LandedFile:
    stems = sorted({file.stem for file in found})
    if len(stems) > 1 or (len(found) > 1 and any(file.is_folder for file in found)):
        names = ", ".join(repr(file.name) for file in sorted(found, key=lambda file: file.name))
        raise UserError(f"{names} in {folder} all make the dataset id {dataset!r}: rename all but one of them.")
    newest = max(found, key=lambda file: (file.table.modified_ns, file.name))
    if newest.table.size == 0:
        raise UserError(f"{newest.name} in {folder} is empty (0 bytes): put the whole file there.")
    return newest


def _is_table(name: str) -> bool:
    try:
        table_suffix(name)
    except UserError:
        return False
    return True


def _id_or_none(file: LandedFile) -> str | None:
    try:
        return file.dataset
    except UserError:
        return None


def _id_of_name(name: str, make: Callable[[str], str]) -> str | None:
    try:
        return make(name)
    except UserError:
        return None


def read_options(storage: Storage, file: LandedFile) -> dict[str, Any]:
    """What the options file beside an upload says; empty if there is none.

    Raises:
        UserError: it is too long, not UTF-8 text or not YAML.
    """
    if file.options is None:
        return {}
    name = PurePosixPath(file.options.key).name
    try:
        if file.options.size > MAX_BYTES:
            raise UserError(f"{name}: longer than {MAX_BYTES // 1024} KB, which no options are. Is it another file?")
        return parse_options_file(storage.read_bytes(file.options.key), name)
    except FileNotFoundError as error:
        raise TransientError(f"{name} was removed from the landing folder before it was read.") from error


def sha256_of(path: Path) -> str:
    """sha256 hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(storage: Storage, file: LandedFile, part: StoredObject | None = None) -> Iterator[Path]:
    """The upload, or one part of a folder, as a local file.

    Raises:
        TransientError: it was removed since it was found.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(storage.local_copy((part or file.table).key))
        except FileNotFoundError as error:
            raise _gone(file) from error
        yield path


def ensure_unchanged(storage: Storage, file: LandedFile) -> None:
    """Make sure that an upload that was just read is still the one in the landing folder.

    Raises:
        TransientError: it, or its options, were written to or removed meanwhile.
    """
    options = storage.stat(file.table.key + OPTIONS_SUFFIX)
    if file.is_folder:
        there = read_folder(storage, file.table.key)
        table = there.table if there else None
    else:
        table = storage.stat(file.table.key)
    if table is None:
        raise _gone(file)
    if LandedFile(table, options).etag != file.etag:
        raise TransientError(f"{file.name} changed while it was read: it will be read again once it is complete.")


def leave_alone(storage: Storage, pipeline: str, dataset: str, file: LandedFile) -> None:
    """Note that the dataset was deleted and its file stays: as it lies there now, it is not to be run by itself again."""
    storage.write_bytes(f"{LEFT_ALONE}/{pipeline}/{dataset}", _state_of(file).encode())


def left_alone(storage: Storage, pipeline: str, files: Mapping[str, LandedFile]) -> set[str]:
    """Those of these files, by dataset id, that stayed when their dataset was deleted and have not changed since."""
    if not files:
        return set()
    noted = {PurePosixPath(note.key).name for note in storage.list(f"{LEFT_ALONE}/{pipeline}")}
    return {
        dataset
        for dataset in noted & files.keys()
        if _is_noted(storage.read_bytes(f"{LEFT_ALONE}/{pipeline}/{dataset}").decode(), files[dataset])
    }


def remove_upload(storage: Storage, pipeline: str, file: LandedFile) -> None:
    """Remove an upload of the landing folder with its options, a folder with all that is in it.

    Until it is gone what is left of it counts as left alone, so that no sensor takes half of it; cut off, it is finished by
    the next call. Something newer is taken as ever.
    """
    note = f"{LEFT_ALONE}/{pipeline}/{file.dataset}"
    storage.write_bytes(note, f"{_GOES}{file.changed_ns}".encode())
    storage.remove(file.table.key + OPTIONS_SUFFIX)
    if file.is_folder:
        storage.remove_tree(file.table.key)
    else:
        storage.remove(file.table.key)
    storage.remove(note)


_GOES = "goes@"
"""A note of an upload whose removal has begun, before the time in ns of its last change."""


def _is_noted(note: str, file: LandedFile) -> bool:
    if note.startswith(_GOES):
        return file.changed_ns <= int(note.removeprefix(_GOES))
    return note == _state_of(file)


def _state_of(file: LandedFile) -> str:
    return f"{file.name}@{file.etag}@{file.changed_ns}"


def _gone(file: LandedFile) -> TransientError:
    return TransientError(f"{file.name} was removed from the landing folder before it was read.")

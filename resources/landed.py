"""Reading what lies in the landing folder: a file, or a folder of files, as typed rows and rejected rows.

What belongs here: from the storage to the readers of `optiflow.upload`. What does not: which file or folder a dataset has
(`landing`), and how a table is read.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from optiflow.options import DatasetOptions
from optiflow.read_limits import LIMITS, ReadLimits
from resources.landing import LandedFile, opened, sha256_of
from resources.storage import Storage

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline
    from optiflow.upload.folder import Part
    from optiflow.upload.reading import Upload


class Landed(NamedTuple):
    """An upload as it was read: its version, its rows, figures to show, and what is to be warned of."""

    version: str
    table: "Upload"
    shown: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def read_landed(
    storage: Storage, file: LandedFile, options: DatasetOptions, pipeline: "Pipeline", limits: ReadLimits = LIMITS
) -> Landed:
    """Read, type and validate an upload.

    Raises:
        UserError: the upload or its options are wrong.
        TransientError: it was removed since it was found.
    """
    # Reading tables takes long to import, and most commands read none.
    from optiflow.upload.folder import read_folder
    from optiflow.upload.reading import read_upload

    if not file.is_folder:
        with opened(storage, file) as path:
            return Landed(sha256_of(path), read_upload(path, file.name, options, pipeline, limits), {})
    bad = {entry.name: f"cannot be read: {entry.reason}." for entry in file.unreadable}
    found = read_folder(landed_parts(storage, file), file.name, options, pipeline, bad, limits)
    warnings = tuple(f"{name} was left out: {why.removeprefix(f'{name}: ')}" for name, why in found.bad.items())
    shown = {
        "files": found.files.height,
        **({"bad_files": len(found.bad)} if found.bad else {}),
        **({"repeated_rows": found.repeats.rows} if found.repeats.rows else {}),
    }
    return Landed(found.version, found.upload, shown, warnings)


def landed_parts(storage: Storage, file: LandedFile) -> "list[Part]":
    """The files of a folder, each to be opened when it is its turn."""
    from optiflow.upload.folder import Part

    start = len(file.table.key) + 1
    return [Part(part.key[start:], part.modified_ns, partial(opened, storage, file, part)) for part in file.parts]

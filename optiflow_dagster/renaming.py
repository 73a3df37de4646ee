"""A dataset's upload under another name: which names, and putting the files there.

What belongs here: that. What does not: taking away what was made under the old name (`removal`).
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from optiflow.dataset_id import OPTIONS_SUFFIX, check_dataset_id, file_stem
from optiflow.errors import UserError
from optiflow_dagster.removal import Belongings
from resources.landing import LandedFile, sha256_of
from resources.storage import Storage

Moves = Sequence[tuple[LandedFile, str]]
"""Files of the landing folder, each with its new name."""


def renamed(storage: Storage, found: Belongings, name: str, there: Belongings) -> Moves:
    """The dataset's files with their new names.

    Args:
        storage: Where they are.
        found: What there is of the dataset.
        name: The new dataset id.
        there: What there is under the new id: nothing, or what an interrupted renaming has left.

    Raises:
        UserError: the name is no dataset id or another dataset's, or there is no file that could be renamed.
    """
    check_dataset_id(name)
    if name == found.dataset:
        raise UserError(f"It is called {name!r} already.")
    if not found.uploads:
        raise UserError(
            f"There is no upload of {found.pipeline} {found.dataset} in {found.where} any more, and without it nothing can be "
            "made under another name: upload the file under the new name."
        )
    moves = [(file, name + file.name[len(file_stem(file.name)) :]) for file in found.uploads]
    ours = {new: file for file, new in moves}
    copies = all(file.name in ours and _is_same(storage, file, ours[file.name]) for file in there.uploads)
    if not there.is_empty or not copies:
        raise UserError(
            f"There is a dataset {name!r} in {found.pipeline} already: choose another name, or delete that one."
        )
    return moves


def _is_same(storage: Storage, one: LandedFile, other: LandedFile) -> bool:
    with storage.local_copy(one.table.key) as a, storage.local_copy(other.table.key) as b:
        return sha256_of(a) == sha256_of(b)


def put_under_name(storage: Storage, moves: Moves) -> None:
    """Copy the files to their new names, the options first: whoever sees a table sees its options too."""
    for file, new in moves:
        target = str(PurePosixPath(file.table.key).with_name(new))
        if file.options is not None:
            storage.write_bytes(target + OPTIONS_SUFFIX, storage.read_bytes(file.options.key))
        with storage.local_copy(file.table.key) as path:
            storage.put_file(target, path)

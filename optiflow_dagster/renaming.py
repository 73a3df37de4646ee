"""A dataset's upload under another name: which names, and putting the files there.

What belongs here: that. What does not: taking away what was made under the old name (`removal`).
"""

import time
from collections.abc import Sequence
from pathlib import PurePosixPath

from optiflow.dataset_id import OPTIONS_SUFFIX, check_dataset_id
from optiflow.errors import UserError
from optiflow_dagster.removal import Belongings
from resources.landing import LandedFile, sha256_of
from resources.storage import Storage

CLOCK_SECONDS = 0.2
"""Before a file is written again that is to be newer than another one."""

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
    moves = [(file, name + file.name[len(file.stem) :]) for file in found.uploads]
    ours = {new: file for file, new in moves}
    copies = all(file.name in ours and _is_same(storage, file, ours[file.name]) for file in there.uploads)
    if not there.is_empty or not copies:
        raise UserError(
            f"There is a dataset {name!r} in {found.pipeline} already: choose another name, or delete that one."
        )
    return moves


def _is_same(storage: Storage, one: LandedFile, other: LandedFile) -> bool:
    """Whether one is a copy of the other; of a folder, whether each file in it is one of a file there."""
    if one.is_folder != other.is_folder:
        return False
    ours, theirs = len(one.table.key), len(other.table.key)
    pairs = {part.key[ours:]: part.key for part in one.parts} if one.is_folder else {"": one.table.key}
    there = {part.key[theirs:]: part.key for part in other.parts} if other.is_folder else {"": other.table.key}
    return pairs.keys() <= there.keys() and all(_same_bytes(storage, pairs[name], there[name]) for name in pairs)


def _same_bytes(storage: Storage, one: str, other: str) -> bool:
    with storage.local_copy(one) as a, storage.local_copy(other) as b:
        return sha256_of(a) == sha256_of(b)


def put_under_name(storage: Storage, moves: Moves) -> None:
    """Copy the files to their new names, the options first: whoever sees a table sees its options too.

    A folder goes with all that is in it, also what is no data, the oldest file first: of two that have the same row the
    newer one counts.
    """
    for file, new in moves:
        target = str(PurePosixPath(file.table.key).with_name(new))
        if file.options is not None:
            storage.write_bytes(target + OPTIONS_SUFFIX, storage.read_bytes(file.options.key))
        if not file.is_folder:
            _copy(storage, file.table.key, target)
            continue
        start, last = len(file.table.key), (0, "")
        data = {part.key for part in file.parts}
        for found in storage.tree(file.table.key):
            if found.key not in data and storage.exists(found.key):
                _copy(storage, found.key, target + found.key[start:])
        for part in sorted(file.parts, key=lambda part: (part.modified_ns, part.key)):
            last = _copy_after(storage, part.key, target + part.key[start:], last)


def _copy(storage: Storage, key: str, target: str) -> None:
    with storage.local_copy(key) as path:
        storage.put_file(target, path)


def _copy_after(storage: Storage, key: str, target: str, last: tuple[int, str]) -> tuple[int, str]:
    """Copy until the copy is newer than the last one; of the same time, which S3 tells in seconds, the last name is."""
    while True:
        _copy(storage, key, target)
        written = storage.stat(target)
        if written is None or (written.modified_ns, target) > last:
            return (written.modified_ns, target) if written else last
        time.sleep(CLOCK_SECONDS)

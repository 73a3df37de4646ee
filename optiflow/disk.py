"""Having bytes and names on the disk before anything relies on them. Only the standard library.

What belongs here: what a power cut takes that a crash does not. What does not: how a file is written.
"""

import errno
import os
from pathlib import Path


def to_disk(path: Path) -> None:
    """Have the kernel write a file's bytes, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call for folders
            raise
    finally:
        os.close(handle)


def replace_on_disk(temporary: Path, target: Path) -> None:
    """Give a written file its name: the bytes first, or a power cut would leave an empty file of that name."""
    to_disk(temporary)
    temporary.replace(target)
    to_disk(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; each new one's name is on the disk before something is put into it.

    Raises:
        FileExistsError: it is something else.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        to_disk(new.parent)
    folder.mkdir(exist_ok=True)

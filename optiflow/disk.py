"""Having bytes and names on the disk before anything relies on them, and folders that nobody else can read.

What belongs here: what a power cut takes that a crash does not, and permissions; only the standard library. What does not:
how a file is written.
"""

import errno
import os
import stat
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


AS_A_UMASK_LEAVES_IT = (0o755, 0o775, 0o777)
"""Permissions that nobody has chosen: what a new folder has under the usual umasks."""


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can look into, or close one that was made as folders are made by default.

    Permissions that somebody has chosen, such as a group's, stay; so do those of another user's folder.
    """
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    close_to_others(folder)


def close_to_others(folder: Path) -> None:
    """Let only its owner look into a folder that is there and open to all only because nobody said otherwise."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_IMODE(found.st_mode) in AS_A_UMASK_LEAVES_IT and found.st_uid == os.geteuid():
        folder.chmod(0o700)

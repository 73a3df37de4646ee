"""Locks on this machine's disk, for whoever reads, changes and writes: another one meanwhile would undo it.

What does not belong here: storage in S3, which has no locks but writes on a condition (`Storage.write_if_unchanged`).
"""

import fcntl
import os

from resources.storage.files import FileStorage


def locked(storage: FileStorage, key: str) -> int:
    """The lock as an open file; closing it gives it back, and so does the end of the process."""
    path = storage.path(key)
    while True:
        if not path.exists():
            storage.write_bytes(key, b"")
        lock = os.open(path, os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have put its own file in place before this one was locked.
        if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
            return lock
        os.close(lock)

"""The least that watching a folder takes: list it and look at every file."""

import os
from pathlib import Path


def walk(folder: Path) -> int:
    """How many files there are, having asked each for its size and times."""
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if entry.stat().st_mtime_ns > 0)

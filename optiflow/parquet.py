"""Writing tables as Parquet, the one way for everything that we write."""

from pathlib import Path
from typing import Any

import polars as pl

COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
"""zstd at level 1: of 5 million enriched orders it writes a quarter to a half faster than the default level, and the
file is a fifth larger."""


def write_parquet(frame: pl.DataFrame | pl.LazyFrame, path: Path) -> None:
    """Write a table as Parquet; a lazy one is streamed.

    Raises:
        OSError: the file cannot be made.
        polars.exceptions.PolarsError: the frame's query fails, or the disk is full.
    """
    # polars writes in threads that may outlive an error. Given the name, they could make a file that was cleared away
    # already; given the open file, they cannot.
    with path.open("wb") as file:
        frame.lazy().sink_parquet(file, **COMPRESSION)

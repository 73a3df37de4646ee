"""Writing tables as Parquet, the one way for everything that we write."""

from pathlib import Path
from typing import Any

import polars as pl

COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
"""zstd at level 1: of 5 million enriched orders it writes a quarter to a half faster than the default level, and the
file is a fifth larger."""


KEY = "optiflow.key"
"""In a file's metadata: the column that tells its rows apart from those of other files of the folder."""


def key_column(path: Path) -> str | None:
    """The column that tells a Parquet file's rows apart, if the file says so."""
    return pl.read_parquet_metadata(path).get(KEY)


def write_parquet(frame: pl.DataFrame | pl.LazyFrame, path: Path, key: str | None = None) -> None:
    """Write a table as Parquet; a lazy one is streamed. `key` is the column that tells its rows apart.

    Raises:
        OSError: the file cannot be made.
        polars.exceptions.PolarsError: the frame's query fails, or the disk is full.
    """
    # polars writes in threads that may outlive an error. Given the name, they could make a file that was cleared away
    # already; given the open file, they cannot.
    with path.open("wb") as file:
        frame.lazy().sink_parquet(file, metadata={KEY: key} if key else None, **COMPRESSION)

"""Writing tables as Parquet, the one way for everything that we write."""

from pathlib import Path
from typing import Any

import polars as pl

COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
"""zstd at level 1: of 5 million enriched orders it writes a quarter to a half faster than the default level, and the
file is a fifth larger."""


def write_parquet(frame: pl.DataFrame | pl.LazyFrame, path: Path) -> None:
    """Write a table as Parquet; a lazy one is streamed."""
    frame.lazy().sink_parquet(path, mkdir=False, **COMPRESSION)

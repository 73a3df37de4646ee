"""The floor of enrichment: polars alone reads orders that are enriched already and writes them. `… FOLDER`.

It writes `copy.parquet` with the compression that ours has (`optiflow.parquet`).
"""

import sys
from pathlib import Path

import polars as pl


def main(folder: Path) -> None:
    """Read and write, streamed: the fastest that the library does."""
    enriched = pl.scan_parquet(folder / "enriched.parquet")
    enriched.sink_parquet(folder / "copy.parquet", compression="zstd", compression_level=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

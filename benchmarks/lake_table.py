"""Write the table of the lake's figures, 64 bytes a row: `python -m benchmarks.lake_table FILE ROWS`."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

COLUMNS = 8
ROW_BYTES = 8 * COLUMNS
CHUNK_ROWS = 1_000_000


def main(file: Path, rows: int) -> None:
    """Random Float64 and Int64, so that zstd gains a few percent only, a chunk at a time, so that little is held."""
    generator = np.random.default_rng(11)
    parts = []
    for start in range(0, rows, CHUNK_ROWS):
        size = min(CHUNK_ROWS, rows - start)
        values = {f"x{number}": generator.random(size) for number in range(COLUMNS // 2)}
        values |= {f"n{number}": generator.integers(-(2**63), 2**63, size) for number in range(COLUMNS // 2)}
        parts.append(file.with_name(f"part-{start:012d}.parquet"))
        pl.DataFrame(values).write_parquet(parts[-1], compression="uncompressed")
    pl.scan_parquet(parts).sink_parquet(file, compression="zstd", compression_level=1)
    for part in parts:
        part.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

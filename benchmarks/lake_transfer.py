"""One transfer through `S3Storage`: `… write FILE BUCKET KEY` or `… read FILE BUCKET KEY`; prints its seconds and rows.

The imports are not counted: both sides need polars, and a run has all of it loaded.
"""

import json
import sys
import time

import polars as pl

from optiflow.errors import UserError
from resources.storage import S3Storage


def main(direction: str, file: str, bucket: str, key: str) -> None:
    """Write the local table to S3, or read the whole object; a first request has connected."""
    storage = S3Storage(uri=f"s3://{bucket}")
    storage.exists("lake/none")
    start = time.perf_counter()
    if direction == "write":
        storage.write_parquet(key, pl.scan_parquet(file))
        rows = 0
    elif direction == "read":
        rows = storage.scan_parquet(key).collect().height
    else:
        raise UserError(f"{direction!r}: write or read.")
    print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])

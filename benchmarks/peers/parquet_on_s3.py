"""polars alone, to and from S3: `… write FILE BUCKET KEY` or `… read FILE BUCKET KEY`; prints its seconds and rows."""

import json
import os
import sys
import time

import boto3
import polars as pl


def main(direction: str, file: str, bucket: str, key: str) -> None:
    """The shortest honest program, with our compression, whose object is as large; a first request has connected."""
    boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="lake/none")
    uri, options = f"s3://{bucket}/{key}", {"aws_region": os.environ["AWS_REGION"]}
    start = time.perf_counter()
    if direction == "write":
        pl.scan_parquet(file).sink_parquet(uri, compression="zstd", compression_level=1, storage_options=options)
        rows = 0
    else:
        rows = pl.scan_parquet(uri, storage_options=options).collect().height
    print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])

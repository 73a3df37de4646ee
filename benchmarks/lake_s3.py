"""The lake on S3: a table of 1 GB written and read through `S3Storage`, against polars alone to the same server.

Each transfer is a fresh process that counts its own seconds, so that neither side inherits the other's memory; the best
of the turns counts. The server works on the same processors, so its own time is in both sides and pulls their ratio
towards one.
"""

import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.aws_server import aws_server, make_bucket
from benchmarks.figure import Figure
from benchmarks.lake_table import ROW_BYTES
from benchmarks.measuring import fresh_python, in_turns
from resources.aws.client import client

ROWS, TURNS = 10**9 // ROW_BYTES, 4
QUICK_ROWS, QUICK_TURNS = 20_000, 1
SIDES = {"ours": "benchmarks.lake_transfer", "peer": "benchmarks.peers.parquet_on_s3"}
LIMIT = 0.8


def write_table(file: Path, rows: int) -> None:
    """Write the local table that the sides send."""
    fresh_python("-m", "benchmarks.lake_table", file, str(rows))


def transfer(side: str, direction: str, file: Path, bucket: str) -> dict[str, float]:
    """Let one of `SIDES` write or read its object: seconds, and the rows that were read."""
    output = fresh_python("-m", SIDES[side], direction, file, bucket, f"lake/{side}.parquet").output
    return json.loads(output)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    rows, turns = (QUICK_ROWS, QUICK_TURNS) if quick else (ROWS, TURNS)
    with aws_server(), TemporaryDirectory() as folder:
        file, bucket = Path(folder, "table.parquet"), make_bucket()
        write_table(file, rows)
        steps = {
            f"{direction}-{side}": partial(transfer, side, direction, file, bucket)
            for direction in ("write", "read")
            for side in SIDES
        }
        results = in_turns(turns, **steps)
        sizes = {
            side: client("s3").head_object(Bucket=bucket, Key=f"lake/{side}.parquet")["ContentLength"] for side in SIDES
        }
    if any(result["rows"] != rows for side in SIDES for result in results[f"read-{side}"]):
        raise SystemExit("A side did not read the whole table.")
    if max(sizes.values()) > 1.01 * min(sizes.values()):
        raise SystemExit(f"The sides wrote objects of different sizes: {sizes}.")
    best = {step: min(result["seconds"] for result in taken) for step, taken in results.items()}
    return [
        Figure(f"lake-{direction}-s3", best[f"{direction}-ours"], best[f"{direction}-peer"], "s", "speedup", LIMIT)
        for direction in ("write", "read")
    ]

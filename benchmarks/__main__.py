"""`python -m benchmarks`: takes every figure and prints a line each. Exit code 1 if a promise is not kept."""

import argparse
import importlib
import os
import sys

from benchmarks.figure import header

FIGURES = {
    "enrichment": {
        "enrichment-vs-plain": "5,000,000 orders x 12 series; peer: pandas merge_asof per series, then to_csv",
        "enrichment-memory": "the most memory that our process held; peer: pandas",
        "enrichment-vs-copy": "peer: polars alone, reading and writing the table that comes out",
    },
    "imports": {
        "import-code-location": "processor time to build our definitions from nothing; peer: import dagster",
        "heavy-modules": "modules banned at import that this loads; peer: import dagster",
    },
    "dagster_overhead": {
        "dagster-overhead": "time per asset outside of its own work; peer: as many assets that do nothing",
        "overhead-vs-empty": "the same, on the same storage",
    },
    "local_job": {
        "local-training-job": "300,000 rows; peer: xgboost.train in a fresh process",
        "local-training-job-small": "the same with 5,000 rows",
    },
    "uploads_tick": {
        "uploads-tick": "uploads_sensor over 10,000 known files; peer: listing them",
        "uploads-tick-linear": "20,000 known files; peer: 5,000",
    },
    "uploads_tick_s3": {
        "uploads-tick-s3": "100,000 known objects and 100 new; peer: boto3 walks the same prefix",
        "uploads-tick-dagster-aws": "the same; peer: get_objects of dagster-aws",
        "uploads-tick-sqs": "100 messages, 20 a tick, 100,000 objects in the bucket; peer: 100 objects in it",
    },
    "jobs_tick": {
        "jobs-tick-calls": "external_jobs_sensor over 1,000 running jobs; peer: one describe a job",
        "jobs-tick": "the same, its time",
    },
    "lake_s3": {
        "lake-write-s3": "a table of 1 GB to S3; peer: polars alone to the same server",
        "lake-read-s3": "all of it from S3; peer: polars alone",
    },
}
"""Module -> its figures, in order, and what they are. Heavy imports wait until a module's turn."""


def main(arguments: list[str]) -> int:
    """Measure, print, and say whether all is well."""
    chosen = _parser().parse_args(arguments)
    # No variable of the machine moves a figure, nor lets a benchmark write into a project of the user's.
    for name in list(os.environ):
        if name.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_", "AWS_")):
            del os.environ[name]
    print(header(), flush=True)
    kept = True
    for module, names in FIGURES.items():
        if chosen.only is not None and chosen.only not in names:
            continue
        for figure in importlib.import_module(f"benchmarks.{module}").figures(chosen.quick):
            if chosen.only in (None, figure.name):
                print(figure.line(), flush=True)
                kept &= figure.ok
    return 0 if kept else 1


def _parser() -> argparse.ArgumentParser:
    described = {name: text for figures in FIGURES.values() for name, text in figures.items()}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Speed and memory beside their peers, both measured in the same run.",
        epilog="figures:\n" + "\n".join(f"  {name:<26}{text}" for name, text in described.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME", choices=described, help="take this figure alone")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all works, proves nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A local training job against plain `xgboost.train` in a fresh process: same Parquet file, same hyperparameters.

Both sides end with a model on the disk. Ours is submitted from a process that has everything imported, as a run has;
its own process then starts from nothing, evaluates each round, packs and records. Median of the turns.
"""

import itertools
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.figure import Figure
from benchmarks.measuring import fresh_python, in_turns
from resources.jobs.contract import Channel, JobKind, JobRequest
from resources.jobs.local import LocalJobs

ROWS, COLUMNS, ROUNDS, TURNS = 300_000, 20, 100, 5
SMALL_ROWS = 5_000  # about the sample: there the start of the processes is most of it
QUICK_ROWS, QUICK_ROUNDS, QUICK_TURNS = 1_000, 10, 1
PARAMS = {"eta": "0.1", "max_depth": "6", "objective": "reg:squarederror"}
LIMIT = 1.25


def write_table(path: Path, rows: int) -> None:
    """Write `rows` x (target + 20) Float32 as Parquet; the target is a smooth function plus noise."""
    generator = np.random.default_rng(7)
    features = generator.random((rows, COLUMNS), dtype=np.float32)
    target = 10 * features[:, 0] + np.sin(6 * features[:, 1]) * features[:, 2] + generator.normal(0, 0.1, rows)
    columns = {"target": target.astype(np.float32)} | {f"f{i}": features[:, i] for i in range(COLUMNS)}
    pl.DataFrame(columns).write_parquet(path)


def train_ours(table: Path, jobs: LocalJobs, name: str, rounds: int) -> float:
    """Seconds from submitting a job to its completed state."""
    parameters = {"num_round": str(rounds), **PARAMS}
    request = JobRequest(name, JobKind.TRAINING, "xgboost", parameters, {"train": Channel(table.as_uri())})
    start = time.perf_counter()
    jobs.submit(request)
    state = jobs.wait(name, JobKind.TRAINING)
    seconds = time.perf_counter() - start
    if state.output_uri is None:
        raise SystemExit(f"{name}: {state.failure_reason}")
    return seconds


def train_peer(table: Path, model: Path, rounds: int) -> float:
    """Seconds of a fresh Python that trains on the same file."""
    program = ("-m", "benchmarks.peers.train_xgboost")
    return fresh_python(*program, table, model, str(rounds), json.dumps(PARAMS)).wall_seconds


def compare(name: str, rows: int, rounds: int, turns: int) -> Figure:
    """Both sides on a table of `rows`."""
    with TemporaryDirectory() as folder:
        table = Path(folder, "train.parquet")
        write_table(table, rows)
        jobs, numbers = LocalJobs(root=f"{folder}/jobs"), itertools.count()
        seconds = in_turns(
            turns,
            ours=lambda: train_ours(table, jobs, f"bench-{next(numbers)}", rounds),
            peer=lambda: train_peer(table, Path(folder, "peer.ubj"), rounds),
        )
    ours, peer = (statistics.median(seconds[side]) for side in ("ours", "peer"))
    return Figure(name, ours, peer, "s", "ratio", LIMIT)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    rows, rounds, turns = (QUICK_ROWS, QUICK_ROUNDS, QUICK_TURNS) if quick else (ROWS, ROUNDS, TURNS)
    small = min(rows, SMALL_ROWS)
    return [
        compare("local-training-job", rows, rounds, turns),
        compare("local-training-job-small", small, rounds, turns),
    ]

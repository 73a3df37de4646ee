"""What Dagster costs per asset in a run of the whole chain on the sample: the wall time that is not the chain's work.

Work is time inside the bodies of assets and checks and inside the IO manager. Everything else counts: building the
definitions, resolving the job, resources, events in the database of `dagster.yaml`, the progress on the terminal. Median of the turns.
"""

import json
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figure import Figure
from benchmarks.measuring import fresh_python

TURNS, QUICK_TURNS = 5, 0
LIMIT_MS = 70
MOST_TIMES_THE_EMPTY_CHAIN = 1.15


def run_chains(turns: int) -> dict[str, list[dict[str, Any]]]:
    """`turns` runs of `ours` and `peer` each, in a fresh process and a project of its own; see `chain_run`."""
    with TemporaryDirectory() as folder:
        output = fresh_python("-m", "benchmarks.chain_run", Path(folder), str(turns)).output
    return json.loads(output.splitlines()[-1])


def milliseconds_per_asset(run: dict[str, Any]) -> float:
    """The run's overhead, shared out over its assets."""
    return 1000 * (run["wall_seconds"] - run["work_seconds"]) / run["assets"]


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    runs = run_chains(QUICK_TURNS if quick else TURNS)
    ours, peer = (statistics.median(map(milliseconds_per_asset, runs[side])) for side in ("ours", "peer"))
    return [
        Figure("dagster-overhead", ours, peer, "ms", "ours", LIMIT_MS),
        Figure("overhead-vs-empty", ours, peer, "ms", "ratio", MOST_TIMES_THE_EMPTY_CHAIN),
    ]

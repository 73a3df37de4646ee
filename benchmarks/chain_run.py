"""One run of a chain in this process, split into its own work and the rest. Run as a program: `… FOLDER TURNS`.

FOLDER becomes a project of its own with the repository's `dagster.yaml`. The whole chain runs on the sample as
`optiflow run` does it, and beside it a chain of equal size that does nothing. The first run of each is not counted (but
for TURNS 0): it loads what later runs have at hand, and trains the model that they adopt.
"""

import io
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.plan import compute_generator
from rich.console import Console

from benchmarks.measuring import ROOT, in_turns
from benchmarks.peers import empty_chain
from optiflow.pipelines import PIPELINES, samples
from optiflow_dagster.cli.progress import execute
from optiflow_dagster.cli.workplace import DAGSTER_YAML, Workplace, open_workplace
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.partitions import DATASETS
from resources.lake import LakeIOManager
from resources.landing import landing_prefix

PIPELINE = "orders"
CHECKS = 5


@dataclass(frozen=True)
class ChainRun:
    """Seconds of a run from building its definitions to its end, seconds of its own work, and its assets."""

    wall_seconds: float
    work_seconds: float
    assets: int


class Stopwatch:
    """Adds up the seconds that are spent inside the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its time added."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return wrapped


WORK = Stopwatch()


class TimedLake(LakeIOManager):
    """The lake with its reading and writing on the stopwatch."""

    handle_output = WORK.timed(LakeIOManager.handle_output)
    load_input = WORK.timed(LakeIOManager.load_input)


def time_bodies() -> None:
    """Put the bodies of all assets and checks on the stopwatch.

    Dagster calls each of them from this one private function; its own preparations around them stay outside.
    """
    call = compute_generator.invoke_compute_fn
    compute_generator.invoke_compute_fn = lambda body, *rest: call(WORK.timed(body), *rest)


def run_once(build: Callable[[], dg.Definitions], job: str, partition: str, instance: dg.DagsterInstance) -> ChainRun:
    """Run a job as the command line does, with its output thrown away."""
    WORK.seconds = 0.0
    start = time.perf_counter()
    failures = execute(build(), job, partition, instance, Console(file=io.StringIO()))
    wall = time.perf_counter() - start
    if failures:
        raise SystemExit(f"{failures[0].asset}: {failures[0].message}")
    run = instance.get_runs(limit=1)[0]
    made = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    return ChainRun(wall, WORK.seconds, len(made))


def build_ours(workplace: Workplace) -> dg.Definitions:
    """The pipeline's definitions, with the lake on the stopwatch."""
    lake = TimedLake(storage=workplace.adapters.storage, catalog=workplace.adapters.catalog)
    return build_definitions(workplace.settings, {PIPELINE: PIPELINES[PIPELINE]}, io_manager=lake)


def main(home: Path, turns: int) -> None:
    """Print the runs of both sides as JSON."""
    warnings.simplefilter("ignore")  # as the command line does
    shutil.copy(ROOT / DAGSTER_YAML, home)
    os.environ["OPTIFLOW_HOME"] = str(home)
    time_bodies()
    workplace = open_workplace()
    file = samples.write_sample(PIPELINE, workplace.adapters.storage.path(landing_prefix(PIPELINE)))
    with workplace.instance() as instance:
        instance.add_dynamic_partitions(str(DATASETS[PIPELINE].name), [file.stem])
        instance.add_dynamic_partitions(str(empty_chain.PARTITIONS.name), [file.stem])

        def ours() -> ChainRun:
            return run_once(lambda: build_ours(workplace), f"{PIPELINE}_job", file.stem, instance)

        first = ours()

        def peer() -> ChainRun:
            return run_once(lambda: empty_chain.empty_chain(first.assets, CHECKS), empty_chain.JOB, file.stem, instance)

        cold = {"ours": [first], "peer": [peer()]}
        runs = in_turns(turns, ours=ours, peer=peer) if turns else cold
    print(json.dumps({side: [asdict(run) for run in done] for side, done in runs.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""A tick of `uploads_sensor` over files that it knows: real files, storage, definitions and instance.

The tick is evaluated through the sensor's own definition, as the daemon's code server does; the median of the turns
counts. The linear figure sets a folder of 20,000 files beside one of 5,000: four times the work, and a third for noise.
"""

import statistics
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from benchmarks.figure import Figure
from benchmarks.measuring import in_turns, timed
from benchmarks.peers.walk_folder import walk
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.uploads_decision import Position, choose_uploads, write_cursor
from resources.landing import landing_prefix, pair_files
from resources.settings import load_settings
from resources.storage import FileStorage

PIPELINE = "orders"
FILES, FEW, MANY, TURNS = 10_000, 5_000, 20_000, 7
QUICK_SHARE, QUICK_TURNS = 50, 3
LIMIT_SECONDS, LINEAR_LIMIT = 1.0, 4 * 1.3


class Watched:
    """A project in `home` whose landing folder holds `files` files, all of them known to the sensor."""

    def __init__(self, home: Path, files: int) -> None:
        settings = load_settings(home=home, upload_settle_seconds=0)
        self._storage = FileStorage(uri=settings.storage_uri)
        self.folder = self._storage.path(landing_prefix(PIPELINE))
        self.folder.mkdir(parents=True)
        for number in range(files):
            (self.folder / f"orders-{number:06d}.csv").write_text("order_date,quantity\n")
        landed = pair_files(self._storage.list(landing_prefix(PIPELINE)))
        known = choose_uploads(landed, Position(), now_ns=time.time_ns(), settle_ns=0, limit=files)
        self.cursor = write_cursor({PIPELINE: known.position})
        self._definitions = build_definitions(settings)
        self._sensor = self._definitions.resolve_sensor_def("uploads_sensor")

    def tick(self, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
        """What one tick asks for."""
        with dg.build_sensor_context(
            instance_ref=instance.get_ref(),  # as the code server has it
            cursor=self.cursor,
            definitions=self._definitions,
            resources={"storage": self._storage},
        ) as context:
            return list(self._sensor.evaluate_tick(context).run_requests or [])

    def tick_seconds(self, instance: dg.DagsterInstance) -> float:
        """How long a tick takes that has nothing to do."""
        requests, seconds = timed(partial(self.tick, instance))
        if requests:
            raise SystemExit(f"The sensor does not know {requests[0].run_key}.")
        return seconds

    def walk_seconds(self) -> float:
        """How long a bare look at every file takes."""
        return timed(partial(walk, self.folder))[1]


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    share, turns = (QUICK_SHARE, QUICK_TURNS) if quick else (1, TURNS)
    with TemporaryDirectory() as name, dg.instance_for_test() as instance:
        usual, few, many = (Watched(Path(name, str(files)), files // share) for files in (FILES, FEW, MANY))
        seconds = in_turns(
            turns,
            usual=partial(usual.tick_seconds, instance),
            walk=usual.walk_seconds,
            few=partial(few.tick_seconds, instance),
            many=partial(many.tick_seconds, instance),
        )
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    return [
        Figure("uploads-tick", medians["usual"], medians["walk"], "s", "ours", LIMIT_SECONDS),
        Figure("uploads-tick-linear", medians["many"], medians["few"], "s", "ratio", LINEAR_LIMIT),
    ]

"""Enrichment, Parquet in and out, as whole fresh processes: against the plain way and against a mere copy.

The times are those of the whole process, imports included. The best of the turns counts: all sides use every core and
the disk, so another process on the machine only ever slows one down. Of our peak memory the worst turn counts.
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure
from benchmarks.measuring import Cost, fresh_python, in_turns

ROWS, TURNS = 5_000_000, 5
PLAIN_TURNS = 2  # over a minute each
QUICK_ROWS = 20_000
SIDES = {
    "ours": "benchmarks.enrich_orders",
    "plain": "benchmarks.peers.merge_asof_to_csv",
    "copy": "benchmarks.peers.copy_enriched",
}


def write_inputs(folder: Path, rows: int) -> None:
    """Write what the sides read: `rows` orders, 12 series, and the orders enriched already."""
    fresh_python("-m", "benchmarks.enrichment_inputs", folder, str(rows))


def run_side(side: str, folder: Path) -> Cost:
    """Run one of `SIDES` in a fresh process over the inputs in `folder`."""
    return fresh_python("-m", SIDES[side], folder)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    rows, turns, plain_turns = (QUICK_ROWS, 1, 1) if quick else (ROWS, TURNS, PLAIN_TURNS)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, rows)
        sides = {side: partial(run_side, side, folder) for side in SIDES}
        costs = in_turns(plain_turns, **sides)
        del sides["plain"]
        for side, more in in_turns(turns - plain_turns, **sides).items():
            costs[side] += more
    ours, plain, copy = (min(cost.wall_seconds for cost in costs[side]) for side in SIDES)
    peaks = [max(cost.peak_bytes for cost in costs[side]) / 1e9 for side in ("ours", "plain")]
    return [
        Figure("enrichment-vs-plain", ours, plain, "s", "speedup", 15),
        Figure("enrichment-memory", peaks[0], peaks[1], "GB", "ours", 1.5),
        Figure("enrichment-vs-copy", ours, copy, "s", "ratio", 1.5),
    ]

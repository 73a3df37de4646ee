"""Importing the code location in a fresh process against `import dagster`, and the heavy modules that it loads.

Processor time counts, not the clock: an import runs on one thread and its files are in the cache, and what else the
machine does then hardly shows. It is the median of the turns, so the first one, which may write byte
code, does not count.
"""

import statistics
import tomllib
from functools import partial

from benchmarks.figure import Figure
from benchmarks.measuring import ROOT, Cost, fresh_python, in_turns

TURNS, QUICK_TURNS = 9, 1
SHOW_MODULES = "\nimport sys\nprint(*sys.modules)"
PROGRAMS = {
    "ours": "import optiflow_dagster.definitions as location\nlocation.build_definitions(location.load_settings())",
    "peer": "import dagster",
}


def heavy_modules() -> set[str]:
    """The modules that the linter bans at module level, each for the seconds that it takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return set(project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])


def run_side(side: str) -> Cost:
    """Import one side; the output names all modules that are loaded then."""
    return fresh_python("-c", PROGRAMS[side] + SHOW_MODULES)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    sides = {side: partial(run_side, side) for side in PROGRAMS}
    costs = in_turns(QUICK_TURNS if quick else TURNS, **sides)
    loaded = {side: heavy_modules() & set(costs[side][0].output.split()) for side in PROGRAMS}
    ours, peer = (statistics.median(cost.cpu_seconds for cost in costs[side]) for side in PROGRAMS)
    return [
        Figure("import-code-location", ours, peer, "s", "ratio", 1.5),
        Figure("heavy-modules", len(loaded["ours"]), len(loaded["peer"]), "modules", "ours", 0),
    ]

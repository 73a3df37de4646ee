"""Taking a measurement: what a fresh process costs, and both sides in turns. What to measure is said elsewhere."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What a process took from its start to its end, the interpreter's own start and all imports included.

    `wall_seconds` on the clock, `cpu_seconds` of processor time (user and system), `peak_bytes` of resident memory at
    most, and what it printed.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def fresh_python(*arguments: str | Path) -> Cost:
    """Run a fresh Python in the repository's folder, and wait for it.

    A child's peak counts from its parent's size when it was started, so inputs are made in processes of their own and
    the process that measures stays small.

    Raises:
        SystemExit: it failed; its error output was shown.
    """
    command = [sys.executable, *map(str, arguments)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout as stream:
        output = stream.read()
    # wait4 gives this one child's peak; getrusage(RUSAGE_CHILDREN) would give the largest of all so far.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    kilobyte = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss differs
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * kilobyte, output)


def in_turns(turns: int, **sides: Callable[[], T]) -> dict[str, list[T]]:
    """Call every side `turns` times, in turns, so that a busy spell of the machine meets all of them.

    The order is turned round each time (A B, B A, …): what one leaves behind, the other does not always come to first.
    """
    results: dict[str, list[T]] = {name: [] for name in sides}
    order = list(sides)
    for _ in range(turns):
        for name in order:
            results[name].append(sides[name]())
        order.reverse()
    return results


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """What a call returns, and how many seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start

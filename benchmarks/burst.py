"""`python -m benchmarks.burst`: two hundred files at once under a real `dagster dev`, and how long the first report takes.

What was begun must be brought to its report before the next files are begun: with the work of all files in the order of
their arrival, the first report would come when all trainings are done. The rest of the reports are not waited for.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.soak import TESTS, end, wait_for_ui

if TYPE_CHECKING:
    from dagster_dev import Project

FILES = 200
MOST_SECONDS = 60
GIVEN_UP_SECONDS = 1_200
POLL_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Drop the files, wait for the first report, and say whether it came in time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES, help=f"how many files are dropped (default: {FILES})")
    chosen = parser.parse_args(arguments)
    if TESTS not in sys.path:
        sys.path.append(TESTS)
    from dagster_dev import Project

    with TemporaryDirectory() as folder:
        project = Project(Path(folder))
        files = [project.prepare(f"burst-{number}.csv", seed=number) for number in range(chosen.files)]
        try:
            project.start()
            wait_for_ui(project)
            project.drop(*files)
            begun = time.monotonic()
            first = _first_report(project)
            seconds = time.monotonic() - begun
            trainings = len(list((project.folder / ".optiflow" / "jobs").glob("*-training-*")))
        finally:
            end(project)
            for job in project.adapters.jobs.list_active():
                project.adapters.jobs.stop(job.name, job.kind)
    ok = first and seconds <= MOST_SECONDS
    for name, value in (("files dropped", chosen.files), ("trainings begun until then", trainings)):
        print(f"{name:<50}{value}")
    print(f"{'first report after, s':<50}{seconds:<24.0f}{'yes' if ok else 'no'}")
    return 0 if ok else 1


def _first_report(project: "Project") -> bool:
    reports = project.folder / ".optiflow/lake/orders/mse_report"
    deadline = time.monotonic() + GIVEN_UP_SECONDS
    while time.monotonic() < deadline:
        if next(reports.glob("*/*/report.json"), None):
            return True
        time.sleep(POLL_SECONDS)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m benchmarks.soak`: a real `dagster dev` under load for half an hour, watched like a user would watch it.

A file of orders is dropped every ten seconds, which keeps both cores of a small machine at work, and the UI is asked
every ten seconds. At the end every file must have its report, no run may have failed, no process may be left, and
neither sensors nor UI may have become slower. What does not belong here: crashes, which have tests of their own.
"""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from benchmarks.measuring import ROOT

if TYPE_CHECKING:
    import dagster as dg
    from dagster_dev import Project

TESTS = str(ROOT / "tests")
EVERY_SECONDS = 10
GROWTH = 1.5
"""So much longer may the median tick of the last third be than that of the first, and a second besides."""
UI_SECONDS = 10
LAST_FILES_MINUTES = 20
ROWS = 5_000

RUNS = "{ runsOrError(limit: 25) { ... on Runs { results { runId status jobName tags { key value } } } } }"
ASSETS = "{ assetsOrError(limit: 100) { ... on AssetConnection { nodes { key { path } } } } }"
LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
    loadStatus locationOrLoadError { __typename } } } } }"""
TICKS = """{ sensorsOrError(repositorySelector:
    {repositoryName: "__repository__", repositoryLocationName: "optiflow"}) { ... on Sensors { results {
    name sensorState { ticks(limit: 2000) { timestamp endTimestamp status error { message } } } } } } }"""


@dataclass
class Seen:
    """What was observed: seconds per question to the UI, and when each dataset's report was there."""

    ui_seconds: list[float] = field(default_factory=list)
    ui_failures: list[str] = field(default_factory=list)
    dropped: dict[str, float] = field(default_factory=dict)
    reported: dict[str, float] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    """Soak, print a line a figure, and say whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long files are dropped (default: 30)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of a file (default: {ROWS:,})")
    chosen = parser.parse_args(arguments)
    if TESTS not in sys.path:
        sys.path.append(TESTS)
    from dagster_dev import Project

    with TemporaryDirectory() as folder:
        project = Project(Path(folder))
        try:
            project.start()
            seen = _watch(project, 60 * chosen.minutes, chosen.rows)
            ticks = _ask(project, TICKS)["sensorsOrError"]["results"]
            failed = _failed_runs(project)
        finally:
            end(project)
        left = _processes(folder)
        return 0 if _told(seen, ticks, failed, left) else 1


def _watch(project: "Project", seconds: float, rows: int) -> Seen:
    seen, begun, turn = Seen(), time.monotonic(), 0
    wait_for_ui(project)
    while True:
        now = time.monotonic() - begun
        if now < seconds:
            name = f"soak-{turn}"
            project.drop(project.prepare(f"{name}.csv", seed=turn, rows=rows))
            seen.dropped[name] = now
        _question(project, seen)
        for name in seen.dropped.keys() - seen.reported.keys():
            if project.reports(name):
                seen.reported[name] = time.monotonic() - begun
        if now >= seconds and len(seen.reported) == len(seen.dropped):
            return seen
        if now >= seconds + 60 * LAST_FILES_MINUTES:
            return seen
        if turn % 6 == 0:
            print(f"{now / 60:5.1f} min  {len(seen.dropped)} files  {len(seen.reported)} reports", flush=True)
        turn += 1
        time.sleep(max(0.0, begun + turn * EVERY_SECONDS - time.monotonic()))


def wait_for_ui(project: "Project") -> None:
    """Return once the UI answers and has loaded the code location.

    Raises:
        SystemExit: that took over two minutes.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if _ask(project, LOCATIONS)["workspaceOrError"]["locationEntries"][0]["loadStatus"] == "LOADED":
                return
        except (OSError, LookupError):
            time.sleep(0.5)
    raise SystemExit("The UI did not come up within two minutes.")


def _question(project: "Project", seen: Seen) -> None:
    """What a person's open page asks for: the runs, the assets, and whether the code location is there."""
    start = time.monotonic()
    try:
        location = _ask(project, LOCATIONS)["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]
        runs, assets = _ask(project, RUNS)["runsOrError"]["results"], _ask(project, ASSETS)["assetsOrError"]["nodes"]
        if location["__typename"] != "RepositoryLocation" or (seen.reported and not (runs and assets)):
            seen.ui_failures.append(f"{location}, {len(runs)} runs, {len(assets)} assets")
    except (OSError, LookupError) as error:
        seen.ui_failures.append(repr(error))
    seen.ui_seconds.append(time.monotonic() - start)


def _ask(project: "Project", query: str) -> dict[str, Any]:
    request = Request(
        f"{project.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


def _failed_runs(project: "Project") -> list[str]:
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(project.folder)
    here = Path.cwd()
    os.chdir(project.folder)  # `dagster.yaml` names places relative to it
    try:
        with dg.DagsterInstance.get() as instance:
            runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
            return [
                f"{run.job_name} of {run.tags.get('dagster/partition')}: {_cause(instance, run.run_id)}" for run in runs
            ]
    finally:
        os.chdir(here)


def _cause(instance: "dg.DagsterInstance", run_id: str) -> str:
    import dagster as dg

    failures = instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE})
    return failures[0].get_dagster_event().message or "no cause" if failures else "no cause"


def end(project: "Project") -> None:
    """As Ctrl-C does in a terminal; what is left after a minute was not ended by Dagster."""
    os.killpg(project.group, signal.SIGINT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _processes(str(project.folder)):
        time.sleep(0.5)


def _processes(folder: str) -> list[str]:
    """Command lines of processes that were started in the folder, or for it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if folder.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:  # ended meanwhile, or another user's
                continue
    return [command for command in found if command]


def _told(seen: Seen, sensors: list[dict[str, Any]], failed: list[str], left: list[str]) -> bool:
    waits = [seen.reported[name] - seen.dropped[name] for name in seen.reported]
    lines = [
        ("files dropped", len(seen.dropped), True),
        ("files with a report", len(seen.reported), len(seen.reported) == len(seen.dropped)),
        ("report after, median s", f"{median(waits):.0f}" if waits else "-", bool(waits)),
        ("failed runs", "; ".join(failed[:5]) or 0, not failed),
        ("questions to the UI", len(seen.ui_seconds), True),
        ("of them not answered", "; ".join(seen.ui_failures[:3]) or 0, not seen.ui_failures),
        ("UI, median s", f"{median(seen.ui_seconds):.2f}", True),
        ("UI, longest s", f"{max(seen.ui_seconds):.2f}", max(seen.ui_seconds) <= UI_SECONDS),
        ("processes left", "; ".join(left[:3]) or 0, not left),
    ]
    for sensor in sensors:
        ticks = sorted((t for t in sensor["sensorState"]["ticks"] if t["endTimestamp"]), key=lambda t: t["timestamp"])
        seconds = [tick["endTimestamp"] - tick["timestamp"] for tick in ticks]
        errors = [tick["error"]["message"][:200] for tick in ticks if tick["error"]]
        third = max(1, len(seconds) // 3)
        first, last = (median(part) if part else 0.0 for part in (seconds[:third], seconds[-third:]))
        lines += [
            (f"{sensor['name']}: ticks", len(ticks), bool(ticks)),
            (f"{sensor['name']}: s, first / last third", f"{first:.2f} / {last:.2f}", last <= GROWTH * first + 1),
            (f"{sensor['name']}: errors", "; ".join(errors[:3]) or 0, not errors),
        ]
    for name, value, ok in lines:
        print(f"{name:<50}{value!s:<24}{'yes' if ok else 'no'}")
    return all(ok for _, _, ok in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

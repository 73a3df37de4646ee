"""A real `dagster dev` for tests: a project folder of its own, started, watched and killed like a user's."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl
import yaml
from ports import free_port

from optiflow.pipelines.orders import sample as samples
from resources.adapters import Adapters
from resources.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.2
T = TypeVar("T")


class DagsterDev:
    """A folder with what a checkout needs to run, and the Dagster processes that were started in it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """Fill the folder; `variables` are set for all that is started in it."""
        self.folder = folder
        self.variables = variables
        for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
            shutil.copyfile(ROOT / name, folder / name)
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        """Of the UI, once it was started."""

    @property
    def environment(self) -> dict[str, str]:
        """As a user's shell has it after the README's `export`."""
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_"))}
        return bare | {"DAGSTER_HOME": str(self.folder), "PYTHONPATH": str(ROOT)} | self.variables

    @property
    def group(self) -> int:
        """The process group of all that `start` has started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start UI, daemon and code server in a process group of their own."""
        port = str(free_port())
        self.address = f"http://127.0.0.1:{port}"
        log = (self.folder / "dev.log").open("ab")
        command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", port]
        self._process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def kill(self) -> None:
        """End all of Dagster's processes at once, without a chance to clean up. Jobs have groups of their own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=180, check=False
        )

    def prepare(self, name: str, seed: int, rows: int = 400) -> Path:
        """A small orders file with its options, outside the landing folder."""
        staged = self.folder / "staged"
        staged.mkdir(exist_ok=True)
        samples.orders(rows, seed, bad_rows=False).write_csv(staged / name)
        options = {**samples.SAMPLE_OPTIONS, "hyperparameters": {"num_round": 40}}
        (staged / f"{name}.options.yaml").write_text(yaml.safe_dump(options))
        return staged / name


class Project(DagsterDev):
    """A laptop's project: landing folder, lake, catalog and jobs below `.optiflow`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.uploads = folder / ".optiflow" / "uploads" / "orders"
        self.uploads.mkdir(parents=True)
        self.adapters = Adapters.of(load_settings(home=folder))

    def dagster(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Dagster's in the project's folder."""
        return self.command(sys.executable, "-m", "dagster", *arguments)

    def drop(self, *files: Path) -> None:
        """Move files into the landing folder, their options first."""
        for file in files:
            options = file.with_name(f"{file.name}.options.yaml")
            options.replace(self.uploads / options.name)
        for file in files:
            file.replace(self.uploads / file.name)

    def reports(self, dataset: str) -> list[Path]:
        """The dataset's reports, one a revision."""
        return sorted((self.folder / ".optiflow/lake/orders/mse_report" / dataset).glob("*/report.json"))

    def job_folders(self, dataset: str, kind: str) -> list[str]:
        """The names of the dataset's jobs."""
        jobs = self.folder / ".optiflow" / "jobs"
        return sorted(path.name for path in jobs.glob(f"orders-{dataset}-{kind}-*"))

    def lake_table(self, asset: str, dataset: str) -> pl.DataFrame:
        """The only table of an asset and dataset."""
        (path,) = (self.folder / ".optiflow/lake/orders" / asset / dataset).glob("*.parquet")
        return pl.read_parquet(path)


def wait_for(what: Callable[[], T], seconds: float, project: DagsterDev) -> T:
    """What `what` returns once it is true.

    Raises:
        AssertionError: it is not true in time; with the end of Dagster's log.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(POLL_SECONDS)
    log = (project.folder / "dev.log").read_text(errors="replace")
    raise AssertionError(f"Not within {seconds} s. The end of Dagster's log:\n{log[-4000:]}")

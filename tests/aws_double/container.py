"""One container: its `/opt/ml` folder, its process, and what that says."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_double.job import Job
from aws_double.job_log import JobLog

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.02
GRACE_SECONDS = 2.0
HIDDEN = ("OPTIFLOW_", "DAGSTER_", "FRED_", "PYTEST_", "PYTHON", "SM_", "SAGEMAKER_")


class Container:
    """Runs programs for one job below one folder, which stands for `/opt/ml`."""

    def __init__(self, job: Job, prefix: Path, environment: Mapping[str, str]) -> None:
        self.job = job
        self.prefix = prefix
        self.lines: list[str] = []
        self.timed_out = False
        self._logged = 0
        self._environment = environment
        self._log = JobLog(job, f"algo-1-{int(job.created)}")

    def write_config(self, name: str, data: Any) -> None:
        """Write a file of `input/config`."""
        path = self.prefix / "input" / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))

    def run(self, command: Sequence[str], variables: Mapping[str, str], cwd: Path, seconds: float | None = None) -> int:
        """Run a program to its end, or to a stop or the time limit, which both kill it; its exit code."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**inherited, **self._environment, "PYTHONUNBUFFERED": "1", **variables},
            start_new_session=True,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        deadline = time.monotonic() + (seconds or float("inf"))
        try:
            while (code := _wait(process, POLL_SECONDS)) is None:
                self._log_lines()
                self.timed_out = time.monotonic() > deadline
                if self.timed_out or self.job.stop_asked.is_set():
                    code = _end(process)
                    break
        finally:
            _kill_group(process, signal.SIGKILL)
        reader.join()
        self._log_lines()
        self._log.flush()
        return code

    def say(self, line: str) -> None:
        """Add a line to the log that the program did not write."""
        self.lines.append(line)
        self._log_lines()
        self._log.flush()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        # Nothing that may fail: a program whose output nobody takes any more waits for ever.
        assert process.stdout is not None
        for raw in process.stdout:
            self.lines.append(raw.decode("utf-8", "replace").rstrip("\n").replace("\t", "#011"))

    def _log_lines(self) -> None:
        while self._logged < len(self.lines):
            self._log.add(self.lines[self._logged])
            self._logged += 1


@contextlib.contextmanager
def new_container(job: Job, environment: Mapping[str, str]) -> Iterator[Container]:
    """A container with an empty folder, removed at the end."""
    with tempfile.TemporaryDirectory(prefix=f"{job.name[:20]}-", ignore_cleanup_errors=True) as folder:
        prefix = Path(folder).resolve() / "ml"
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (prefix / name).mkdir(parents=True)
        yield Container(job, prefix, environment)


def image_python() -> str:
    """The interpreter that stands for the image's own."""
    return os.environ.get("OPTIFLOW_IMAGE_PYTHON") or sys.executable


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _end(process: "subprocess.Popen[bytes]") -> int:
    _kill_group(process, signal.SIGTERM)
    code = _wait(process, GRACE_SECONDS)
    if code is None:
        _kill_group(process, signal.SIGKILL)
        code = process.wait()
    return code


def _kill_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of it has ended by itself
        os.killpg(process.pid, number)

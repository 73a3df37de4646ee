"""Where a worker of pytest-xdist was when native code ended it: without this, the report names the test and nothing else.

Pytest itself sends such traces to the standard error, which is far from the report and, of a test at work, captured.
"""

import faulthandler
import os
import tempfile
from pathlib import Path

import pytest

FOLDER = "PYTEST_CRASH_TRACES"
RUNNER = ("/_pytest/", "/pluggy/", "/xdist/", "/execnet/", "Extension modules:")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the workers a folder; in a worker, write into it what a fatal signal finds."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker is None:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="crash-traces-")
    else:
        file = (Path(os.environ[FOLDER]) / f"{worker}.txt").open("w")
        faulthandler.enable(file=file, all_threads=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the traces, if there are any, and clear them away."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ.pop(FOLDER))
    for path in sorted(folder.iterdir()):
        lines = path.read_text(errors="replace").splitlines()
        if lines:
            terminalreporter.section(f"{path.stem} was ended by native code")
            for line in lines:
                if not any(word in line for word in RUNNER):
                    terminalreporter.write_line(line)
        path.unlink()
    folder.rmdir()

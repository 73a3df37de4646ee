"""Entry point of the container program in a local process: the folders of one job below `--prefix`."""

import argparse
import os
import threading
from pathlib import Path

from optiflow.container import sklearn
from optiflow.container.ending import EXIT_FAILED, end_with, run_and_report
from optiflow.container.layout import Layout


def main(arguments: list[str] | None = None) -> int:
    """Run `train` or `transform` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m optiflow.container")
    parser.add_argument("command", choices=("train", "transform"))
    parser.add_argument("--prefix", type=Path, default=Path("/opt/ml"))
    parser.add_argument("--exit-with-stdin", action="store_true", help="end at once when standard input is closed")
    options = parser.parse_args(arguments)
    if options.exit_with_stdin:
        threading.Thread(target=_exit_with_stdin, daemon=True).start()
    layout = Layout(options.prefix)
    return run_and_report(lambda: _run(options.command, layout), layout.failure)


def _run(command: str, layout: Layout) -> None:
    if command == "train":
        from optiflow.container.training import run_training

        run_training(layout)
    else:
        from optiflow.container.scoring import run_transform

        run_transform(layout)


def _exit_with_stdin() -> None:
    """End this process when whoever started it has died: the kernel then closes the other end of standard input."""
    while os.read(0, 1024):
        pass
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    sklearn.leave_out()
    end_with(main())

"""Entry point of the container program: run, and report failure in SageMaker's way.

Exit code 0 is success. Any other is failure; then `output/failure` says why, as far as the program could know.
"""

import argparse
import contextlib
import errno
import os
import sys
import threading
from pathlib import Path

from optiflow.container.layout import Layout
from optiflow.errors import OptiflowError

EXIT_FAILED = 1
EXIT_DISK_FULL = errno.ENOSPC
DISK_FULL = "No space left on the disk of the job: free some space, then run again. No half-written result was left."


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
    try:
        _run(options.command, layout)
    except OptiflowError as error:
        return _fail(layout, str(error), EXIT_FAILED)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(layout, DISK_FULL, EXIT_DISK_FULL)
    return 0


def _run(command: str, layout: Layout) -> None:
    if command == "train":
        from optiflow.container.training import run_training

        run_training(layout)
    else:
        from optiflow.container.scoring import run_transform

        run_transform(layout)


def _fail(layout: Layout, reason: str, code: int) -> int:
    # The log or the failure file may lie on the very disk that is full; the exit code still tells.
    with contextlib.suppress(OSError):
        print(reason, file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        layout.failure.parent.mkdir(parents=True, exist_ok=True)
        layout.failure.write_text(reason)
    return code


def _exit_with_stdin() -> None:
    """End this process when whoever started it has died: the kernel then closes the other end of standard input."""
    while os.read(0, 1024):
        pass
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    # xgboost imports scikit-learn only to offer its estimators, which nothing here uses: 1.2 of its 1.7 seconds.
    sys.modules["sklearn"] = None  # pyright: ignore[reportArgumentType]
    code = main()
    if code == EXIT_DISK_FULL:
        os._exit(code)  # the interpreter's last flush to a log on the full disk would change the exit code to 120
    sys.exit(code)

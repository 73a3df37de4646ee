"""How a program of the container ends: its exit code, and the file that says why it failed.

Exit code 0 is success. Any other is failure; then the file says why, as far as the program could know.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from optiflow.errors import OptiflowError

EXIT_FAILED = 1
EXIT_DISK_FULL = errno.ENOSPC
DISK_FULL = "No space left on the disk of the job: free some space, then run again. No half-written result was left."


def run_and_report(work: Callable[[], None], failure: Path) -> int:
    """Do the work and return the exit code; `failure` is written when it is not 0.

    What OptiFlow did not raise on purpose is a bug, and ends the program with its traceback.
    """
    try:
        work()
    except OptiflowError as error:
        return _fail(failure, str(error), EXIT_FAILED)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(failure, DISK_FULL, EXIT_DISK_FULL)
    return 0


def end_with(code: int) -> NoReturn:
    """Leave the interpreter with this exit code."""
    if code == EXIT_DISK_FULL:
        os._exit(code)  # the interpreter's last flush to a log on the full disk would change the exit code to 120
    sys.exit(code)


def _fail(failure: Path, reason: str, code: int) -> int:
    # The log or the failure file may lie on the very disk that is full; the exit code still tells.
    with contextlib.suppress(OSError):
        print(reason, file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(reason, encoding="utf-8")
    return code

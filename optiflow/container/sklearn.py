"""scikit-learn is left out of a job's process, unless its learner asks for it.

xgboost imports it only to offer its estimators, which nothing here uses: 1.2 of its 1.7 seconds.

What belongs here: the two calls. What does not: who needs it (`NEEDS_SKLEARN` of a learner).
"""

import sys


def leave_out() -> None:
    """Let no later import load scikit-learn. For programs that do nothing but a job: nobody gets it here any more."""
    sys.modules["sklearn"] = None  # pyright: ignore[reportArgumentType]  # Python's own mark of what cannot be imported


def allow() -> None:
    """Take `leave_out` back."""
    if sys.modules.get("sklearn", True) is None:
        del sys.modules["sklearn"]

"""Asset bodies whose errors are told in one message.

What belongs here: the decorator. What does not: what each error leads to (`resources.failures`).
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from resources.failures import told_plainly

P = ParamSpec("P")
R = TypeVar("R")


def plain_failures(body: Callable[P, R]) -> Callable[P, R]:
    """Translate the errors that OptiFlow raises on purpose; the first argument of `body` is the run's context."""

    @functools.wraps(body)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        context: Any = args[0] if args else kwargs["context"]
        with told_plainly(context.run.tags, context.retry_number):
            return body(*args, **kwargs)

    return translated

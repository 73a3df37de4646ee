"""How errors of the science become failures of a step: said in one message, retried or not.

What belongs here: that translation. What does not: raising errors.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import dagster as dg

from optiflow.errors import JobFailedError, TransientError, UserError

STARTED_BY_TAG = "optiflow/started_by"
ERROR_KIND = "error_kind"
RETRIES = 3
RETRY_SECONDS = 20

P = ParamSpec("P")
R = TypeVar("R")


def plain_failures(body: Callable[P, R]) -> Callable[P, R]:
    """Translate the errors that OptiFlow raises on purpose; the first argument of `body` is the run's context.

    What the user can mend and what a job died of are permanent, for the step and for the run. What may pass by itself
    is tried again after a while, unless a person waits in front of a terminal. Anything else is a bug and stays loud.
    """

    @functools.wraps(body)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        context: Any = args[0] if args else kwargs["context"]
        try:
            return body(*args, **kwargs)
        except UserError as error:
            raise _failure(error, "input") from error
        except JobFailedError as error:
            raise _failure(error, "job") from error
        except TransientError as error:
            if context.run.tags.get(STARTED_BY_TAG) == "cli":
                raise _failure(error, "transient") from error
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error

    return translated


def _failure(error: Exception, kind: str) -> dg.Failure:
    return dg.Failure(description=str(error), metadata={ERROR_KIND: kind}, allow_retries=False)

"""How errors of the science become failures of a step: said in one message, retried or not.

What belongs here: that translation, for asset bodies (`assets.failures`) and the IO manager alike. What does not:
raising errors.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from optiflow.errors import JobFailedError, TransientError, UserError

STARTED_BY_TAG = "optiflow/started_by"
ERROR_KIND = "error_kind"
RETRIES = 3
RETRY_SECONDS = 20


@contextmanager
def told_plainly(run_tags: Mapping[str, str]) -> Iterator[None]:
    """Translate the errors that OptiFlow raises on purpose.

    What the user can mend and what a job died of are permanent, for the step and for the run. What may pass by itself
    is tried again after a while, unless a person waits in front of a terminal. Anything else is a bug and stays loud.

    Args:
        run_tags: The tags of the run, which say who started it.
    """
    try:
        yield
    except UserError as error:
        raise _failure(error, "input") from error
    except JobFailedError as error:
        raise _failure(error, "job") from error
    except TransientError as error:
        if run_tags.get(STARTED_BY_TAG) == "cli":
            raise _failure(error, "transient") from error
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error


def _failure(error: Exception, kind: str) -> dg.Failure:
    return dg.Failure(description=str(error), metadata={ERROR_KIND: kind}, allow_retries=False)

"""How errors of the science become failures of a step: said in one message, retried or not.

What belongs here: that translation, for asset bodies (`assets.failures`) and the IO manager alike. What does not:
raising errors.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg
import polars as pl

from optiflow.errors import JobFailedError, TransientError, UserError
from resources.aws.errors import told_of_object_store

STARTED_BY_TAG = "optiflow/started_by"
ERROR_KIND = "error_kind"
RETRIES = 3
RETRY_SECONDS = 20
"""Before the first retry; twice as long before each further one, a half more or less."""


@contextmanager
def told_plainly(run_tags: Mapping[str, str], retry_number: int = 0) -> Iterator[None]:
    """Translate the errors that OptiFlow raises on purpose.

    What the user can mend and what a job died of are permanent, for the step and for the run. What may pass by itself
    is tried again after a while, unless a person waits in front of a terminal. Anything else is a bug and stays loud.

    Args:
        run_tags: The tags of the run, which say who started it.
        retry_number: How often the step was tried before.
    """
    try:
        with _lazy_reads():
            yield
    except UserError as error:
        raise _failure(error, "input") from error
    except JobFailedError as error:
        raise _failure(error, "job") from error
    except TransientError as error:
        if run_tags.get(STARTED_BY_TAG) == "cli":
            raise _failure(error, "transient") from error
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=_pause(retry_number)) from error


def is_last_try(run_tags: Mapping[str, str], retry_number: int) -> bool:
    """Whether a step that fails in passing now is not tried again, although nobody is there to do so by hand."""
    return run_tags.get(STARTED_BY_TAG) != "cli" and retry_number >= RETRIES


@contextmanager
def _lazy_reads() -> Iterator[None]:
    # A table in S3 is read when it is collected, far from the storage that knows how its errors are told.
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        told = told_of_object_store(error, "read a table of the lake")
        if told is None:
            raise
        raise told from error


def _pause(retry_number: int) -> float:
    # Jitter, so that the runs that one outage has stopped do not all come back in the same second.
    return RETRY_SECONDS * 2**retry_number * random.uniform(0.5, 1.5)


def _failure(error: Exception, kind: str) -> dg.Failure:
    return dg.Failure(description=str(error), metadata={ERROR_KIND: kind}, allow_retries=False)

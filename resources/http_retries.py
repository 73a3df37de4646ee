"""When a client of an HTTP server asks again: its clocks, the answers that may pass, and the server's own wish."""

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import random

PASSING_STATUS = (408, 423, 425, 429)
"""Beside 5xx: what a later attempt may not meet."""


@dataclass(frozen=True)
class Timing:
    """The clocks, the sleep and the dice of a client: real ones, unless a test says otherwise.

    `monotonic` and `now` (since 1970) are in seconds; `random` is in [0, 1).
    """

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    random: Callable[[], float] = random


def may_pass(status: int) -> bool:
    """Whether a later attempt may be answered otherwise."""
    return status >= 500 or status in PASSING_STATUS


def wished_seconds(retry_after: str | None, timing: Timing) -> float:
    """A `Retry-After` header, seconds or a date, as seconds from now; 0 for none."""
    if not retry_after:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - timing.now())
    except ValueError:
        return 0.0

"""boto3 clients: one of each service a process, made when first used.

Region, credentials, profile and endpoint are boto3's own business (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …), so
that whatever works with the AWS command line works here.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from optiflow.errors import UserError

MAX_ATTEMPTS = 8
CONNECT_SECONDS = 10
READ_SECONDS = 60
POOL_CONNECTIONS = 20

HURRIED_ATTEMPTS = 2
HURRIED_CONNECT_SECONDS = 3
HURRIED_READ_SECONDS = 7
HURRIED_SECONDS = HURRIED_ATTEMPTS * max(HURRIED_CONNECT_SECONDS, HURRIED_READ_SECONDS) + 2
"""What a request takes at most where nobody answers, with the pause before it is repeated."""

_in_a_hurry: ContextVar[bool] = ContextVar("in_a_hurry", default=False)
_lock = threading.Lock()
_clients: dict[tuple[str, ...], Any] = {}


def client(service: str) -> Any:
    """A client of `service`, such as `s3`; safe to use from several threads.

    Throttled and broken requests are repeated by botocore's adaptive mode, with backoff, jitter and a rate of its own;
    `hurried` says where not.

    Raises:
        UserError: no region is set, or the profile does not exist.
    """
    # Made anew where a variable has changed: a process of tests talks to several servers.
    hurry = _in_a_hurry.get()
    variables = (f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("AWS_"))
    key = (service, f"{hurry=}", *variables)
    with _lock:
        if key not in _clients:
            _clients[key] = _make(service, hurry)
        return _clients[key]


@contextmanager
def hurried() -> Iterator[None]:
    """Requests of this thread inside the block give up after `HURRIED_SECONDS`.

    For a tick: Dagster ends it after a minute, and the next one, seconds later, asks again anyway.
    """
    before = _in_a_hurry.set(True)
    try:
        yield
    finally:
        _in_a_hurry.reset(before)


def max_attempts() -> int:
    """How often a request is sent at most: `AWS_MAX_ATTEMPTS`, as boto3 reads it, or 8."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS") or MAX_ATTEMPTS)


def _make(service: str, hurry: bool) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ProfileNotFound

    # The adaptive mode would hold requests back for a while after S3 was throttled.
    mode = "standard" if hurry else os.environ.get("AWS_RETRY_MODE", "adaptive")
    attempts = min(HURRIED_ATTEMPTS, max_attempts()) if hurry else max_attempts()
    config = Config(
        retries={"mode": mode, "total_max_attempts": attempts},  # pyright: ignore[reportArgumentType]
        connect_timeout=HURRIED_CONNECT_SECONDS if hurry else CONNECT_SECONDS,
        read_timeout=HURRIED_READ_SECONDS if hurry else READ_SECONDS,
        max_pool_connections=POOL_CONNECTIONS,
        user_agent_extra="optiflow",
    )
    try:
        # boto3 itself knows only AWS_DEFAULT_REGION; AWS_REGION is what containers on ECS and Lambda are given.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        # Some services have an address without a region; polars and SageMaker have not.
        if not session.region_name:
            raise UserError("No AWS region is set: set AWS_REGION, for example to eu-central-1.")
        return session.client(service, config=config)
    except ProfileNotFound as error:
        raise UserError(f"AWS_PROFILE: {error}. Set it to a profile of your AWS configuration, or unset it.") from error


def forget_clients() -> None:
    """Make clients anew, for example after other credentials were set."""
    with _lock:
        _clients.clear()

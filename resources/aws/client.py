"""boto3 clients: one of each service a process, made when first used.

Region, credentials, profile and endpoint are boto3's own business (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …), so
that whatever works with the AWS command line works here.
"""

import os
import threading
from typing import Any

from optiflow.errors import UserError

MAX_ATTEMPTS = 8
CONNECT_SECONDS = 10
READ_SECONDS = 60
POOL_CONNECTIONS = 20

_lock = threading.Lock()
_clients: dict[tuple[str, ...], Any] = {}


def client(service: str, *, brief: bool = False) -> Any:
    """A client of `service`, such as `s3`; safe to use from several threads.

    Throttled and broken requests are repeated by botocore's adaptive mode, with backoff, jitter and a rate of its own.

    Args:
        service: The service's name in boto3.
        brief: Each request is sent once and answered within ten seconds, for callers with little time that repeat it.

    Raises:
        UserError: no region is set, or the profile does not exist.
    """
    # Made anew where a variable has changed: a process of tests talks to several servers.
    key = (
        service,
        str(brief),
        *(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("AWS_")),
    )
    with _lock:
        if key not in _clients:
            _clients[key] = _make(service, brief)
        return _clients[key]


def max_attempts() -> int:
    """How often a request is sent at most: `AWS_MAX_ATTEMPTS`, as boto3 reads it, or 8."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS") or MAX_ATTEMPTS)


def _make(service: str, brief: bool) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ProfileNotFound

    config = Config(
        retries={
            "mode": os.environ.get("AWS_RETRY_MODE", "adaptive"),
            "total_max_attempts": 1 if brief else max_attempts(),
        },  # pyright: ignore[reportArgumentType]
        connect_timeout=CONNECT_SECONDS,
        read_timeout=CONNECT_SECONDS if brief else READ_SECONDS,
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

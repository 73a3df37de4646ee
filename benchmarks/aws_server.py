"""The test double of AWS as a benchmark's server, real HTTP on this machine. What is asked of it is said elsewhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import ROOT
from resources.aws.client import client, forget_clients

if TYPE_CHECKING:
    from aws_double.client import AwsDouble

TESTS = str(ROOT / "tests")
BUCKET = "optiflow-bench"


@contextmanager
def aws_server() -> Iterator["AwsDouble"]:
    """An empty server that every AWS client of this process, and of those that it starts, talks to."""
    if TESTS not in sys.path:
        sys.path.append(TESTS)
    from aws_double.client import AwsDouble

    before = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    _set_variables({})
    with AwsDouble() as server:
        _set_variables(server.environment)
        try:
            yield server
        finally:
            _set_variables(before)
            forget_clients()


def make_bucket(name: str = BUCKET) -> str:
    """Make an empty bucket; its name."""
    s3: Any = client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    return name


def _set_variables(wanted: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(wanted)

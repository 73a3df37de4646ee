"""Fixtures: one server for the session, emptied before each test that uses it."""

from collections.abc import Iterator

import pytest

from aws_double.client import AwsDouble


@pytest.fixture(scope="session")
def aws_double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """The running server."""
    with AwsDouble(tmp_path_factory.mktemp("aws") / "server.log") as double:
        yield double


@pytest.fixture
def aws(aws_double: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsDouble]:
    """The server, empty, with this process's variables pointing to it."""
    aws_double.reset()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in aws_double.environment.items():
        monkeypatch.setenv(name, value)
    yield aws_double
    aws_double.reset()

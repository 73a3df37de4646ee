"""One served container: the model and the packed source fetched from S3, and a process that answers requests.

What belongs here: what SageMaker does for a model in script mode. What does not: endpoints and their states (`endpoints`).
"""

import json
import os
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_double.bucket_files import NoObjects, download
from aws_double.container import HIDDEN, image_python

PROGRAM = Path(__file__).with_name("serving_toolkit.py")
PING_FAILED = (
    "The primary container for production variant AllTraffic did not pass the ping health check. Please check CloudWatch "
    "logs for this endpoint."
)


class ServingFailed(Exception):
    """The container does not come up; carries the endpoint's FailureReason."""


@dataclass(frozen=True)
class Response:
    """What the container answers."""

    status: int
    content_type: str
    body: bytes


class ServingProcess:
    """A container that is up, until it is closed."""

    def __init__(self, container: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Bring the container of a model up.

        Raises:
            ServingFailed: nothing lies where the request says, or the program does not start.
        """
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="endpoint-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        variables = container.get("Environment", {})
        try:
            _unpack(container["ModelDataUrl"], folder / "model")
            _unpack(variables["SAGEMAKER_SUBMIT_DIRECTORY"], folder / "code")
        except (NoObjects, tarfile.TarError) as error:
            self._folder.cleanup()
            raise ServingFailed(f"Failed to download model data for container: {error}") from error
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
        self._process = subprocess.Popen(
            [image_python(), str(PROGRAM), str(folder / "model")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**inherited, **environment, "PYTHONPATH": str(folder / "code"), "PYTHONSAFEPATH": "1", **variables},
            start_new_session=True,
        )
        if self._read() is None:
            self.close()
            raise ServingFailed(PING_FAILED)

    def answer(self, body: bytes, content_type: str, accept: str) -> Response | None:
        """The container's answer; None if it has died."""
        head = {"content_type": content_type, "accept": accept, "length": len(body)}
        with self._lock, suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(head).encode() + b"\n" + body)
            self._process.stdin.flush()
            return self._read()
        return None

    def close(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        self._folder.cleanup()

    def _read(self) -> Response | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return None
        head = json.loads(line)
        return Response(head["status"], head.get("content_type", ""), self._process.stdout.read(head["length"]))


def _unpack(uri: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = download(uri, Path(folder))[0]
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(target, filter="data")

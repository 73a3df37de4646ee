"""The test's side of the server: starts it, steers it, and says with which variables clients reach it.

Only the standard library, so that benchmarks and other processes may import it.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TESTS = Path(__file__).resolve().parents[1]
REGION = "eu-central-1"
END_SECONDS = 10


def aws_environment(endpoint: str) -> dict[str, str]:
    """The variables by which every AWS client of a process reaches the endpoint and nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIADOUBLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",  # pragma: allowlist secret
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ALLOW_HTTP": "true",
    }


class AwsDouble:
    """A running server; a context manager that ends it."""

    def __init__(self, log: Path | None = None) -> None:
        """Start the server.

        Args:
            log: File for what the server says; nothing is kept without one.
        """
        paths = [str(TESTS), str(TESTS.parent)]
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aws_double.serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                process_group=0,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the AWS test double did not start; exit code {self._process.wait()}")
        self._port = int(line)
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self.environment = aws_environment(self.endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server and all its jobs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def reset(self) -> None:
        """Kill all jobs; empty S3, SQS and the rest, the faults, and the log of calls."""
        self._call("reset")

    def add_fault(
        self,
        operation: str,
        code: str | None = None,
        *,
        message: str = "A fault of the test double.",
        status: int = 400,
        times: int | None = 1,
        skip: int = 0,
        key_pattern: str | None = None,
        parameters: Mapping[str, str] | None = None,
        about: str = "",
        after: bool = False,
        drop: bool = False,
        delay: float = 0.0,
        hold: bool = False,
    ) -> None:
        """Let calls go wrong; `faults.Fault` says what each argument means."""
        given = {name: value for name, value in locals().items() if name != "self"}
        self._call("add_fault", **{**given, "parameters": dict(parameters or {})})

    def add_job_fault(
        self,
        name_pattern: str,
        reason: str | None = None,
        *,
        times: int | None = 1,
        slow: float = 0.0,
        vanish: bool = False,
        skip: int = 0,
    ) -> None:
        """Let jobs fail with this FailureReason, wait `slow` seconds before their program, or vanish as they start."""
        given = {name: value for name, value in locals().items() if name != "self"}
        self._call("add_job_fault", **given)

    def clear_faults(self) -> None:
        """Forget all faults."""
        self._call("clear_faults")

    def held_calls(self) -> list[tuple[str, str]]:
        """The calls that a fault holds: what the fault is about, and the call's name."""
        return [(about, name) for about, name in self._call("held_calls")]

    def release_calls(self, about: str) -> None:
        """Forget the faults about this that hold calls, and let those go on."""
        self._call("release_calls", about=about)

    def requests(self, operation: str | None = None) -> list[dict[str, Any]]:
        """Every AWS call since the reset, or those of one operation such as `sagemaker:CreateTrainingJob`.

        Each has service, operation, region, bucket, key, parameters, invalid and status; 0 is a lost answer.
        """
        calls = self._call("requests")
        return [call for call in calls if operation in (None, call["operation"])]

    def clear_requests(self) -> None:
        """Empty the log of calls and nothing else."""
        self._call("clear_requests")

    def hold_jobs(self) -> None:
        """Keep jobs InProgress, their program not yet run."""
        self._call("hold_jobs")

    def release_jobs(self) -> None:
        """Let held jobs go on."""
        self._call("release_jobs")

    def vanish(self, name: str) -> int:
        """Forget the job as if it had never been; how many there were."""
        return self._call("vanish", name=name)

    def seed_training_jobs(self, count: int, prefix: str = "seeded", status: str = "InProgress") -> list[str]:
        """Make training jobs that nobody runs, and return their names."""
        return self._call("seed_training_jobs", count=count, region=REGION, prefix=prefix, status=status)

    def seed_objects(self, bucket: str, keys: Iterable[str], text: str = "x") -> int:
        """Put many small objects, far faster than by S3's own call."""
        return self._call("seed_objects", bucket=bucket, keys=list(keys), text=text)

    def use_image_python(self, path: Path) -> None:
        """Run script mode and processing with this interpreter until the reset."""
        self._call("image_python", path=str(path))

    def _call(self, command: str, **given: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        with contextlib.closing(connection):
            connection.request("POST", f"/_double/{command}", json.dumps(given))
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"{command}: {answer.status} {answer.read()[:500]!r}")
            return json.loads(answer.read())

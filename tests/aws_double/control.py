"""The calls by which tests steer the server: `POST /_double/<command>` with JSON, which are no AWS calls."""

import json
import os
from collections.abc import Iterable
from typing import Any

from moto.moto_api._internal.models import moto_api_backend

from aws_double.application import Application, StartResponse
from aws_double.endpoints import EndpointApi
from aws_double.faults import Fault, FaultScript, JobFault
from aws_double.job_queue import JobQueue, seeded_job
from aws_double.listings import Listings, put_many

PATH = "/_double/"


class Control:
    """Carries out control calls and hands all else to the application."""

    def __init__(
        self,
        application: Application,
        faults: FaultScript,
        queue: JobQueue,
        endpoints: EndpointApi,
        listings: Listings,
    ) -> None:
        self._application = application
        self._faults = faults
        self._queue = queue
        self._endpoints = endpoints
        self._listings = listings
        self._image_python = os.environ.get("OPTIFLOW_IMAGE_PYTHON", "")

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PATH):
            return self._application(environ, start_response)
        given = json.loads(environ["wsgi.input"].read() or b"{}")
        result = getattr(self, f"do_{path.removeprefix(PATH)}")(**given)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(result).encode()]

    def do_reset(self) -> None:
        """Kill all jobs and containers; empty moto, faults and the log of calls."""
        self._faults.clear()
        self._queue.clear()
        self._endpoints.clear()
        moto_api_backend.reset()
        self._listings.wrote()
        self._application.forget_requests()
        self.do_image_python(self._image_python)

    def do_add_fault(self, **fault: Any) -> None:
        """Script a fault of calls."""
        self._faults.add(Fault(**fault))

    def do_add_job_fault(self, **fault: Any) -> None:
        """Script a fault of jobs."""
        self._faults.add(JobFault(**fault))

    def do_clear_faults(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def do_held_calls(self) -> list[tuple[str, str]]:
        """The calls that wait."""
        return self._faults.held()

    def do_release_calls(self, about: str) -> None:
        """Let held calls go on."""
        self._faults.release(about)

    def do_requests(self) -> list[dict[str, Any]]:
        """The log of calls."""
        return self._application.requests()

    def do_clear_requests(self) -> None:
        """Empty the log of calls."""
        self._application.forget_requests()

    def do_hold_jobs(self) -> None:
        """Keep jobs from running their program."""
        self._queue.hold()

    def do_release_jobs(self) -> None:
        """Let them go on."""
        self._queue.release()

    def do_vanish(self, name: str) -> int:
        """Forget a job."""
        return self._queue.vanish(name)

    def do_seed_training_jobs(self, count: int, region: str, prefix: str, status: str) -> list[str]:
        """Make training jobs that nobody runs."""
        names = [f"{prefix}-{number:05d}" for number in range(count)]
        return [name for name in names if self._queue.add(seeded_job(name, region, status), run=False)]

    def do_seed_objects(self, bucket: str, keys: list[str], text: str) -> int:
        """Put many small objects of equal text."""
        put_many(bucket, keys, text.encode())
        self._listings.wrote()
        return len(keys)

    def do_image_python(self, path: str) -> None:
        """Set the interpreter that stands for the image's own."""
        os.environ["OPTIFLOW_IMAGE_PYTHON"] = path

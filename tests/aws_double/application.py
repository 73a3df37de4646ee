"""The server's WSGI application: control calls, faults, jobs, endpoints, and moto for the rest; every AWS call is written down."""

import io
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from aws_double.answers import Answer, AwsError, error_answer, json_answer
from aws_double.calls import Call, resolve
from aws_double.endpoints import EndpointApi
from aws_double.faults import FaultScript
from aws_double.job_api import JobApi
from aws_double.job_log import MOTO_LOGS
from aws_double.listings import Listings, is_write
from aws_double.moto_repairs import Dispatcher
from aws_double.object_reads import read_range

SENSITIVE = ("WebIdentityToken", "SAMLAssertion")
StartResponse = Callable[..., Any]


class Application:
    """Answers AWS calls."""

    def __init__(self, faults: FaultScript, jobs: JobApi, endpoints: EndpointApi, listings: Listings) -> None:
        self._faults = faults
        self._jobs = jobs
        self._endpoints = endpoints
        self._listings = listings
        self._moto = Dispatcher()
        self._lock = threading.Lock()
        self._log: list[dict[str, Any]] = []

    def requests(self) -> list[dict[str, Any]]:
        """Every AWS call since the last reset, in the order of their answers."""
        with self._lock:
            return list(self._log)

    def forget_requests(self) -> None:
        """Empty the log of calls."""
        with self._lock:
            self._log.clear()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call."""
        body = environ["wsgi.input"].read()
        call = resolve(environ, body)
        status = 0
        try:
            answer = self._answer(call, environ, body)
            status = answer.status
        finally:
            self._write_down(call, status)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(answer.headers.items()))
        return [answer.body]

    def _answer(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        fault = self._faults.for_call(call)
        try:
            if fault and not fault.after:
                fault.strike(call)
            answer = self._carry_out(call, environ, body)
            if fault and fault.after:
                fault.strike(call)
        except AwsError as error:
            return error_answer(call, error)
        return answer

    def _carry_out(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        if call.invalid:
            raise AwsError("ValidationException", call.invalid)
        if call.name == "sagemaker-runtime:InvokeEndpoint":
            headers = {"content-type": environ.get("CONTENT_TYPE", ""), "accept": environ.get("HTTP_ACCEPT", "")}
            return self._endpoints.invoke(call, body, headers)
        if call.service == "sagemaker":
            result = self._endpoints.answer(call)
            if result is None:
                result = self._jobs.answer(call)
            if result is not None:
                return json_answer(result)
        if is_write(call):
            self._listings.wrote()
            try:
                return self._ask_moto(call, environ, body)
            finally:
                self._listings.wrote()
        if call.service == "logs":
            with MOTO_LOGS:
                return self._ask_moto(call, environ, body)
        return read_range(call, environ) or self._listings.answer(call) or self._ask_moto(call, environ, body)

    def _ask_moto(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        said: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            said[:] = [int(status.split(" ", 1)[0]), dict(headers)]
            return lambda data: None

        chunks = self._moto(call.service, {**environ, "wsgi.input": io.BytesIO(body)}, start_response)
        content = b"".join(chunks)
        return Answer(said[0], content, said[1])

    def _write_down(self, call: Call, status: int) -> None:
        entry = {
            "service": call.service,
            "operation": call.name,
            "region": call.region,
            "bucket": call.bucket,
            "key": call.key,
            "parameters": {name: value for name, value in call.parameters.items() if name not in SENSITIVE},
            "invalid": call.invalid,
            "status": status,
        }
        with self._lock:
            self._log.append(entry)

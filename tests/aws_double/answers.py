"""Answers in the form that each AWS protocol gives them: results and errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from aws_double.calls import Call, service_model

REQUEST_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class AwsError(Exception):
    """An error that the service answers with, by AWS's code."""

    def __init__(self, code: str, message: str, status: int = 400, further: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.further = dict(further or {})


class DropConnection(BaseException):
    """Close the connection without an answer. Not an `Exception`: no layer between may turn it into an answer."""


def json_answer(result: Any) -> Answer:
    """A result in AWS's JSON protocol; times are seconds since 1970."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": REQUEST_ID}
    return Answer(200, json.dumps(result).encode(), headers)


def error_answer(call: Call, error: AwsError) -> Answer:
    """The error in the protocol of the call's service."""
    if call.service == "s3":
        return _s3_error(call, error)
    model = service_model(call.service)
    if model is not None and model.metadata["protocol"] == "query":
        return _query_error(error)
    body = json.dumps({"__type": error.code, "message": error.message, **error.further}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-ErrorType": error.code,
        "x-amzn-RequestId": REQUEST_ID,
    }
    return Answer(error.status, body, headers)


def _s3_error(call: Call, error: AwsError) -> Answer:
    headers = {"Content-Type": "application/xml", "x-amz-request-id": REQUEST_ID}
    if call.operation.startswith("Head"):
        return Answer(error.status, b"", headers)
    resource = escape(f"/{call.bucket or ''}/{call.key or ''}")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"<Resource>{resource}</Resource><RequestId>{REQUEST_ID}</RequestId></Error>"
    )
    return Answer(error.status, body.encode(), headers)


def _query_error(error: AwsError) -> Answer:
    side = "Sender" if error.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{side}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )
    return Answer(error.status, body.encode(), {"Content-Type": "text/xml"})

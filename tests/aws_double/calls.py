"""Which AWS operation an HTTP request is, in botocore's words, and whether botocore's model of it allows the request.

Every client is understood, botocore or not: JSON and CBOR protocols by their target, query protocols by their action, S3
by method, path, query and headers.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session

from aws_double.constraints import violations

SIGNING_NAMES = {"monitoring": "cloudwatch", "eventbridge": "events"}
SESSION = botocore.session.get_session()


@dataclass
class Call:
    """One request to AWS, resolved.

    `parameters` are the JSON body, the form fields or S3's query. `invalid` says what botocore's model refuses.
    """

    service: str
    operation: str
    region: str
    parameters: dict[str, Any] = field(default_factory=dict)
    bucket: str | None = None
    key: str | None = None
    invalid: str | None = None

    @property
    def name(self) -> str:
        """Service and operation, such as `s3:ListObjectsV2`."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True)
class S3Route:
    """What a request must hold to be an S3 operation."""

    operation: str
    method: str
    level: int
    query: frozenset[tuple[str, str]]
    needed_query: frozenset[str]
    needed_headers: frozenset[str]
    deprecated: bool

    def matches(self, method: str, level: int, query: dict[str, str], headers: set[str]) -> bool:
        """Whether a request with these parts can be this operation."""
        return (
            (method, level) == (self.method, self.level)
            and all(query.get(name, "\0") == value or (not value and name in query) for name, value in self.query)
            and self.needed_query <= query.keys()
            and self.needed_headers <= headers
        )

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """The most specific route wins; of two alike, the one that people use."""
        specific = len(self.query) + len(self.needed_query) + len(self.needed_headers)
        return specific, not self.deprecated, "Directory" not in self.operation


def resolve(environ: dict[str, Any], body: bytes) -> Call:
    """The call that this request makes."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    service, region = _signed_for(environ.get("HTTP_AUTHORIZATION", ""), query)
    if service == "s3":
        return _resolve_s3(environ, query, region)
    model = service_model(service)
    if model is None:
        return Call(service, "Unknown", region, invalid=f"unknown service {service!r}")
    target = environ.get("HTTP_X_AMZ_TARGET")
    path = environ.get("PATH_INFO", "").split("/")
    if target:
        return _resolve_json(model, region, target.rsplit(".", 1)[-1], body)
    if path[1:2] == ["service"] and "operation" in path:
        return Call(service, path[-1], region)
    if service == "sagemaker" and path[1:2] == ["endpoints"] and path[3:] == ["invocations"]:
        # The one REST operation; its requests are signed for `sagemaker` too.
        return Call("sagemaker-runtime", "InvokeEndpoint", region, {"EndpointName": unquote(path[2])})
    fields = query | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    operation = fields.pop("Action", "Unknown")
    fields.pop("Version", None)
    known = operation in model.operation_names
    return Call(service, operation, region, fields, invalid=None if known else f"unknown operation {operation!r}")


@cache
def service_model(service: str) -> Any:
    """botocore's `ServiceModel` of a service; None if there is none. Any, as its properties have no types."""
    if service not in SESSION.get_available_services():
        return None
    return SESSION.get_service_model(service)


def _signed_for(authorization: str, query: dict[str, str]) -> tuple[str, str]:
    scope = query.get("X-Amz-Credential", "")
    if "Credential=" in authorization:
        scope = authorization.split("Credential=", 1)[1].split(",", 1)[0]
    parts = scope.split("/")
    if len(parts) < 5:
        return "s3", "us-east-1"
    service = parts[-2].lower()
    return SIGNING_NAMES.get(service, service), parts[-3]


def _resolve_json(model: Any, region: str, operation: str, body: bytes) -> Call:
    call = Call(model.service_name, operation, region)
    if operation not in model.operation_names:
        call.invalid = f"unknown operation {operation!r}"
        return call
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        call.invalid = f"the body is not JSON: {error}"
        return call
    if not isinstance(given, dict):
        call.invalid = "the body is no JSON object"
        return call
    call.parameters = given
    shape = model.operation_model(operation).input_shape
    if shape is not None:
        call.invalid = violations(call.parameters, shape)
    return call


def _resolve_s3(environ: dict[str, Any], query: dict[str, str], region: str) -> Call:
    raw = environ.get("RAW_URI", environ.get("PATH_INFO", "/")).split("?", 1)[0]
    bucket, _, key = (unquote(part) for part in raw.lstrip("/").partition("/"))
    headers = {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_")}
    level = 2 if key else 1 if bucket else 0
    routes = [r for r in s3_routes() if r.matches(environ["REQUEST_METHOD"], level, query, headers)]
    operation = max(routes, key=lambda route: route.rank).operation if routes else "Unknown"
    call = Call("s3", operation, region, query, bucket or None, key or None)
    if not routes:
        call.invalid = f"no S3 operation is {environ['REQUEST_METHOD']} {raw}?{environ.get('QUERY_STRING', '')}"
    return call


@cache
def s3_routes() -> list[S3Route]:
    """All of S3's operations."""
    model = service_model("s3")
    return [_s3_route(model.operation_model(name)) for name in model.operation_names]


def _s3_route(operation: Any) -> S3Route:
    path, _, query = operation.http["requestUri"].partition("?")
    shape = operation.input_shape
    needed = {
        place: frozenset(
            shape.members[name].serialization["name"].lower()
            if place == "header"
            else shape.members[name].serialization["name"]
            for name in (shape.required_members if shape else ())
            if shape.members[name].serialization.get("location") == place
        )
        for place in ("querystring", "header")
    }
    literal = frozenset(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "x-id")
    level = path.strip("/").count("/") + 1 if path.strip("/") else 0
    method = operation.http["method"]
    return S3Route(
        operation.name, method, level, literal, needed["querystring"], needed["header"], operation.deprecated
    )

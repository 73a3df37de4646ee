"""SageMaker's serving endpoints: Create, Update, Describe, List, Delete, tags, and InvokeEndpoint, with a real process behind.

Models and endpoint configurations are moto's, which lets one be made twice; that is refused here.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from aws_double.answers import Answer, AwsError
from aws_double.calls import Call
from aws_double.faults import FaultScript
from aws_double.job import ACCOUNT, OWN_ERROR
from aws_double.serving_process import ServingFailed, ServingProcess

BUSY = ("Creating", "Updating", "RollingBack", "Deleting")


@dataclass(eq=False)
class Endpoint:
    """One endpoint. `config` is the one in service, `pending` the one that is coming up."""

    name: str
    region: str
    pending: str | None
    tags: dict[str, str]
    status: str = "Creating"
    config: str = ""
    reason: str | None = None
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    process: ServingProcess | None = None

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:endpoint/{self.name}"

    def describe(self) -> dict[str, Any]:
        """The answer of Describe."""
        said: dict[str, Any] = {**self.summary(), "EndpointConfigName": self.config or self.pending}
        if self.reason is not None:
            said["FailureReason"] = self.reason
        if self.status == "Updating":
            said["PendingDeploymentSummary"] = {"EndpointConfigName": self.pending}
        return said

    def summary(self) -> dict[str, Any]:
        """The endpoint's entry in a list."""
        return {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }


class EndpointApi:
    """Answers the calls about endpoints; safe in threads."""

    def __init__(self, faults: FaultScript, environment: Callable[[], dict[str, str]]) -> None:
        self._faults = faults
        self._environment = environment
        self._lock = threading.RLock()
        self._endpoints: dict[str, Endpoint] = {}
        self._threads: list[threading.Thread] = []

    def answer(self, call: Call) -> dict[str, Any] | None:
        """The result of the call; None if it is not about endpoints, or moto's to answer.

        Raises:
            AwsError: SageMaker refuses the call.
        """
        with self._lock:
            match call.operation:
                case "CreateEndpoint":
                    return self._create(call)
                case "UpdateEndpoint":
                    return self._update(call)
                case "DescribeEndpoint":
                    return self._find(call).describe()
                case "DeleteEndpoint":
                    return self._delete(call)
                case "ListEndpoints":
                    return {"Endpoints": [one.summary() for one in self._endpoints.values()]}
                case "CreateEndpointConfig":
                    _refuse_taken(call)
                case "AddTags" | "ListTags":
                    return self._tags(call)
        return None

    def invoke(self, call: Call, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer of InvokeEndpoint.

        Raises:
            AwsError: no such endpoint is in service, or its container has died.
        """
        name = call.parameters["EndpointName"]
        endpoint = self._endpoints.get(name)
        if endpoint is None or endpoint.process is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        said = endpoint.process.answer(body, headers.get("content-type", ""), headers.get("accept", ""))
        if said is None:
            raise AwsError("ServiceUnavailable", "The container is gone.", 503)
        if said.status == 200:
            variant = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
            return Answer(200, said.body, {"Content-Type": said.content_type, **variant})
        raise AwsError(
            "ModelError",
            f'Received client error ({said.status}) from primary with message "{said.body.decode()}".',
            424,
            {"OriginalStatusCode": said.status, "OriginalMessage": said.body.decode()},
        )

    def clear(self) -> None:
        """End all containers and forget all endpoints."""
        with self._lock:
            threads, self._threads = self._threads, []
            endpoints, self._endpoints = list(self._endpoints.values()), {}
        for thread in threads:
            thread.join()
        for endpoint in endpoints:
            if endpoint.process is not None:
                endpoint.process.close()

    def _create(self, call: Call) -> dict[str, Any]:
        name, config = call.parameters["EndpointName"], _config(call)
        tags = {tag["Key"]: tag["Value"] for tag in call.parameters.get("Tags", [])}
        endpoint = Endpoint(name, call.region, config, tags)
        if name in self._endpoints:
            raise AwsError("ValidationException", f'Cannot create already existing endpoint "{endpoint.arn}".')
        self._endpoints[name] = endpoint
        self._bring_up(endpoint, config)
        return {"EndpointArn": endpoint.arn}

    def _update(self, call: Call) -> dict[str, Any]:
        endpoint, config = self._settled(call), _config(call)
        if endpoint.status != "InService":
            raise AwsError(
                "ValidationException", f'Cannot update endpoint "{endpoint.arn}" in state {endpoint.status}.'
            )
        if config == endpoint.config:
            raise AwsError("ValidationException", f'Cannot update endpoint "{endpoint.arn}" to its own configuration.')
        endpoint.status, endpoint.pending, endpoint.reason = "Updating", config, None
        self._bring_up(endpoint, config)
        return {"EndpointArn": endpoint.arn}

    def _delete(self, call: Call) -> dict[str, Any]:
        endpoint = self._settled(call)
        del self._endpoints[endpoint.name]
        if endpoint.process is not None:
            endpoint.process.close()
        return {}

    def _tags(self, call: Call) -> dict[str, Any] | None:
        arn = call.parameters["ResourceArn"]
        endpoint = next((one for one in self._endpoints.values() if one.arn == arn), None)
        if endpoint is None:
            return None
        if call.operation == "AddTags":
            endpoint.tags.update({tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]})
        return {"Tags": [{"Key": key, "Value": value} for key, value in endpoint.tags.items()]}

    def _find(self, call: Call) -> Endpoint:
        name = call.parameters["EndpointName"]
        if name not in self._endpoints:
            arn = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:endpoint/{name}"
            raise AwsError("ValidationException", f'Could not find endpoint "{arn}".')
        return self._endpoints[name]

    def _settled(self, call: Call) -> Endpoint:
        endpoint = self._find(call)
        if endpoint.status in BUSY:
            raise AwsError("ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _bring_up(self, endpoint: Endpoint, config: str) -> None:
        backend = sagemaker_backends[ACCOUNT][endpoint.region]
        variant = backend.endpoint_configs[config].production_variants[0]
        container = backend._models[variant["ModelName"]].primary_container
        thread = threading.Thread(target=self._work, args=(endpoint, config, container), daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _work(self, endpoint: Endpoint, config: str, container: Mapping[str, Any]) -> None:
        old, fault = endpoint.process, self._faults.for_job(config)
        try:
            time.sleep(fault.slow if fault else 0)
            if fault and fault.reason:
                raise ServingFailed(fault.reason)
            process = ServingProcess(container, self._environment())
        except ServingFailed as failed:
            with self._lock:
                endpoint.reason, endpoint.modified = str(failed), time.time()
                # Without a container to go back to there is nothing to serve with.
                endpoint.status = "Failed" if old is None else "RollingBack"
            if old is not None:
                endpoint.status = "InService"
            return
        except BaseException as error:
            # An error of the double's own, whose traceback goes to its log. Nobody is to wait for ever.
            endpoint.reason, endpoint.status = f"{OWN_ERROR}: {error!r}", "Failed"
            raise
        with self._lock:
            endpoint.process, endpoint.config, endpoint.pending = process, config, None
            endpoint.status, endpoint.modified = "InService", time.time()
        if old is not None:
            old.close()


def _config(call: Call) -> str:
    name = call.parameters["EndpointConfigName"]
    configs = sagemaker_backends[ACCOUNT][call.region].endpoint_configs
    if name not in configs:
        arn = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:endpoint-config/{name}"
        raise AwsError("ValidationException", f'Could not find endpoint configuration "{arn}".')
    return name


def _refuse_taken(call: Call) -> None:
    # moto silently puts the new configuration in the old one's place.
    name = call.parameters["EndpointConfigName"]
    if name in sagemaker_backends[ACCOUNT][call.region].endpoint_configs:
        arn = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:endpoint-config/{name}"
        raise AwsError("ValidationException", f'Cannot create already existing endpoint configuration "{arn}".')

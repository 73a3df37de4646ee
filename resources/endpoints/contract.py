"""The contract of serving endpoints, in SageMaker's words, whatever place serves.

What belongs here: models to serve, states, names, and which model was served before. What does not: any way to serve.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from resources.jobs.contract import DIGEST_LENGTH, MAX_NAME_LENGTH

JSON = "application/json"

KEPT_MODELS = 3
"""So many models of an endpoint can be gone back through: their names fit into one tag of 256 characters."""


class EndpointStatus(StrEnum):
    """SageMaker's states of an endpoint."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    OUT_OF_SERVICE = "OutOfService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"

    @property
    def is_settled(self) -> bool:
        """Whether the state stays as it is until somebody asks for another."""
        return self not in (
            EndpointStatus.CREATING,
            EndpointStatus.UPDATING,
            EndpointStatus.SYSTEM_UPDATING,
            EndpointStatus.ROLLING_BACK,
            EndpointStatus.DELETING,
        )


@dataclass(frozen=True)
class ServedModel:
    """A model to serve: the name of its training job, whose it is, and the key of its `model.tar.gz` in the storage."""

    name: str
    retailer: str
    key: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointState:
    """What a place says of one endpoint; times are UTC.

    `model` answers now; it is None as long as none does. `wanted` was asked for last: another one than `model` while
    the endpoint is being changed, or when the change failed, which leaves the old model serving. `failure_reason` says
    why. `previous_model` is what `roll_back` goes to, `withdrawn_model` what the last `roll_back` took out of service.
    """

    name: str
    retailer: str
    status: EndpointStatus
    model: str | None
    wanted: str | None
    created_at: datetime
    previous_model: str | None = None
    withdrawn_model: str | None = None
    failure_reason: str | None = None
    console_url: str | None = None


class Endpoints(Protocol):
    """A place that serves models, one endpoint a retailer.

    `pipeline` is the one whose models are served. Every method raises UserError for what the user can mend and
    TransientError for what may pass.
    """

    pipeline: str

    def deploy(self, model: ServedModel) -> EndpointState:
        """Have the retailer's endpoint serve this model, and return at once; make the endpoint if there is none.

        A model that is served already, or is about to be, is left as it is: nothing is sent and nothing is paid for.

        Raises:
            UserError: the model is another retailer's.
        """
        ...

    def describe(self, retailer: str) -> EndpointState | None:
        """The state of the retailer's endpoint; None if there is none."""
        ...

    def wait(self, retailer: str) -> EndpointState:
        """Block until the endpoint is in a settled state.

        Raises:
            UserError: the retailer has no endpoint.
        """
        ...

    def roll_back(self, retailer: str) -> EndpointState:
        """Have the endpoint serve the model that it served before, and return at once.

        Raises:
            UserError: there is no endpoint, or no model before this one.
        """
        ...

    def delete(self, retailer: str) -> bool:
        """Take the endpoint away, with all that was made for it; False if there was none. The models stay."""
        ...

    def invoke(self, retailer: str, body: bytes, content_type: str = JSON) -> bytes:
        """The answer of the retailer's model to a request, as JSON; the same bytes at every place.

        Raises:
            UserError: there is no endpoint, the request is wrong, or it asks for another retailer.
        """
        ...


def endpoint_name(pipeline: str, retailer: str, installation: str | None = None) -> str:
    """`<pipeline>-<retailer>`, at most 63 characters; a name that had to be cut ends in a digest of the whole.

    Where several installations share their names, as in an account and region of AWS, it ends in a digest that
    holds the `installation`, its storage's address, too.
    """
    name = f"{pipeline}-{retailer}"
    if len(name) <= MAX_NAME_LENGTH and installation is None:
        return name
    digest = hashlib.sha256("\0".join(filter(None, (name, installation))).encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{name[: MAX_NAME_LENGTH - DIGEST_LENGTH - 1].rstrip('-')}-{digest}"


def served_after(models: Sequence[str], current: str | None, wanted: str) -> list[str]:
    """The models of an endpoint, the oldest first, once `wanted` follows on `current`.

    What a change that failed has left behind the current one is dropped.
    """
    return [*(name for name in before(models, current, inclusive=True) if name != wanted), wanted][-KEPT_MODELS:]


def before(models: Sequence[str], current: str | None, *, inclusive: bool = False) -> list[str]:
    """The models that were served before the current one, the oldest first."""
    if current is None:
        return []
    if current not in models:
        # A crash between the note and the change: the current one is newer than all that the note knows.
        return [*models, current] if inclusive else list(models)
    return list(models[: models.index(current) + inclusive])


def no_endpoint(pipeline: str, retailer: str) -> str:
    """What is said where the retailer has no endpoint."""
    return f"There is no endpoint of {retailer!r}: run `optiflow run {pipeline} {retailer}`, which makes it."


def no_previous(state: EndpointState) -> str:
    """What is said where there is nothing to go back to."""
    return (
        f"Endpoint {state.name} serves {state.model}, and no model was served before it: there is nothing to go back to. "
        f"Delete it with `optiflow endpoint delete {state.retailer}`, or deploy another model."
    )

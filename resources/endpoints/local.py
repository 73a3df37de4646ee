"""Endpoints on this machine: a model answers in the process that asks.

What belongs here: which model serves, kept in the lake, and answering. What does not: the answers
(`optiflow.learners.turnover.serving`).

The state lies in `lake/turnover/endpoint/<retailer>/state.json`, put in place whole. A deleted endpoint leaves a state
without models, since nothing in the lake is ever removed.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from optiflow.dataset_id import check_dataset_id
from optiflow.errors import UserError
from optiflow.learners.turnover import serving
from resources.endpoints.contract import (
    JSON,
    PIPELINE,
    EndpointState,
    EndpointStatus,
    ServedModel,
    before,
    endpoint_name,
    no_endpoint,
    no_previous,
    served_after,
)
from resources.endpoints.models import checked_model
from resources.storage import LAKE, Storage

LOADED_MODELS = 16
"""So many stay in memory, those asked last; a model of 900 trees is a few MB."""

_lock = threading.Lock()
_loaded: OrderedDict[tuple[str, str, str], serving.Model] = OrderedDict()


@dataclass(frozen=True)
class Served:
    """What is kept of an endpoint: the keys of its models by name, the oldest first; the last one answers."""

    models: Mapping[str, str]
    created_at: datetime
    withdrawn: str | None = None


class LocalEndpoints(dg.ConfigurableResource):
    """Answers in this process with the models in the lake; every change is there at once, in every process."""

    storage: dg.ResourceDependency[Storage]

    def deploy(self, model: ServedModel) -> EndpointState:
        """Serve this model from now on; one that cannot be served leaves the old one in place."""
        served = self._read(model.retailer)
        names = list(served.models) if served else []
        if served and names[-1] == model.name:
            return _state(model.retailer, served)
        self._load(model)
        keys = {**(served.models if served else {}), model.name: model.key}
        kept = served_after(names, names[-1] if names else None, model.name)
        created_at = served.created_at if served else datetime.now(UTC)
        return self._write(model.retailer, Served({name: keys[name] for name in kept}, created_at))

    def describe(self, retailer: str) -> EndpointState | None:
        """The state of the retailer's endpoint; None if there is none."""
        served = self._read(retailer)
        return _state(retailer, served) if served else None

    def wait(self, retailer: str) -> EndpointState:
        """The state, which is always a settled one."""
        return _state(retailer, self._existing(retailer))

    def roll_back(self, retailer: str) -> EndpointState:
        """Serve the model before this one again."""
        served = self._existing(retailer)
        *earlier, current = served.models
        if not earlier:
            raise UserError(no_previous(_state(retailer, served)))
        self._load(ServedModel(earlier[-1], retailer, served.models[earlier[-1]]))
        models = {name: served.models[name] for name in earlier}
        return self._write(retailer, replace(served, models=models, withdrawn=current))

    def delete(self, retailer: str) -> bool:
        """Serve nothing any more; False if nothing was served."""
        served = self._read(retailer)
        if served is None:
            return False
        self._put(retailer, replace(served, models={}, withdrawn=None))
        return True

    def invoke(self, retailer: str, body: bytes, content_type: str = JSON) -> bytes:
        """The answer of the retailer's model; an archive is unpacked once a process."""
        served = self._existing(retailer)
        name = list(served.models)[-1]
        model = self._load(ServedModel(name, retailer, served.models[name]))
        return serving.answer(model, body, content_type, retailer)

    def _load(self, model: ServedModel) -> serving.Model:
        key = (self.storage.uri, model.retailer, model.key)
        with _lock:
            if key in _loaded:
                _loaded.move_to_end(key)
                return _loaded[key]
        loaded = checked_model(self.storage, model)
        with _lock:
            _loaded[key] = loaded
            while len(_loaded) > LOADED_MODELS:
                _loaded.popitem(last=False)
        return loaded

    def _existing(self, retailer: str) -> Served:
        served = self._read(retailer)
        if served is None:
            raise UserError(no_endpoint(retailer))
        return served

    def _read(self, retailer: str) -> Served | None:
        try:
            said: dict[str, Any] = json.loads(self.storage.read_bytes(_key(retailer)))
        except FileNotFoundError:
            return None
        if not said["models"]:
            return None
        return Served(dict(said["models"]), datetime.fromisoformat(said["created_at"]), said["withdrawn"])

    def _write(self, retailer: str, served: Served) -> EndpointState:
        self._put(retailer, served)
        return _state(retailer, served)

    def _put(self, retailer: str, served: Served) -> None:
        said = {
            "models": list(served.models.items()),
            "created_at": served.created_at.isoformat(),
            "withdrawn": served.withdrawn,
        }
        self.storage.write_bytes(_key(retailer), json.dumps(said, indent=1).encode())


def _key(retailer: str) -> str:
    return f"{LAKE}/{PIPELINE}/endpoint/{check_dataset_id(retailer)}/state.json"


def _state(retailer: str, served: Served) -> EndpointState:
    *_, current = served.models
    earlier = before(list(served.models), current)
    return EndpointState(
        name=endpoint_name(retailer),
        retailer=retailer,
        status=EndpointStatus.IN_SERVICE,
        model=current,
        wanted=current,
        created_at=served.created_at,
        previous_model=earlier[-1] if earlier else None,
        withdrawn_model=served.withdrawn,
    )

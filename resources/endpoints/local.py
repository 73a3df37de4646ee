"""Endpoints on this machine: a model answers in the process that asks.

What belongs here: which model serves, kept in the lake, and answering. What does not: the answers,
which the module gives that the pipeline names as its `serving`.

The state lies in `lake/<pipeline>/endpoint/<retailer>/state.json`, put in place whole; who changes it holds the lock of
`state.lock` beside it from reading to writing. A deleted endpoint leaves a state without models, which goes
with the rest of its dataset. A state that cannot be read (a restored backup, a broken disk) is a failed endpoint, which the
next deployment mends.
"""

import contextlib
import errno
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from optiflow.dataset_id import check_dataset_id
from optiflow.errors import UserError
from resources.endpoints.contract import (
    JSON,
    EndpointState,
    EndpointStatus,
    ServedModel,
    before,
    endpoint_name,
    no_endpoint,
    no_previous,
    served_after,
)
from resources.endpoints.models import checked_model, serving_of
from resources.storage import LAKE, FileStorage, Storage
from resources.storage.locks import locked

LOADED_MODELS = 16
"""So many stay in memory, those asked last; a model of 900 trees is a few MB."""

LOCK_FILE = "state.lock"

_lock = threading.Lock()
_loaded: OrderedDict[tuple[str, str, str], object] = OrderedDict()


@dataclass(frozen=True)
class Served:
    """What is kept of an endpoint: the keys of its models by name, the oldest first; the last one answers."""

    models: Mapping[str, str]
    created_at: datetime
    withdrawn: str | None = None


class _DamagedStateError(Exception):
    """A state cannot be read; names the file and says what is wrong."""


class LocalEndpoints(dg.ConfigurableResource):
    """Answers in this process with the models in the lake; every change is there at once, in every process."""

    storage: dg.ResourceDependency[Storage]
    pipeline: str = Field(description="The pipeline whose models are served.")

    def deploy(self, model: ServedModel) -> EndpointState:
        """Serve this model from now on; one that cannot be served leaves the old one in place."""
        with self._changing(model.retailer):
            served = self._read_or_none(model.retailer)
            names = list(served.models) if served else []
            if served and names[-1] == model.name:
                return _state(self.pipeline, model.retailer, served)
            self._load(model)
            keys = {**(served.models if served else {}), model.name: model.key}
            kept = served_after(names, names[-1] if names else None, model.name)
            created_at = served.created_at if served else datetime.now(UTC)
            return self._write(model.retailer, Served({name: keys[name] for name in kept}, created_at))

    def describe(self, retailer: str) -> EndpointState | None:
        """The state of the retailer's endpoint; None if there is none."""
        try:
            served = self._read(retailer)
        except _DamagedStateError as error:
            return self._failed(retailer, error)
        return _state(self.pipeline, retailer, served) if served else None

    def wait(self, retailer: str) -> EndpointState:
        """The state, which is always a settled one."""
        state = self.describe(retailer)
        if state is None:
            raise UserError(no_endpoint(self.pipeline, retailer))
        return state

    def roll_back(self, retailer: str) -> EndpointState:
        """Serve the model before this one again."""
        with self._changing(retailer):
            served = self._existing(retailer)
            *earlier, current = served.models
            if not earlier:
                raise UserError(no_previous(_state(self.pipeline, retailer, served)))
            self._load(ServedModel(earlier[-1], retailer, served.models[earlier[-1]]))
            models = {name: served.models[name] for name in earlier}
            return self._write(retailer, replace(served, models=models, withdrawn=current))

    def delete(self, retailer: str) -> bool:
        """Serve nothing any more; False if nothing was served."""
        with self._changing(retailer):
            try:
                served = self._read(retailer)
            except _DamagedStateError:
                served = Served({}, datetime.now(UTC))
            if served is None:
                return False
            self._put(retailer, replace(served, models={}, withdrawn=None))
            return True

    def invoke(self, retailer: str, body: bytes, content_type: str = JSON) -> bytes:
        """The answer of the retailer's model; an archive is unpacked once a process."""
        served = self._existing(retailer)
        name = list(served.models)[-1]
        model = self._load(ServedModel(name, retailer, served.models[name]))
        return serving_of(self.pipeline).answer(model, body, content_type, retailer)

    def _load(self, model: ServedModel) -> object:
        key = (self.storage.uri, model.retailer, model.key)
        with _lock:
            if key in _loaded:
                _loaded.move_to_end(key)
                return _loaded[key]
        loaded = checked_model(self.storage, self.pipeline, model)
        with _lock:
            _loaded[key] = loaded
            while len(_loaded) > LOADED_MODELS:
                _loaded.popitem(last=False)
        return loaded

    def _existing(self, retailer: str) -> Served:
        try:
            served = self._read(retailer)
        except _DamagedStateError as error:
            raise UserError(_damaged(self.pipeline, retailer, error)) from error
        if served is None:
            raise UserError(no_endpoint(self.pipeline, retailer))
        return served

    def _read_or_none(self, retailer: str) -> Served | None:
        try:
            return self._read(retailer)
        except _DamagedStateError:
            return None

    def _read(self, retailer: str) -> Served | None:
        key = _key(self.pipeline, retailer)
        where = self.storage.uri_for(key)
        try:
            text = self._state_bytes(key)
            if text is None:
                return None
            return _served(json.loads(text))
        except OSError as error:
            raise _DamagedStateError(f"{where} cannot be opened ({error.strerror})") from error
        except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
            raise _DamagedStateError(f"{where} holds no state of an endpoint") from error

    def _state_bytes(self, key: str) -> bytes | None:
        if isinstance(self.storage, FileStorage) and self.storage.path(key).is_fifo():
            raise OSError(errno.EINVAL, "it is a pipe")  # reading it would wait for a writer
        try:
            return self.storage.read_bytes(key)
        except FileNotFoundError:
            return None

    def _failed(self, retailer: str, error: _DamagedStateError) -> EndpointState:
        return EndpointState(
            name=endpoint_name(self.pipeline, retailer),
            retailer=retailer,
            status=EndpointStatus.FAILED,
            model=None,
            wanted=None,
            created_at=datetime.fromtimestamp(0, UTC),
            failure_reason=_damaged(self.pipeline, retailer, error),
        )

    @contextlib.contextmanager
    def _changing(self, retailer: str) -> Iterator[None]:
        """One process and one thread at a time: whoever reads, changes and writes meanwhile would undo the other's."""
        if not isinstance(self.storage, FileStorage):
            yield
            return
        key = _key(self.pipeline, retailer).replace("state.json", LOCK_FILE)
        lock = locked(self.storage, key)
        try:
            yield
        finally:
            os.close(lock)

    def _write(self, retailer: str, served: Served) -> EndpointState:
        self._put(retailer, served)
        return _state(self.pipeline, retailer, served)

    def _put(self, retailer: str, served: Served) -> None:
        said = {
            "models": list(served.models.items()),
            "created_at": served.created_at.isoformat(),
            "withdrawn": served.withdrawn,
        }
        key = _key(self.pipeline, retailer)
        try:
            self.storage.write_bytes(key, json.dumps(said, indent=1).encode())
        except IsADirectoryError as error:
            where = self.storage.uri_for(key)
            raise UserError(
                f"The endpoint of {retailer!r}: {where} is a folder. Move it away, then run again."
            ) from error


def _served(said: dict[str, Any]) -> Served | None:
    """The state in a file; None for an endpoint that was deleted.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    pairs = said["models"]
    if not all(isinstance(pair, list) and [type(text) for text in pair] == [str, str] for pair in pairs):
        raise ValueError("models are no pairs of names and keys")
    models = dict(pairs)
    if not models:
        return None
    created_at, withdrawn = datetime.fromisoformat(said["created_at"]), said["withdrawn"]
    if created_at.tzinfo is None or not isinstance(withdrawn, str | None):
        raise ValueError("created_at has no zone, or withdrawn is no text")
    return Served(models, created_at, withdrawn)


def _damaged(pipeline: str, retailer: str, error: _DamagedStateError) -> str:
    return (
        f"The endpoint of {retailer!r} cannot be read: {error}. A restored backup or a broken disk leaves such files. Put "
        f"the file back, or run `optiflow run {pipeline} {retailer}`, which makes the endpoint anew."
    )


def _key(pipeline: str, retailer: str) -> str:
    return f"{LAKE}/{pipeline}/endpoint/{check_dataset_id(retailer)}/state.json"


def _state(pipeline: str, retailer: str, served: Served) -> EndpointState:
    *_, current = served.models
    earlier = before(list(served.models), current)
    return EndpointState(
        name=endpoint_name(pipeline, retailer),
        retailer=retailer,
        status=EndpointStatus.IN_SERVICE,
        model=current,
        wanted=current,
        created_at=served.created_at,
        previous_model=earlier[-1] if earlier else None,
        withdrawn_model=served.withdrawn,
    )

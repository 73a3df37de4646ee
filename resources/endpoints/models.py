"""The models that are served: fetched, unpacked without trust, and held against the retailer whose they must be.

What belongs here: that check, which every place makes before it changes anything, and which module answers for a
pipeline. What does not: serving.
"""

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

from optiflow.artifact import extract_model
from optiflow.errors import UserError
from optiflow.pipelines import PIPELINES
from resources.endpoints.contract import ServedModel
from resources.storage import Storage


class Serving(Protocol):
    """What the module has that a pipeline names as its `serving`."""

    def load(self, folder: Path) -> object:
        """The model in an unpacked archive."""
        ...

    def check_retailer(self, model: object, asked: str) -> None:
        """Raise UserError if the model is not this retailer's."""
        ...

    def answer(self, model: object, body: bytes | str, content_type: str | None, retailer: str) -> bytes:
        """The response to a request."""
        ...


def serving_of(pipeline: str) -> Serving:
    """The module that answers with this pipeline's models."""
    return cast(Serving, import_module(str(PIPELINES[pipeline].serving)))


def checked_model(storage: Storage, pipeline: str, model: ServedModel) -> object:
    """Load a model and make sure whose it is.

    Raises:
        UserError: there is no such archive, it is no model of this pipeline, or it is another retailer's.
    """
    serving = serving_of(pipeline)
    try:
        with storage.local_copy(model.key) as archive, TemporaryDirectory(prefix="optiflow-") as folder:
            extract_model(archive, Path(folder))
            loaded = serving.load(Path(folder))
    except FileNotFoundError as error:
        where = storage.uri_for(model.key)
        raise UserError(
            f"There is no model at {where}: materialize {pipeline}/model for {model.retailer!r}."
        ) from error
    try:
        serving.check_retailer(loaded, model.retailer)
    except UserError as error:
        raise UserError(f"Model {model.name} is not deployed for {model.retailer!r}: {error}") from error
    return loaded

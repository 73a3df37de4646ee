"""The models that are served: fetched, unpacked without trust, and held against the retailer whose they must be.

What belongs here: that check, which every place makes before it changes anything. What does not: serving.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from optiflow.artifact import extract_model
from optiflow.errors import UserError
from optiflow.learners.turnover import serving
from resources.endpoints.contract import ServedModel
from resources.storage import Storage


def checked_model(storage: Storage, model: ServedModel) -> serving.Model:
    """Load a model and make sure whose it is.

    Raises:
        UserError: there is no such archive, it is no turnover model, or it is another retailer's.
    """
    try:
        with storage.local_copy(model.key) as archive, TemporaryDirectory(prefix="optiflow-") as folder:
            extract_model(archive, Path(folder))
            loaded = serving.load(Path(folder))
    except FileNotFoundError as error:
        where = storage.uri_for(model.key)
        raise UserError(f"There is no model at {where}: materialize turnover/model for {model.retailer!r}.") from error
    try:
        serving.check_retailer(loaded, model.retailer)
    except UserError as error:
        raise UserError(f"Model {model.name} is not deployed for {model.retailer!r}: {error}") from error
    return loaded

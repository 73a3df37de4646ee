"""What SageMaker's XGBoost container calls to serve a `turnover` model in script mode.

The toolkit looks for `model_fn`, `input_fn`, `predict_fn` and `output_fn` in the module that `SAGEMAKER_PROGRAM` names.
Source: `sagemaker_inference.transformer` of the SageMaker inference toolkit, and `sagemaker_xgboost_container.handler_service`.
What does not belong here: the answers (`optiflow.learners.turnover.serving`), and the making of endpoints.
"""

import os
from pathlib import Path
from typing import Any

from optiflow.errors import UserError
from optiflow.learners.turnover import serving

RETAILER_VARIABLE = "OPTIFLOW_RETAILER"
"""Environment variable of the endpoint's container: whose model it serves."""

BAD_REQUEST = 400


def model_fn(model_dir: str) -> serving.Model:
    """Load the model; the container does not start with another retailer's.

    Raises:
        UserError: no model, no `OPTIFLOW_RETAILER`, or the model is another retailer's.
    """
    model = serving.load(Path(model_dir))
    serving.check_retailer(model, _retailer())
    return model


def input_fn(input_data: bytes | str, content_type: str | None) -> serving.Request:
    """Read a request's body; the toolkit hands JSON over as text."""
    try:
        return serving.read_request(input_data, content_type)
    except UserError as error:
        raise _bad_request(error) from error


def predict_fn(input_data: serving.Request, model: serving.Model) -> dict[str, Any]:
    """Score the items of a request."""
    try:
        return serving.predict(model, input_data, _retailer())
    except UserError as error:
        raise _bad_request(error) from error


def output_fn(prediction: dict[str, Any], accept: str | None) -> tuple[bytes, str]:  # noqa: ARG001  # the toolkit gives it
    """The response's bytes and their content type, which is JSON whatever `accept` says."""
    return serving.encode(prediction), serving.CONTENT_TYPE


def _retailer() -> str:
    if retailer := os.environ.get(RETAILER_VARIABLE):
        return retailer
    raise UserError(f"{RETAILER_VARIABLE} is not set: say in the container's environment whose model is served.")


def _bad_request(error: UserError) -> Exception:
    """The toolkit's error for status 400; any other exception of ours would be told as a fault of the server."""
    try:
        from sagemaker_inference.errors import GenericInferenceToolkitError  # pyright: ignore[reportMissingImports]
    except ImportError:  # outside the container
        return error
    return GenericInferenceToolkitError(BAD_REQUEST, str(error))

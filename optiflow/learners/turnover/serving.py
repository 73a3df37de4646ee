"""Serving one retailer's model: the same functions in SageMaker's endpoint and in this process.

What belongs here: from a request's bytes to a response's bytes. What does not: HTTP, endpoints (`resources`), and how
SageMaker's container calls these (`optiflow.container.serving`).
"""

import json
from typing import Any

from optiflow.errors import UserError
from optiflow.learners.turnover.model import Model, load
from optiflow.learners.turnover.requests import CONTENT_TYPE, Request, read_request

__all__ = ["CONTENT_TYPE", "Model", "Request", "answer", "check_retailer", "encode", "load", "predict", "read_request"]


def answer(model: Model, body: bytes | str, content_type: str | None, retailer: str) -> bytes:
    """Answer a request with JSON: one prediction an instance, in their order, and whose model said so.

    Args:
        model: What `load(folder)` returned.
        body: `{"instances": [{"price": …, "description": …, "category": …, "brand": …, "created": …}, …]}`; with
            `retailer` beside it the caller makes sure whose model it asks.
        content_type: `application/json`.
        retailer: Whose model is asked for.

    Returns:
        `{"predictions": [{"expected_days": …, "chance_30_days": …}, …], "retailer": …, "model": …}`.

    Raises:
        UserError: the model is another retailer's, or the request is wrong; names the instance and the field.
    """
    return encode(predict(model, read_request(body, content_type), retailer))


def predict(model: Model, request: Request, retailer: str) -> dict[str, Any]:
    """The response to a request, as plain data.

    Raises:
        UserError: the model is another retailer's.
    """
    for asked in (retailer, request.retailer):
        if asked is not None:
            check_retailer(model, asked)
    answers = model.answer(request.items)
    pairs = zip(answers.days.tolist(), answers.chance.tolist(), strict=True)
    return {
        "predictions": [{"expected_days": days, "chance_30_days": chance} for days, chance in pairs],
        "retailer": model.retailer,
        "model": model.digest,
    }


def check_retailer(model: Model, asked: str) -> None:
    """Refuse to let a model speak for a retailer that it was not trained for.

    Raises:
        UserError: it was not, or the model does not say whose it is.
    """
    if model.retailer is None:
        raise UserError("the model does not say whose it is: train it again with the hyperparameter retailer.")
    if model.retailer != asked:
        raise UserError(f"this is the model of retailer {model.retailer!r}, not of {asked!r}: ask that one's endpoint.")


def encode(response: dict[str, Any]) -> bytes:
    """A response as JSON."""
    return json.dumps(response, ensure_ascii=False, allow_nan=False).encode()

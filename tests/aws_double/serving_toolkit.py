"""The program of a served container: what SageMaker's inference toolkit does around the functions of a user's module.

`python serving_toolkit.py <model folder>`, with the packed source on the path and `SAGEMAKER_PROGRAM` set. Standard input
brings requests, standard output takes answers: a line of JSON with the length of the body that follows it. The first
answer says that the model is loaded. Only the standard library. Source: `sagemaker_inference.transformer`.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

TEXT_TYPES = ("application/json", "text/csv")


class GenericInferenceToolkitError(Exception):
    """The toolkit's error by which a module answers with a status of its own."""

    def __init__(self, status_code: int, message: str = "", phrase: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


def main() -> None:
    """Load the model, then answer until standard input is closed."""
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the module prints is its log
    # xgboost imports it for estimators that nothing here uses, 2 of the 3 seconds that a container needs to come up.
    sys.modules["sklearn"] = None  # pyright: ignore[reportArgumentType]
    sys.modules["sagemaker_inference"] = ModuleType("sagemaker_inference")
    errors: Any = ModuleType("sagemaker_inference.errors")
    errors.GenericInferenceToolkitError = GenericInferenceToolkitError
    sys.modules["sagemaker_inference.errors"] = errors
    module = importlib.import_module(Path(os.environ["SAGEMAKER_PROGRAM"]).stem)
    model = module.model_fn(sys.argv[1])
    _write(answers, {"status": 200}, b"")
    while line := given.readline():
        head = json.loads(line)
        status, kind, body = _answer(module, model, head, given.read(head["length"]))
        _write(answers, {"status": status, "content_type": kind}, body)


def _answer(module: Any, model: Any, head: dict[str, Any], body: bytes) -> tuple[int, str, bytes]:
    try:
        content_type = head["content_type"] or TEXT_TYPES[0]
        given = body.decode() if content_type in TEXT_TYPES else body
        prediction = module.predict_fn(module.input_fn(given, content_type), model)
        said, kind = module.output_fn(prediction, head["accept"])
        return 200, kind, said
    except GenericInferenceToolkitError as error:
        return error.status_code, "text/plain", f"{error.message}\n{traceback.format_exc()}".encode()
    except Exception as error:  # noqa: BLE001  # as the toolkit does: the fault of a request ends no server
        return 500, "text/plain", f"{error}\n{traceback.format_exc()}".encode()


def _write(answers: BinaryIO, head: dict[str, Any], body: bytes) -> None:
    answers.write(json.dumps({**head, "length": len(body)}).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main()

"""Asking SageMaker about endpoints, and asking an endpoint, with refusals told apart.

What belongs here: single calls. What does not: their order (`sagemaker`).
"""

import json
import re
from collections.abc import Callable
from typing import Any

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors, code_of
from resources.endpoints.contract import JSON

UNKNOWN = re.compile(r"could not find|not found", re.IGNORECASE)
TAKEN = re.compile(r"already existing|already exists", re.IGNORECASE)
BUSY = re.compile(r"in-progress|in progress|cannot update", re.IGNORECASE)


def is_unknown(error: Exception) -> bool:
    """Whether SageMaker says that there is no such thing."""
    return code_of(error) == "ResourceNotFound" or _says(error, UNKNOWN)


def is_taken(error: Exception) -> bool:
    """Whether SageMaker says that there is one of this name already."""
    return code_of(error) == "ResourceInUse" or _says(error, TAKEN)


def ask(
    operation: str, body: dict[str, Any], what: str, is_fine: Callable[[Exception], bool] | None = None
) -> dict[str, Any] | None:
    """SageMaker's answer; None where it refuses in a way that `is_fine`.

    Raises:
        UserError: the credentials, the role or the request are refused.
        TransientError: AWS cannot be reached, a quota is used up, or the endpoint is being changed by somebody else.
    """
    from botocore.exceptions import ClientError

    with aws_errors(what):
        try:
            return getattr(client("sagemaker"), operation)(**body)
        except ClientError as error:
            if is_fine is not None and is_fine(error):
                return None
            if _says(error, BUSY):
                raise TransientError(f"Cannot {what} just now: {_message(error)} It is tried again.") from error
            raise


def ask_model(endpoint: str, retailer: str, body: bytes, content_type: str) -> bytes | None:
    """The served model's answer; None where no endpoint of this name answers.

    Raises:
        UserError: the model refuses the request.
        TransientError: the endpoint is busy, or AWS cannot be reached.
        OptiflowError: the model failed over the request.
    """
    from botocore.exceptions import ClientError

    with aws_errors(f"ask the endpoint {endpoint}"):
        try:
            answer = client("sagemaker-runtime").invoke_endpoint(
                EndpointName=endpoint, Body=_for_retailer(body, retailer), ContentType=content_type, Accept=JSON
            )
        except ClientError as error:
            if code_of(error) == "ModelError":
                raise _refusal(error, endpoint) from error
            if code_of(error) == "ValidationError" and UNKNOWN.search(_message(error)):
                return None
            raise
        return answer["Body"].read()


def _for_retailer(body: bytes, retailer: str) -> bytes:
    """The request with the retailer in it, so that the model itself refuses to answer for another one.

    What is no such request goes as it is: the model says what is wrong with it.
    """
    try:
        said = json.loads(body)
    except ValueError:
        return body
    if not isinstance(said, dict) or "retailer" in said:
        return body
    return json.dumps({**said, "retailer": retailer}, ensure_ascii=False).encode()


def _refusal(error: Any, endpoint: str) -> OptiflowError:
    # The toolkit puts a traceback below the message.
    said = str(error.response.get("OriginalMessage") or _message(error)).strip()
    first = said.splitlines()[0] if said else "it does not say why"
    if error.response.get("OriginalStatusCode") == 400:
        return UserError(first)
    log = error.response.get("LogStreamArn")
    where = f" Its log: {log}." if log else f" Its log: /aws/sagemaker/Endpoints/{endpoint} in CloudWatch."
    return OptiflowError(f"Endpoint {endpoint} failed over the request: {first}.{where}")


def _says(error: Exception, meaning: re.Pattern[str]) -> bool:
    return code_of(error) == "ValidationException" and bool(meaning.search(_message(error)))


def _message(error: Any) -> str:
    return str(error.response["Error"].get("Message", ""))

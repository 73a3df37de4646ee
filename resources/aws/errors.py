"""How AWS's errors are told: what the user can mend, and what passes by itself.

What belongs here: which variable or permission mends what. What does not: the codes (`codes`), and repeating requests,
which botocore does (`client`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.aws.client import forget_clients
from resources.aws.codes import (
    EXPIRED,
    FORBIDDEN,
    MISSING,
    NO_QUEUE,
    PASSING,
    PRECONDITION,
    UNKNOWN_CREDENTIALS,
    WRONG_REGION,
)


def code_of(error: Exception) -> str:
    """The error's code in AWS's words; empty for an error that is not an answer of AWS."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Translate the errors of boto3 inside the block.

    Args:
        what: What was being done, as the message is to say it: `read s3://bucket/key`.

    Raises:
        FileNotFoundError: the object does not exist.
        UserError: the user can mend it; names the variable or the permission.
        TransientError: it may pass by itself.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import S3DownloadFailedError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise told(error, what) from error
    except S3DownloadFailedError as error:
        raise TransientError(f"Cannot {what} just now: it was overwritten meanwhile. It is tried again.") from error
    except Boto3Error as error:
        # upload_file raises an error of its own, without a cause, in place of S3's answer.
        answer = error.__context__
        raise told(answer if isinstance(answer, ClientError) else error, what) from error


def told(error: Exception, what: str) -> OptiflowError | FileNotFoundError:
    """The error that OptiFlow raises instead of one of boto3's."""
    code = code_of(error)
    if not code:
        return _unanswered(error, what)
    message = str(error.response["Error"].get("Message", "")).strip()  # pyright: ignore[reportAttributeAccessIssue]
    return _answered(code, message, getattr(error, "operation_name", ""), what)


def told_of_object_store(error: Exception, what: str) -> OptiflowError | FileNotFoundError | None:
    """The same for an error of polars' object store, which quotes S3's answer; None for an error of another kind."""
    # The Parquet writer puts words of its own before it where an object goes in parts.
    _, found_one, text = str(error).partition("object-store error:")
    if not found_one:
        return None
    code = re.search(r"<Code>(\w+)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    status = re.search(r"status code: (\d{3})", text)
    if code or status:
        operation = "PutObject" if re.search(r"performing (PUT|POST)", text) else "GetObject"
        found = code[1] if code else status[1] if status else ""
        return _answered(found, message[1].strip() if message else "", operation, what)
    reason = text.strip().splitlines()[0][:300]
    if "redirect without LOCATION" in text:  # S3's answer to who asks in another region
        return _answered(WRONG_REGION[0], "", "", what)
    return TransientError(
        f"Cannot {what} just now: {reason}. AWS_REGION and AWS_ENDPOINT_URL say where it is looked for."
    )


def _answered(code: str, message: str, operation: str, what: str) -> OptiflowError | FileNotFoundError:
    if code in MISSING:
        return FileNotFoundError(f"Cannot {what}: it does not exist.")
    said = f"{code}: {message}" if message else code
    if code in PASSING or code in PRECONDITION:
        return TransientError(f"Cannot {what} just now ({said}). It is tried again; nothing was lost.")
    if code == "NoSuchBucket":
        return UserError(f"Cannot {what}: the bucket does not exist. Mend OPTIFLOW_STORAGE, or make the bucket.")
    if code in NO_QUEUE:
        return UserError(f"Cannot {what}: the queue does not exist. Mend OPTIFLOW_UPLOAD_QUEUE_URL.")
    if code in EXPIRED:
        forget_clients()  # what is renewed in a file is then read without a restart
        return UserError(
            f"Cannot {what}: the AWS credentials have expired ({code}). Sign in again (aws sso login), or renew "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN and restart Dagster, then run again. "
            "Nothing was lost."
        )
    if code in UNKNOWN_CREDENTIALS:
        return UserError(
            f"Cannot {what}: AWS does not know these credentials ({code}). Mend AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )
    if code in WRONG_REGION:
        return UserError(
            f"Cannot {what}: it lies in another region ({said}). Set AWS_REGION to the region of the bucket."
        )
    if code in FORBIDDEN or "is not authorized to perform" in message:
        if "PassRole" in message:
            return UserError(
                f"Cannot {what}: the role in OPTIFLOW_SAGEMAKER_ROLE_ARN cannot be passed. Allow iam:PassRole on it "
                f"(deploy/iam-policy.json), and let sagemaker.amazonaws.com assume it. AWS says: {message}"
            )
        return UserError(
            f"Cannot {what}: access is denied. Allow {_action(operation, message)} (deploy/iam-policy.json)."
            + (f" AWS says: {message}" if message else "")
        )
    if code == "ValidationException" and re.search(
        r"assume role|role.*(invalid|trust)|PassRole", message, re.IGNORECASE
    ):
        return UserError(
            f"Cannot {what}: SageMaker cannot use the role in OPTIFLOW_SAGEMAKER_ROLE_ARN. Let sagemaker.amazonaws.com "
            f"assume it. AWS says: {message}"
        )
    return UserError(f"Cannot {what}: AWS refuses ({said}).")


def _action(operation: str, message: str) -> str:
    found = re.search(r"not authorized to perform:? ([A-Za-z0-9-]+:[A-Za-z]+)", message)
    if found:
        return found[1]
    actions = {
        # Who may not list is told that a missing object is forbidden.
        "GetObject": "s3:GetObject and s3:ListBucket",
        "PutObject": "s3:PutObject",
        "HeadObject": "s3:GetObject and s3:ListBucket",
        "ListObjectsV2": "s3:ListBucket",
        "CreateMultipartUpload": "s3:PutObject",
        "UploadPart": "s3:PutObject",
        "CompleteMultipartUpload": "s3:PutObject",
        "CopyObject": "s3:GetObject and s3:PutObject",
    }
    return actions.get(operation, f"the action {operation}" if operation else "it")


def _unanswered(error: Exception, what: str) -> OptiflowError:
    from botocore import exceptions as boto

    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return UserError(
            f"Cannot {what}: there are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give the machine or task a role."
        )
    if isinstance(error, boto.NoRegionError):
        return UserError(f"Cannot {what}: no AWS region is set. Set AWS_REGION, for example to eu-central-1.")
    expired = (boto.TokenRetrievalError, boto.SSOTokenLoadError, boto.UnauthorizedSSOTokenError)
    if isinstance(error, (*expired, boto.CredentialRetrievalError)):
        return UserError(f"Cannot {what}: the AWS credentials cannot be read ({error}). Sign in again (aws sso login).")
    if isinstance(error, boto.ParamValidationError | boto.InvalidRegionError | boto.UnknownServiceError):
        return UserError(f"Cannot {what}: {error}")
    return TransientError(
        f"Cannot {what} just now: {error}. AWS_REGION and AWS_ENDPOINT_URL say where it is looked for."
    )

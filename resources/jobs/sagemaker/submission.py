"""Creating a SageMaker job once, whatever is lost or happens twice on the way.

SageMaker refuses a second job of the same name. So who is refused looks at the job that is there: another submitter's,
or our own, when the answer to our request was lost and botocore sent it again. A model that a crash left behind between
CreateModel and CreateTransformJob is used by whoever submits next.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from optiflow.errors import TransientError, UserError
from resources.aws.client import client
from resources.aws.errors import aws_errors, code_of
from resources.jobs.contract import JobKind, JobRequest, JobState
from resources.jobs.sagemaker import requests
from resources.jobs.sagemaker.images import xgboost_image
from resources.jobs.sagemaker.processing import processing_job
from resources.jobs.sagemaker.settings import SageMakerSettings
from resources.jobs.sagemaker.states import created_state
from resources.jobs.sagemaker.words import WORDS

MODEL_EXISTS = re.compile(r"already existing model|already exists", re.IGNORECASE)
LOOKS = 5
FIRST_LOOK_SECONDS = 0.2


def create_job(
    settings: SageMakerSettings, request: JobRequest, describe: Callable[[str, JobKind], JobState | None]
) -> JobState:
    """Create the job, or return the state of the one that has its name by now.

    Raises:
        UserError: SageMaker refuses the request, the role or the credentials.
        TransientError: a quota is used up, or AWS cannot be reached.
    """
    settings.check()
    region = client("sagemaker").meta.region_name
    image = settings.image_uri or xgboost_image(region, settings.xgboost_version)
    if request.kind is JobKind.TRAINING:
        body = requests.training_job(settings, request, image, region)
    elif request.kind is JobKind.PROCESSING:
        body = processing_job(settings, request, image)
    elif request.source_uri:
        raise UserError(f"job {request.name}: packed source scores in a processing job, not in a transform job.")
    else:
        model = requests.model(settings, request, image)
        body = requests.transform_job(settings, request, model["ModelName"])
        _create("create_model", model, f"make the model of job {request.name}")
    words = WORDS[request.kind]
    answer = _create(words.operation("create"), body, f"start the {request.kind} job {request.name}")
    if answer is not None:
        return created_state(request.name, request.kind, answer[words.arn], datetime.now(UTC))
    return _find(request, describe)


def _create(operation: str, body: dict[str, Any], what: str) -> dict[str, Any] | None:
    """SageMaker's answer; None if there is one of this name already."""
    from botocore.exceptions import ClientError

    with aws_errors(what):
        try:
            return getattr(client("sagemaker"), operation)(**body)
        except ClientError as error:
            if _is_taken(error):
                return None
            if code_of(error) == "ResourceLimitExceeded":
                raise TransientError(_quota_message(error, what)) from error
            raise


def _is_taken(error: Any) -> bool:
    if code_of(error) == "ResourceInUse":
        return True
    # CreateModel has no error of its own for it.
    return code_of(error) == "ValidationException" and bool(MODEL_EXISTS.search(error.response["Error"]["Message"]))


def _quota_message(error: Any, what: str) -> str:
    said = error.response["Error"].get("Message", "")
    quota = re.search(r"'([^']+)'", said)
    name = f"the quota {quota[1]!r}" if quota else "a quota"
    return (
        f"Cannot {what} just now: {name} of Amazon SageMaker is used up. It is tried again; raise it in Service Quotas "
        f"(AWS console: Service Quotas, AWS services, Amazon SageMaker), or choose another instance type. AWS says: {said}"
    )


def _find(request: JobRequest, describe: Callable[[str, JobKind], JobState | None]) -> JobState:
    """The job that SageMaker says exists; it may need a moment to be seen."""
    for look in range(LOOKS):
        state = describe(request.name, request.kind)
        if state is not None:
            return state
        time.sleep(FIRST_LOOK_SECONDS * 2**look)
    raise TransientError(f"Job {request.name} exists and cannot be described yet. It is tried again; nothing was lost.")

"""SageMaker's operations on jobs: Create, Describe, List, Stop and tags. Everything else of SageMaker is moto's."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from aws_double.answers import AwsError
from aws_double.calls import Call
from aws_double.job import ACCOUNT, KINDS, TRANSFORM, Job, Kind
from aws_double.job_queue import JobQueue

DEFAULT_PAGE = 10
SORT_FIELDS = {"CreationTime": "CreationTime", "Name": "{word}JobName", "Status": "{word}JobStatus"}


class JobApi:
    """Answers the calls about jobs."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def answer(self, call: Call) -> dict[str, Any] | None:
        """The result of the call; None if it is not about jobs.

        Raises:
            AwsError: SageMaker refuses the call.
        """
        for kind in KINDS.values():
            match call.operation.removesuffix(f"{kind.word}Job").removesuffix(f"{kind.word}Jobs"):
                case "Create":
                    return self._create(kind, call)
                case "Describe":
                    return self._find(kind, call).describe()
                case "Stop":
                    return self._stop(kind, call)
                case "List":
                    return self._list(kind, call.parameters)
        if call.operation in ("AddTags", "ListTags", "DeleteTags"):
            return self._tags(call)
        if call.operation == "CreateModel":
            _refuse_existing_model(call)
        return None

    def _create(self, kind: Kind, call: Call) -> dict[str, Any]:
        if kind is TRANSFORM and call.parameters["ModelName"] not in _models(call.region):
            raise AwsError("ValidationException", f'Could not find model "{_model_arn(call)}".')
        tags = {tag["Key"]: tag["Value"] for tag in call.parameters.get("Tags", [])}
        job = Job(kind, {k: v for k, v in call.parameters.items() if k != "Tags"}, call.region, tags)
        if not self._queue.add(job):
            what = f"{kind.word} job names must be unique within an AWS account and region, and "
            message = f"{what}a {kind.word.lower()} job with this name already exists ({job.arn})"
            raise AwsError("ResourceInUse", message)
        return {f"{kind.word}JobArn": job.arn}

    def _find(self, kind: Kind, call: Call) -> Job:
        name = call.parameters[kind.name_field]
        job = self._queue.find(kind, name)
        if job is None:
            raise AwsError("ValidationException", kind.unknown.format(name=name))
        return job

    def _stop(self, kind: Kind, call: Call) -> dict[str, Any]:
        job = self._find(kind, call)
        with job.lock:
            if job.is_final:
                what = f"the {kind.word.lower()} job is in status {job.status}"
                raise AwsError("ValidationException", f"The request was rejected because {what}.")
            job.move("Stopping")
        self._queue.stop(job)
        return {}

    def _list(self, kind: Kind, wanted: dict[str, Any]) -> dict[str, Any]:
        field = SORT_FIELDS[wanted.get("SortBy", "CreationTime")].format(word=kind.word)
        down = wanted.get("SortOrder", kind.sort_order) == "Descending"
        rows = [summary for job in self._queue.of_kind(kind) if _wanted(summary := job.summary(), kind, wanted)]
        places = sorted(((row[field], row[kind.name_field], row) for row in rows), key=lambda p: p[:2], reverse=down)
        if token := wanted.get("NextToken"):
            last = _read_token(token)
            places = [place for place in places if (place[:2] < last if down else place[:2] > last)]
        size = wanted.get("MaxResults", DEFAULT_PAGE)
        result: dict[str, Any] = {f"{kind.word}JobSummaries": [row for _, _, row in places[:size]]}
        if len(places) > size:
            result["NextToken"] = base64.b64encode(json.dumps(places[size - 1][:2]).encode()).decode()
        return result

    def _tags(self, call: Call) -> dict[str, Any] | None:
        job = self._queue.by_arn(call.parameters["ResourceArn"])
        if job is None:
            return None
        if call.operation == "AddTags":
            job.tags.update({tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]})
        elif call.operation == "DeleteTags":
            for key in call.parameters["TagKeys"]:
                job.tags.pop(key, None)
            return {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in job.tags.items()]}


def _wanted(row: dict[str, Any], kind: Kind, wanted: dict[str, Any]) -> bool:
    return (
        wanted.get("StatusEquals", row[kind.status_field]) == row[kind.status_field]
        and wanted.get("NameContains", "").lower() in row[kind.name_field].lower()
        and row["CreationTime"] > _seconds(wanted.get("CreationTimeAfter"), 0)
        and row["CreationTime"] < _seconds(wanted.get("CreationTimeBefore"), float("inf"))
        and row["LastModifiedTime"] > _seconds(wanted.get("LastModifiedTimeAfter"), 0)
        and row["LastModifiedTime"] < _seconds(wanted.get("LastModifiedTimeBefore"), float("inf"))
    )


def _seconds(given: float | str | None, otherwise: float) -> float:
    if given is None:
        return otherwise
    return datetime.fromisoformat(given).timestamp() if isinstance(given, str) else float(given)


def _read_token(token: str) -> tuple[Any, str]:
    try:
        value, name = json.loads(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error) as error:
        raise AwsError("ValidationException", "Invalid NextToken.") from error
    return value, name


def _models(region: str) -> dict[str, Any]:
    return sagemaker_backends[ACCOUNT][region]._models


def _model_arn(call: Call) -> str:
    return f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:model/{call.parameters['ModelName']}"


def _refuse_existing_model(call: Call) -> None:
    # moto silently puts the new model in the old one's place.
    if call.parameters["ModelName"] in _models(call.region):
        raise AwsError("ValidationException", f'Cannot create already existing model "{_model_arn(call)}".')

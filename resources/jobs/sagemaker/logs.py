"""The logs of SageMaker jobs in CloudWatch: the last lines of a job, and the last line of one that runs.

What belongs here: log streams and their events. What does not: where the console shows them (`words`).
"""

from typing import Any

from optiflow.errors import TransientError, UserError
from resources.aws.client import client
from resources.aws.codes import FORBIDDEN
from resources.aws.errors import aws_errors, code_of
from resources.jobs.contract import JobKind
from resources.jobs.sagemaker.words import WORDS

MAX_EVENTS = 10_000
MAX_STREAMS = 50
FORBIDDEN_HINT = "(The log cannot be read: allow logs:DescribeLogStreams and logs:GetLogEvents on /aws/sagemaker/*.)"


def log_tail(name: str, kind: JobKind, lines: int) -> str:
    """The last lines of all machines of the job, in the order of their times; empty when there is no log.

    Without the permission to read logs it is a hint that says so: the caller is about to tell of something worse.

    Raises:
        TransientError: CloudWatch cannot be asked just now.
    """
    from botocore.exceptions import ClientError

    with aws_errors(f"read the log of job {name}"):
        try:
            events = [e for stream in _streams(name, kind) for e in _last_events(stream, kind, lines)]
        except ClientError as error:
            if code_of(error) not in FORBIDDEN:
                raise
            return FORBIDDEN_HINT
    events.sort(key=lambda event: event["timestamp"])  # stable: what one machine says in a millisecond stays in order
    said = [line for event in events for line in _text(event).splitlines()]
    return "\n".join(said[-lines:])


class LastLine:
    """The last line of a job that runs, for one request a look, once the log has been found.

    It is a courtesy to who waits: when CloudWatch refuses or cannot be reached, nothing is asked any more.
    """

    def __init__(self, name: str, kind: JobKind) -> None:
        self._name = name
        self._kind = kind
        self._stream: str | None = None
        self._instead: str | None = None

    def read(self) -> str:
        """The line; empty when there is none yet, and a hint when the log cannot be read."""
        if self._instead is not None:
            return self._instead
        try:
            with aws_errors(f"read the log of job {self._name}"):
                return self._read()
        except UserError:
            self._instead = FORBIDDEN_HINT
        except TransientError as error:
            self._instead = f"(No more of the log is shown. {error})"
        return self._instead

    def _read(self) -> str:
        if self._stream is None:
            self._stream = next(iter(_streams(self._name, self._kind)), None)
        if self._stream is None:
            return ""
        group = WORDS[self._kind].log_group
        page = client("logs").get_log_events(
            logGroupName=group, logStreamName=self._stream, startFromHead=False, limit=1
        )
        return _text(page["events"][-1]) if page["events"] else ""


def _streams(name: str, kind: JobKind) -> list[str]:
    """The job's streams, one or more a machine."""
    logs = client("logs")
    group = WORDS[kind].log_group
    try:
        answer = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/", limit=MAX_STREAMS)
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [stream["logStreamName"] for stream in answer["logStreams"]]


def _last_events(stream: str, kind: JobKind, wanted: int) -> list[dict[str, Any]]:
    logs = client("logs")
    where = {"logGroupName": WORDS[kind].log_group, "logStreamName": stream, "startFromHead": False}
    events: list[dict[str, Any]] = []
    token: str | None = None
    while len(events) < wanted:
        limit = min(wanted - len(events), MAX_EVENTS)
        page = logs.get_log_events(**where, limit=limit, **({"nextToken": token} if token else {}))
        events = page["events"] + events
        # A page may be empty and not be the last one. The last one's token is the one that it was asked with.
        if page.get("nextBackwardToken") in (None, token):
            break
        token = page["nextBackwardToken"]
    return events


def _text(event: dict[str, Any]) -> str:
    """What the program wrote: SageMaker stores a tab as `#011`."""
    return event["message"].rstrip("\n").replace("#011", "\t")

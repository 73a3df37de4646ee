"""Delivery of one message to the webhook or the SNS topic in OPTIFLOW_ALERT_URL, with retries.

What belongs here: who took a message, who may take it later and who never will. What does not: which messages there
are and in which order (`run_failure_outbox`).
"""

import re
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, InvalidURL
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from optiflow.errors import TransientError, UserError
from optiflow_dagster.sensors.run_failure_message import as_json
from resources.aws.client import client, hurried
from resources.aws.errors import aws_errors
from resources.http_retries import Timing, may_pass, wished_seconds

if TYPE_CHECKING:
    import tenacity

TIMEOUT_SECONDS = 10
ATTEMPTS = 4
"""Of one message in one tick, half a second, one and two apart, a half more or less."""
FIRST_PAUSE_SECONDS = 0.5
MAX_SUBJECT = 100

REAL = Timing()
_NOT_TAKEN = "The webhook in OPTIFLOW_ALERT_URL did not take the message"

Message = dict[str, str]
Send = Callable[[Message], None]


class NotTakenError(TransientError):
    """The message may be taken later; `retry_after` is the receiver's own wish in seconds, 0 for none."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def sender(address: str, timing: Timing) -> Send:
    """What sends one message, once, to a webhook's address or a topic's ARN."""
    if address.startswith("arn:"):
        return lambda message: publish(address, message)
    return lambda message: post(address, message, timing)


def deliver(send: Send, message: Message, deadline: float, timing: Timing, attempts: int = ATTEMPTS) -> None:
    """Send a message, again and again if it is not taken.

    Args:
        send: Sends it once.
        message: What is sent.
        deadline: No attempt begins after this time (`timing.monotonic`), in seconds.
        timing: The clocks and the sleep between attempts.
        attempts: So many at most.

    Raises:
        TransientError: it was not taken, and may be later.
        UserError: it was refused.
    """
    import tenacity

    tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        wait=lambda state: _pause(state, timing),
        stop=lambda state: state.attempt_number >= attempts or timing.monotonic() + state.upcoming_sleep >= deadline,
        sleep=timing.sleep,
        reraise=True,
    )(send, message)


def post(url: str, message: Message, timing: Timing = REAL) -> None:
    """Send a JSON message; no error names the address, which may hold a token.

    Raises:
        NotTakenError: no answer, 5xx, 408, 423, 425 or 429.
        UserError: another answer than 2xx, or an address that cannot be used.
    """
    try:
        request = Request(url, as_json(message), {"Content-Type": "application/json"})
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS):
            return
    except HTTPError as error:
        refusal = _answered(error, timing)
        error.close()
    except (InvalidURL, ValueError):
        refusal = UserError("OPTIFLOW_ALERT_URL holds an address that cannot be used: mend the variable.")
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        refusal = NotTakenError(f"{_NOT_TAKEN}: {reason}.")
    # Outside of the block: Dagster shows an error's context as well, and urllib's may hold the address.
    raise refusal


def publish(topic: str, message: Message) -> None:
    """Publish a JSON message to an SNS topic; who reads it as an e-mail sees the job and the dataset in its subject.

    Raises:
        UserError: the topic or the permission is missing.
        TransientError: SNS cannot be reached.
    """
    subject = (
        f"OptiFlow: {message['job']} of {message['dataset']} failed" if message["dataset"] else "OptiFlow: a run failed"
    )
    try:
        # This repeats itself, and the other messages of the tick wait for it.
        with hurried(), aws_errors("tell the topic in OPTIFLOW_ALERT_URL of a failed run"):
            client("sns").publish(
                TopicArn=topic,
                Subject=re.sub(r"[^ -~]", "?", subject)[:MAX_SUBJECT],  # SNS takes ASCII alone
                Message=as_json(message).decode(),
            )
    except FileNotFoundError as error:
        raise UserError(
            f"OPTIFLOW_ALERT_URL: there is no topic {topic}. Mend the variable, or make the topic."
        ) from error


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: urllib would go on with a GET, which leaves the message behind and looks like success."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Nowhere: the answer stays an error."""


_OPENER = build_opener(_NoRedirect)


def _answered(error: HTTPError, timing: Timing) -> NotTakenError | UserError:
    said = f"{error.code} {error.reason}".strip()
    if may_pass(error.code):
        return NotTakenError(f"{_NOT_TAKEN}: {said}.", wished_seconds(error.headers.get("Retry-After"), timing))
    mend = (
        "It has moved: set the variable to its new address" if error.code < 400 else "Mend the variable or the webhook"
    )
    return UserError(f"The webhook in OPTIFLOW_ALERT_URL refuses the message: {said}. {mend}.")


def _pause(state: "tenacity.RetryCallState", timing: Timing) -> float:
    failure = state.outcome.exception() if state.outcome else None
    wish = failure.retry_after if isinstance(failure, NotTakenError) else 0.0
    return max(FIRST_PAUSE_SECONDS * 2 ** (state.attempt_number - 1) * (0.5 + timing.random()), wish)

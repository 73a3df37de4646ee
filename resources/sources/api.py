"""How an API is asked: one address in, one JSON answer out, or an error that says whose turn it is.

What belongs here: the token, time-outs, status codes and what they mean, retries. What does not: pages (`pages`).
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlsplit

import httpx
import tenacity

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.http_retries import Timing, may_pass, wished_seconds
from resources.sources.description import Source, Variable

TIMEOUT_SECONDS = 60.0
ATTEMPTS = 6
LONGEST_BACKOFF_SECONDS = 30.0
RETRY_BUDGET_SECONDS = 300.0
"""A page is given up when its attempts would have to sleep longer than this, all together."""
MOST_BYTES = 256 << 20
"""Of one answer."""
TOLD_CHARACTERS = 200

LOG = logging.getLogger("optiflow.sources")


class NotThereError(UserError):
    """The API answered 404: a wrong address, or a page after the last one."""


class _UnavailableError(TransientError):
    """What a later attempt may not meet; `retry_after` is the server's own wish in seconds."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Answer(NamedTuple):
    """What the API said: the JSON, where it was found, and the next address of the header `Link`."""

    content: Any
    url: str
    link: str | None


@dataclass(frozen=True)
class Api:
    """A connection to a source. The token is in no message, log line or repr."""

    source: Source
    client: httpx.Client = field(repr=False)
    timing: Timing = field(default=Timing(), repr=False)

    def get(self, url: str, parameters: dict[str, Any]) -> Answer:
        """One answer.

        Args:
            url: The address; parameters that it has already stay.
            parameters: Laid over those; of a `Variable` what is in it.

        Raises:
            UserError: the token is missing or refused, or the question is wrong (4xx).
            TransientError: 429, 5xx, no connection or no JSON, again and again.
        """
        if urlsplit(url)[:2] != urlsplit(self.source.url)[:2]:
            raise UserError(
                f"{self._name}: the next page is at {self.redact(url)}, on another host, which must not get the token."
            )
        values = {name: self._value(value) for name, value in parameters.items()}
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_UnavailableError),
            wait=self._pause,
            stop=_is_enough,
            before_sleep=self._log_retry,
            sleep=self.timing.sleep,
            reraise=True,
        )
        return retrying(self._get_once, httpx.URL(url).copy_merge_params(values))

    def _get_once(self, url: httpx.URL) -> Answer:
        try:
            with self.client.stream("GET", url, headers=self._headers()) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise UserError(
                            f"{self._name}: an answer is over {MOST_BYTES >> 20} MB. Ask for smaller pages."
                        )
        except httpx.HTTPError as error:
            raise _UnavailableError(
                f"{self._name}: no answer ({self.redact(str(error)) or type(error).__name__})."
            ) from None
        if not response.is_success:
            raise self._refusal(response, bytes(body))
        try:
            content = json.loads(body)
        except ValueError:
            raise _UnavailableError(f"{self._name}: the answer is not JSON ({self._told(bytes(body))}).") from None
        return Answer(content, str(response.url), response.links.get("next", {}).get("url"))

    def _headers(self) -> dict[str, str]:
        if self.source.token is None:
            return {"Accept": "application/json"}
        token = self._value(Variable(variable=self.source.token))
        return {"Accept": "application/json", "Authorization": f"Bearer {token}"}

    def _value(self, said: Any) -> Any:
        if not isinstance(said, Variable):
            return said
        if not (found := said.value):
            raise UserError(f"{self._name}: {said.variable} is not set. Set it to what the API wants there.")
        return found

    def _refusal(self, response: httpx.Response, body: bytes) -> OptiflowError:
        said = f"answered {response.status_code} {self.redact(response.reason_phrase)}: {self._told(body)}".rstrip(": ")
        if response.status_code in (401, 403):
            mend = (
                f"Put a new token into {self.source.token}"
                if self.source.token
                else "Say in token which variable has one"
            )
            return UserError(
                f"{self._name} {said}. The token is wrong, expired or may not read this. {mend}; nothing was lost."
            )
        if may_pass(response.status_code):
            return _UnavailableError(
                f"{self._name} {said}.", wished_seconds(response.headers.get("Retry-After"), self.timing)
            )
        if response.is_redirect:
            moved = self.redact(str(response.headers.get("Location")))
            return UserError(f"{self._name} {said}. It has moved to {moved}: write that as url.")
        told = f"{self._name} {said}. Check url and parameters."
        return NotThereError(told) if response.status_code == 404 else UserError(told)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next attempt: 1, 2, 4, … with jitter, or what the server asks for if that is more."""
        backoff = min(2.0 ** (state.attempt_number - 1), LONGEST_BACKOFF_SECONDS)
        failure = state.outcome.exception() if state.outcome else None
        wish = failure.retry_after if isinstance(failure, _UnavailableError) else 0.0
        return max(backoff * (0.5 + self.timing.random()), wish)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        LOG.warning("%s Attempt %d of %d in %.0f s.", failure, state.attempt_number + 1, ATTEMPTS, state.upcoming_sleep)

    @property
    def _name(self) -> str:
        return f"Source {self.source.name}"

    def _told(self, body: bytes) -> str:
        # Before anything is cut: the beginning of a secret is none that could be found.
        text = " ".join(self.redact(body.decode(errors="replace"))[: 4 * TOLD_CHARACTERS].split())
        return text if len(text) <= TOLD_CHARACTERS else text[: TOLD_CHARACTERS - 1] + "…"

    def redact(self, text: str) -> str:
        """The text without the token and what else is in variables, as it is and as addresses and JSON write it."""
        variables = [value for value in self.source.parameters.values() if isinstance(value, Variable)]
        variables += [Variable(variable=self.source.token)] if self.source.token else []
        for secret in sorted({found.value for found in variables} - {""}, key=len, reverse=True):
            for written in (
                secret,
                quote(secret, safe=""),
                quote(secret),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
            ):
                text = text.replace(written, "***")
        return text


def _is_enough(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number >= ATTEMPTS or state.idle_for + state.upcoming_sleep > RETRY_BUDGET_SECONDS

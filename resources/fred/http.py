"""How FRED is asked: one address in, one XML element out, or an error that says whose turn it is.

What belongs here: the API key, time-outs, status codes and what they mean, retries, the rate limit. What does not: which
questions there are and what the answers mean (`resources.fred.api`).

Source of the protocol: FRED's API documentation, pages "Errors" and "API Keys".
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote_plus, urlsplit
from urllib.request import urlopen
from xml.etree import ElementTree

import dagster as dg

from optiflow.errors import OptiflowError, TransientError, UserError
from resources.http_retries import Timing, may_pass, wished_seconds

if TYPE_CHECKING:
    import tenacity

FRED_URL = "https://api.stlouisfed.org/fred"
KEY_PAGE = "https://fred.stlouisfed.org/docs/api/api_key.html"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 6
LONGEST_BACKOFF_SECONDS = 30.0
RETRY_BUDGET_SECONDS = 120.0
"""A request is given up when its attempts would have to sleep longer than this, all together."""
_ANSWERS = ("seriess", "observations")


class RateLimiter:
    """Lets at most so many requests pass in any minute; shared by the threads of a process."""

    # A second more than a minute: the request of a late sleeper must not slip into the next one's minute.
    WINDOW_SECONDS = 61.0

    def __init__(self) -> None:
        self._slots: deque[float] = deque()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Count from nothing, as a new process does."""
        with self._lock:
            self._slots.clear()

    def acquire(self, per_minute: int, timing: Timing) -> None:
        """Sleep until one more request keeps the limit, and count it."""
        with self._lock:
            now = timing.monotonic()
            while self._slots and self._slots[0] <= now - self.WINDOW_SECONDS:
                self._slots.popleft()
            full = len(self._slots) >= per_minute
            slot = max(now, self._slots[-per_minute] + self.WINDOW_SECONDS) if full else now
            self._slots.append(slot)
        if slot > now:
            timing.sleep(slot - now)


PROCESS_LIMITER = RateLimiter()
"""FRED counts by key, and a process has one key: all clients of a process share one count."""


class VintagesRefusedError(OptiflowError):
    """FRED has the series but not its vintages: none in ALFRED, or more than the 2,000 it serves (most daily series)."""


class _UnavailableError(TransientError):
    """What a later attempt may not meet; `retry_after` is the server's own wish in seconds."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class FredHttp:
    """A connection to FRED, or to a server that speaks its protocol. The key is in no message, log line or repr."""

    api_key: str | None = field(default=None, repr=False)
    url: str = FRED_URL
    requests_per_minute: int = 120
    timing: Timing = field(default=Timing(), repr=False)
    limiter: RateLimiter = field(default=PROCESS_LIMITER, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UserError(f"OPTIFLOW_FRED_URL is {self.url!r}: write an address such as {FRED_URL}.")

    def get(self, url: str) -> ElementTree.Element:
        """The answer's root element.

        Args:
            url: The full address of a question, key left out.

        Raises:
            UserError: the question, the key or the address is wrong (4xx).
            VintagesRefusedError: ask for the latest vintage only.
            TransientError: 429, 5xx, no connection or no XML, again and again.
        """
        import tenacity

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_UnavailableError),
            wait=self._pause,
            stop=_is_enough,
            before_sleep=_log_retry,
            sleep=self.timing.sleep,
            reraise=True,
        )
        return retrying(self._get_once, url)

    def _get_once(self, url: str) -> ElementTree.Element:
        self.limiter.acquire(self.requests_per_minute, self.timing)
        status, headers, body = self._exchange(url)
        root = _parse(body)
        if 200 <= status < 300:
            if root is None or root.tag not in _ANSWERS:
                raise _UnavailableError(f"{_question(url)}: the answer is not FRED's XML.")
            return root
        said = self._redact((root.get("message") or "") if root is not None else "")
        raise self._refusal(url, status, said, headers["Retry-After"])

    def _exchange(self, url: str) -> tuple[int, Message, bytes]:
        key = f"&api_key={quote_plus(self.api_key)}" if self.api_key else ""
        try:
            with _open(url + key) as response:
                return response.status or 0, response.headers, response.read()
        except (OSError, HTTPException) as error:
            reason = self._redact(str(getattr(error, "reason", "") or error or type(error).__name__))
            # From None: an HTTPError carries the address, and the address carries the key.
            raise _UnavailableError(f"{_question(url)}: no answer from {self.url} ({reason}).") from None

    def _refusal(self, url: str, status: int, said: str, retry_after: str | None) -> OptiflowError:
        """The error that an answer with this status stands for."""
        lower = said.lower()
        if may_pass(status):
            message = f"{_question(url)}: FRED answered {status} {said}".rstrip(". ") + "."
            return _UnavailableError(message, wished_seconds(retry_after, self.timing))
        if "api_key" in lower or status in (401, 403):
            state = "refused the API key" if self.api_key else "wants an API key"
            return UserError(
                f"FRED {state} ({status} {said.strip()}): set FRED_API_KEY to yours; it is free at {KEY_PAGE}."
            )
        if "vintage dates" in lower or "does not exist in alfred" in lower:
            return VintagesRefusedError(said)
        series_id = _parameters(url).get("series_id")
        if series_id and "series does not exist" in lower:
            return UserError(
                f"{series_id} does not exist on FRED: check the spelling, or look it up with `optiflow fred search TEXT`."
            )
        hint = "" if said else " Check OPTIFLOW_FRED_URL."
        return UserError(
            f"{_question(url)}: {self.url} answered {status} {said or 'without a reason'}".rstrip(". ") + f".{hint}"
        )

    def _pause(self, state: "tenacity.RetryCallState") -> float:
        """Seconds before the next attempt: 1, 2, 4, … with jitter, or what the server asks for if that is more."""
        backoff = min(2.0 ** (state.attempt_number - 1), LONGEST_BACKOFF_SECONDS)
        failure = state.outcome.exception() if state.outcome else None
        wish = failure.retry_after if isinstance(failure, _UnavailableError) else 0.0
        return max(backoff * (0.5 + self.timing.random()), wish)

    def _redact(self, text: str) -> str:
        for secret in filter(None, (self.api_key, quote_plus(self.api_key or ""))):
            text = text.replace(secret, "***")
        return text


def _open(url: str) -> HTTPResponse | HTTPError:
    """The server's answer, whatever its status."""
    try:
        return urlopen(url, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        return error


def _parse(body: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None


def _parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def _question(url: str) -> str:
    """A question in words for messages: `FRED series CPIAUCSL`."""
    asked = _parameters(url)
    return (
        f"FRED series {asked['series_id']}" if "series_id" in asked else f"FRED search for {asked.get('search_text')!r}"
    )


def _is_enough(state: "tenacity.RetryCallState") -> bool:
    return state.attempt_number >= ATTEMPTS or state.idle_for + state.upcoming_sleep > RETRY_BUDGET_SECONDS


def _log_retry(state: "tenacity.RetryCallState") -> None:
    failure = state.outcome.exception() if state.outcome else None
    dg.get_dagster_logger("fred").warning(
        "%s Attempt %d of %d in %.0f s.", failure, state.attempt_number + 1, ATTEMPTS, state.upcoming_sleep
    )

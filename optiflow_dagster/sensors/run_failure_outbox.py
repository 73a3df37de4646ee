"""Which failed runs were told, and which are still to be: Dagster's event log is the outbox, the cursor a place in it.

What belongs here: the cursor, and the order in which messages are sent, kept for later or given up. What does not:
reading the event log (`run_failure`) and sending one message (`run_failure_delivery`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from optiflow.errors import TransientError, UserError
from optiflow_dagster.sensors.run_failure_delivery import ATTEMPTS, Message, NotTakenError, Send, deliver
from resources.http_retries import Timing

BEGIN_SECONDS = 20.0
"""No message is begun later in a tick, of which Dagster ends one after 60 seconds; the last takes ten at most."""
MAX_REFUSED = 100
FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 1800.0
LONGEST_WISH_SECONDS = 3600.0
"""A receiver's `Retry-After` is heeded up to here."""
GIVE_UP_SECONDS = 24 * 3600.0
FEWEST_TRIES = 10
"""Before a message is given up: a daemon that was off for a day has not tried for a day."""


@dataclass(frozen=True)
class Refused:
    """A message that was not taken while others were, or that was refused: it is tried again later, and blocks none.

    `since` and `due` are in seconds since 1970.
    """

    run_id: str
    since: float
    tries: int
    due: float


@dataclass(frozen=True)
class Outbox:
    """The sensor's cursor.

    All failures up to the event `after` were told or are among `refused`. It is None before the first tick.
    """

    after: int | None = None
    refused: tuple[Refused, ...] = ()
    not_before: float = 0.0

    @classmethod
    def read(cls, cursor: str | None) -> "Outbox":
        """The outbox of a cursor; an empty one for what is none. Dagster's own failure sensors keep a `record_id`."""
        try:
            said: dict[str, Any] = json.loads(cursor or "{}")
            after = said.get("after", said.get("record_id"))
            refused = tuple(Refused(**one) for one in said.get("refused", []))
            return cls(None if after is None else int(after), refused, float(said.get("not_before", 0.0)))
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """The cursor."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Failure:
    """An event of a failed run; `message` is None where nothing is to be told."""

    storage_id: int
    run_id: str
    message: Message | None


def send_all(
    outbox: Outbox,
    failures: Iterable[Failure],
    message_of: Callable[[str], Message | None],
    send: Send,
    timing: Timing,
) -> tuple[Outbox, int, list[str]]:
    """Send what is due until the tick's time is over or the receiver takes nothing.

    Args:
        outbox: What was told before.
        failures: The failures after that, the oldest first.
        message_of: The message of a run that was refused before; None if the run was deleted.
        send: Sends a message once.
        timing: The clocks, and the sleep between attempts.

    Returns:
        The outbox after that, how many messages were taken, and what is to be said of the others.
    """
    tick = _Tick(outbox, send, timing)
    tick.send_new(failures)
    tick.send_refused(message_of)
    return tick.outbox, tick.taken, list(dict.fromkeys(tick.notes))


class _Tick:
    def __init__(self, outbox: Outbox, send: Send, timing: Timing) -> None:
        self.outbox, self.send, self.timing = outbox, send, timing
        self.deadline = timing.monotonic() + BEGIN_SECONDS
        self.taken = 0
        self.notes: list[str] = []
        self.is_down = False

    def send_new(self, failures: Iterable[Failure]) -> None:
        held: Failure | None = None
        for failure in failures:
            if self._is_over() or len(self.outbox.refused) + (held is not None) >= MAX_REFUSED:
                return
            refused = ()
            if failure.message is not None:
                answer = self._try(failure.message, 1 if held else ATTEMPTS)
                if answer == "later":
                    # It, or the receiver? One that takes the next message does not take this one; a receiver that
                    # takes neither is down, and nothing is passed over.
                    if held is not None or self.outbox.not_before:
                        self.is_down = True
                        return
                    held = failure
                    continue
                refused = (*([held] if held else []), *([failure] if answer == "refused" else []))
                held = None
            if held is None:
                kept = (*self.outbox.refused, *(self._refused(one.run_id) for one in refused))
                self.outbox = replace(self.outbox, after=failure.storage_id, refused=kept)
        self.is_down = held is not None

    def send_refused(self, message_of: Callable[[str], Message | None]) -> None:
        for one in self.outbox.refused:
            if self.is_down or self._is_over():
                return
            if one.due > self.timing.now():
                continue
            message = message_of(one.run_id)
            answer = "taken" if message is None else self._try(message, 1)
            again = self._again(one) if answer != "taken" else None
            kept = tuple(again if other is one else other for other in self.outbox.refused)
            self.outbox = replace(self.outbox, refused=tuple(other for other in kept if other is not None))

    def _try(self, message: Message, attempts: int) -> str:
        try:
            deliver(self.send, message, self.deadline, self.timing, attempts)
        except TransientError as error:
            self.notes.append(str(error))
            wish = min(error.retry_after, LONGEST_WISH_SECONDS) if isinstance(error, NotTakenError) else 0.0
            if wish:
                self.outbox = replace(self.outbox, not_before=self.timing.now() + wish)
            return "later"
        except UserError as error:
            self.notes.append(str(error))
            return "refused"
        self.taken += 1
        return "taken"

    def _is_over(self) -> bool:
        return bool(self.outbox.not_before) or self.timing.monotonic() >= self.deadline

    def _refused(self, run_id: str) -> Refused:
        now = self.timing.now()
        return Refused(run_id, since=now, tries=1, due=now + FIRST_PAUSE_SECONDS)

    def _again(self, one: Refused) -> Refused | None:
        now = self.timing.now()
        if now - one.since >= GIVE_UP_SECONDS and one.tries + 1 >= FEWEST_TRIES:
            self.notes.append(f"The alert of run {one.run_id} is given up after {one.tries + 1} tries.")
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2**one.tries, LONGEST_PAUSE_SECONDS)
        return replace(one, tries=one.tries + 1, due=now + pause)

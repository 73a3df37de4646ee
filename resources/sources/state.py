"""How far a source was read, kept in the lake so that neither a crash nor a second pull loses or repeats a row.

One pull of a source at a time: on a disk it holds a lock; in S3 the state is only written over the one that was read.

A pull writes what it is about to put into the landing folder, then the file, then that it is there. If it dies in between,
the next one finds the file, or does not, and knows which.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from optiflow import spans
from optiflow.errors import TransientError, UserError
from resources.sources.description import Incremental
from resources.storage import LAKE, FileStorage, Storage
from resources.storage.locks import locked

Mark = str | int | float
PUT_SECONDS = 600
"""Where there are no locks, the process that was about to put a file in place is waited for so long."""


@dataclass(frozen=True)
class Reached:
    """How far was read.

    `mark` is the greatest value of the incremental field; `seen` are the rows that may come again: key -> (their value of the
    field, digest of their content). `always` are the fields that every row has had so far; None before the first row.
    """

    mark: Mark | None = None
    seen: dict[str, tuple[Mark | None, str]] = field(default_factory=dict)
    always: tuple[str, ...] | None = None


@dataclass(frozen=True)
class State:
    """What the lake keeps of a source: how far it was read, and the file that is about to be put in place, if any.

    `since` is when that was to begin, in seconds since 1970.
    """

    reached: Reached = Reached()
    pending: Reached | None = None
    file: str | None = None
    since: float | None = None

    def settled(self, storage: Storage, now: float) -> "State":
        """After a crash: the file that was about to be put in place counts if it is there.

        Raises:
            TransientError: it is not there, and another process may be about to put it there.
        """
        if self.pending is None or self.file is None:
            return self
        if storage.exists(self.file):
            return State(self.pending)
        if not isinstance(storage, FileStorage) and now - (self.since or 0) < PUT_SECONDS:
            raise TransientError(
                f"{storage.uri_for(self.file)} is being put there by another pull of this source, or one was cut off within the "
                f"last {PUT_SECONDS // 60} minutes. It is tried again later; nothing was taken."
            )
        return State(self.reached)


@contextlib.contextmanager
def one_at_a_time(storage: Storage, name: str) -> Iterator[None]:
    """Wait until nobody else on this machine pulls the source; nothing for a storage without locks."""
    if not isinstance(storage, FileStorage):
        yield
        return
    lock = locked(storage, _key(name).replace("state.json", "state.lock"))
    try:
        yield
    finally:
        os.close(lock)


def read_state(storage: Storage, name: str) -> tuple[State, str | None]:
    """The state of a source, that of one that was never read if there is none; and its etag for `write_state`."""
    found = storage.stat(_key(name))
    if found is None:
        return State(), None
    said = json.loads(storage.read_bytes(_key(name)))
    pending = _reached(said["pending"]) if said["pending"] else None
    return State(_reached(said["reached"]), pending, said["file"], said.get("since")), found.etag


def write_state(storage: Storage, name: str, state: State, etag: str | None) -> str:
    """Put the state in place of the one with this etag; returns the new one.

    Raises:
        TransientError: another process has written it meanwhile.
    """
    return storage.write_if_unchanged(_key(name), json.dumps(asdict(state), sort_keys=True).encode(), etag)


def forget_state(storage: Storage, name: str) -> None:
    """The next pull of the source begins from the start."""
    with one_at_a_time(storage, name):
        storage.remove(_key(name))


def order_of(mark: Mark, source: str) -> float:
    """A mark as a number, for comparison; of a time the seconds since 1970, UTC where it has no zone.

    Raises:
        UserError: it is neither a number nor a time.
    """
    if isinstance(mark, int | float) and not isinstance(mark, bool):
        return float(mark)
    try:
        return _time(str(mark)).timestamp()
    except ValueError:
        raise UserError(
            f"Source {source}: the incremental field is {mark!r}, neither a number nor a time as ISO 8601 has it."
        ) from None


def asked_from(reached: Reached, incremental: Incremental, source: str) -> Mark | None:
    """The value that the API is asked from: the mark, and for times the overlap before it; None for all there is."""
    if reached.mark is None:
        return incremental.start
    if not isinstance(reached.mark, str):
        return reached.mark
    order_of(reached.mark, source)
    earlier = _time(reached.mark, as_it_is=True) - timedelta(seconds=spans.seconds(incremental.overlap))
    if "T" not in reached.mark and " " not in reached.mark:
        return earlier.date().isoformat()
    return earlier.isoformat().replace("+00:00", "Z") if reached.mark.endswith("Z") else earlier.isoformat()


def may_come_again(reached: Reached, incremental: Incremental | None, source: str) -> Reached:
    """Without the rows that are too old to be sent again."""
    if incremental is None or reached.mark is None:
        return reached
    overlap = spans.seconds(incremental.overlap) if isinstance(reached.mark, str) else 0
    # A day more, for times that the API rounds to days.
    since = order_of(reached.mark, source) - overlap - (86_400 if isinstance(reached.mark, str) else 0)
    seen = {key: row for key, row in reached.seen.items() if row[0] is not None and order_of(row[0], source) >= since}
    return replace(reached, seen=seen)


def _time(text: str, as_it_is: bool = False) -> datetime:
    found = datetime.fromisoformat(text)
    if not isinstance(found, datetime):
        found = datetime.combine(date.fromisoformat(text), datetime.min.time())
    return found if as_it_is or found.tzinfo else found.replace(tzinfo=UTC)


def _reached(said: Any) -> Reached:
    seen = {key: (mark, content) for key, (mark, content) in said["seen"].items()}
    return Reached(said["mark"], seen, None if said["always"] is None else tuple(said["always"]))


def _key(name: str) -> str:
    return f"{LAKE}/sources/{name}/state.json"

"""How far a source was read, kept in the lake so that neither a crash nor a second pull loses or repeats a row.

A pull writes what it is about to put into the landing folder, then the file, then that it is there. If it dies in between,
the next one finds the file, or does not, and knows which.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from optiflow import spans
from optiflow.errors import UserError
from resources.sources.description import Incremental
from resources.storage import LAKE, Storage

Mark = str | int | float


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
    """What the lake keeps of a source: how far it was read, and the file that is about to be put in place, if any."""

    reached: Reached = Reached()
    pending: Reached | None = None
    file: str | None = None

    def settled(self, storage: Storage) -> "State":
        """After a crash: the file that was about to be put in place counts if it is there."""
        if self.pending is None or self.file is None:
            return self
        return State(self.pending if storage.exists(self.file) else self.reached)


def read_state(storage: Storage, name: str) -> State:
    """The state of a source; that of one that was never read if there is none."""
    try:
        said = json.loads(storage.read_bytes(_key(name)))
    except FileNotFoundError:
        return State()
    pending = _reached(said["pending"]) if said["pending"] else None
    return State(_reached(said["reached"]), pending, said["file"])


def write_state(storage: Storage, name: str, state: State) -> None:
    """Put the state in place."""
    storage.write_bytes(_key(name), json.dumps(asdict(state), sort_keys=True).encode())


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

"""Which landed files are new: the pure part of `uploads_sensor`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from resources.landing import LandedFile

CURSOR_VERSION = 1


@dataclass(frozen=True)
class Position:
    """How far a landing folder has been read: up to and including `at_ns`, of which instant only `seen` files.

    The instant's keys are kept because clocks are coarse: S3 knows seconds, a kernel some milliseconds. A file that
    arrives in the same instant as the last one read would be lost by the time alone.
    """

    at_ns: int = 0
    seen: frozenset[str] = frozenset()

    def has_read(self, file: LandedFile) -> bool:
        """Whether the file, as it is now, was read already."""
        return file.changed_ns < self.at_ns or (file.changed_ns == self.at_ns and file.table.key in self.seen)


@dataclass(frozen=True)
class Decision:
    """Files to take now, files to leave until they are complete, and the position afterwards."""

    take: list[LandedFile]
    position: Position
    waiting: list[LandedFile] = field(default_factory=list)
    more: int = 0
    """New files left for the next tick, to keep the work of one tick bounded."""


def choose_uploads(
    files: Iterable[LandedFile], position: Position, *, now_ns: int, settle_ns: int, limit: int
) -> Decision:
    """Take the oldest new files, at most `limit`.

    A file that changed less than `settle_ns` ago may still be growing and waits, as does everything after it, so that
    the position never passes a file that was not taken. An empty file is passed over: its first byte makes it new.
    """
    new = sorted((f for f in files if not position.has_read(f)), key=lambda f: (f.changed_ns, f.table.key))
    settled = [f for f in new if now_ns - f.changed_ns >= settle_ns]
    passed = settled[:limit]
    if passed:
        at_ns = passed[-1].changed_ns
        kept = position.seen if at_ns == position.at_ns else frozenset()
        position = Position(at_ns, kept | {f.table.key for f in passed if f.changed_ns == at_ns})
    return Decision(
        take=[f for f in passed if f.table.size > 0],
        position=position,
        waiting=new[len(settled) :] + [f for f in passed if f.table.size == 0],
        more=len(settled) - len(passed),
    )


def read_cursor(text: str | None) -> dict[str, Position]:
    """The position per pipeline. A cursor that is not ours begins anew: run keys keep that from doubling runs."""
    try:
        data = json.loads(text) if text else None
    except json.JSONDecodeError:
        return {}
    if not isinstance(data, dict) or data.get("version") != CURSOR_VERSION:
        return {}
    return {name: Position(p["at_ns"], frozenset(p["seen"])) for name, p in data["positions"].items()}


def write_cursor(positions: Mapping[str, Position]) -> str:
    """The cursor's text; equal positions give equal text."""
    plain = {name: {"at_ns": p.at_ns, "seen": sorted(p.seen)} for name, p in sorted(positions.items())}
    return json.dumps({"version": CURSOR_VERSION, "positions": plain})

"""Which landed files are new: the pure part of `uploads_sensor`."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.landing import LandedFile

CURSOR_VERSION = 2
MOST_REMEMBERED = 5_000
"""So many files of each overlap are remembered one by one at most, to keep the cursor small."""

SENT_IN_PARTS = re.compile(r"[0-9a-f]{32}-\d+")
"""The ETag of an object that was sent to S3 in parts."""


@dataclass(frozen=True)
class Overlap:
    """How far in the past of the position a file may still appear, in nanoseconds.

    S3 gives an object that was sent in parts the time of its first request, which may be days before it appears.
    """

    whole_ns: int = 0
    in_parts_ns: int = 0


@dataclass(frozen=True)
class Position:
    """How far a landing folder has been read: all of it before `since_ns`; from there to `at_ns` only `seen` files.

    The marks are kept because clocks are coarse (S3 knows seconds, a kernel some milliseconds), so that a file may
    arrive in the same instant as the last one read, and because S3 may show a file later than its time says. Of files
    that were sent in parts all are read before `in_parts_since_ns`, which is the earlier one.
    """

    at_ns: int = 0
    seen: frozenset[str] = frozenset()
    since_ns: int = 0
    in_parts_since_ns: int = 0

    def has_read(self, file: LandedFile) -> bool:
        """Whether the file, as it is now, was read already."""
        if file.changed_ns < (self.in_parts_since_ns if is_in_parts(file) else self.since_ns):
            return True
        return file.changed_ns <= self.at_ns and mark(file) in self.seen


def is_in_parts(file: LandedFile) -> bool:
    """Whether the table was sent in parts, which its ETag shows."""
    return SENT_IN_PARTS.fullmatch(file.table.etag) is not None


def mark(file: LandedFile) -> str:
    """Tells one state of one file from every other."""
    # A name on disk need not be text.
    return hashlib.sha256(f"{file.table.key}@{file.etag}".encode(errors="surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True)
class Decision:
    """Files to take now, files to leave until they are complete, and the position afterwards."""

    take: list[LandedFile]
    position: Position
    waiting: list[LandedFile] = field(default_factory=list)
    more: int = 0
    """New files left for the next tick, to keep the work of one tick bounded."""


def choose_uploads(
    files: Iterable[LandedFile],
    position: Position,
    *,
    now_ns: int,
    settle_ns: int,
    limit: int,
    overlap: Overlap = Overlap(),
) -> Decision:
    """Take the oldest new files, at most `limit`.

    A file that changed less than `settle_ns` ago may still be growing and waits, as does everything after it, so that
    the position never passes a file that was not taken. An empty file is passed over: its first byte makes it new.
    Files that appear in the past of the position are still found if they are within the overlap.
    """
    listing = list(files)
    new = sorted((f for f in listing if not position.has_read(f)), key=lambda f: (f.changed_ns, f.table.key))
    settled = [f for f in new if now_ns - f.changed_ns >= settle_ns]
    passed = settled[:limit]
    if passed:
        position = _moved(position, listing, passed, overlap)
    return Decision(
        take=[f for f in passed if f.table.size > 0],
        position=position,
        waiting=new[len(settled) :] + [f for f in passed if f.table.size == 0],
        more=len(settled) - len(passed),
    )


def _moved(position: Position, listing: list[LandedFile], passed: list[LandedFile], overlap: Overlap) -> Position:
    at_ns = max(position.at_ns, passed[-1].changed_ns)
    taken = {id(file) for file in passed}
    known = [f for f in listing if f.changed_ns <= at_ns and (id(f) in taken or position.has_read(f))]
    since_ns, whole = _remembered([f for f in known if not is_in_parts(f)], at_ns - overlap.whole_ns)
    in_parts_since_ns, in_parts = _remembered([f for f in known if is_in_parts(f)], at_ns - overlap.in_parts_ns)
    return Position(at_ns, whole | in_parts, since_ns, in_parts_since_ns)


def _remembered(known: list[LandedFile], since_ns: int) -> tuple[int, frozenset[str]]:
    """Since when files are remembered one by one, and their marks."""
    recent = [f for f in known if f.changed_ns >= since_ns]
    if len(recent) > MOST_REMEMBERED:
        since_ns = sorted(f.changed_ns for f in recent)[-MOST_REMEMBERED]
    return max(since_ns, 0), frozenset(mark(f) for f in recent if f.changed_ns >= since_ns)


def read_cursor(text: str | None) -> dict[str, Position]:
    """The position per pipeline. A cursor that is not ours begins anew: run keys keep that from doubling runs."""
    data = load_cursor(text)
    if data.get("version") != CURSOR_VERSION:
        return {}
    return {
        name: Position(p["at_ns"], frozenset(p["seen"]), p["since_ns"], p["in_parts_since_ns"])
        for name, p in data["positions"].items()
    }


def write_cursor(positions: Mapping[str, Position], before: str | None = None) -> str:
    """The cursor's text; equal positions give equal text. What queue mode has written into `before` stays."""
    plain = {
        name: {
            "at_ns": p.at_ns,
            "since_ns": p.since_ns,
            "in_parts_since_ns": p.in_parts_since_ns,
            "seen": sorted(p.seen),
        }
        for name, p in sorted(positions.items())
    }
    kept = {name: value for name, value in load_cursor(before).items() if name == "queue"}
    return json.dumps({"version": CURSOR_VERSION, "positions": plain, **kept})


def load_cursor(text: str | None) -> dict[str, Any]:
    """All that the cursor holds, in listing and in queue mode; nothing if it is not ours."""
    try:
        data = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}

"""Which landed files are new: the pure part of `uploads_sensor`."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from resources.landing import LandedFile
from resources.storage import StoredObject

CURSOR_VERSION = 2
RUNS_AHEAD = 20
"""So many runs of a pipeline's uploads wait in the queue at most; what else has landed waits in its folder.

To make a run takes Dagster's daemon a good part of a second on a laptop: two hundred at once would hold up the
launching of runs and the watch on jobs for minutes, and with them the first report.
"""
LOOKED_UP_AT_ONCE = 500
MOST_LOOKED_UP = 5_000
"""In one tick: that many runs are read within some seconds."""

MOST_REMEMBERED = 5_000
"""So many files of each overlap are remembered one by one at most, to keep what is remembered small."""

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
class FolderTaken:
    """A folder as it was taken last: marks of its files and of its options, and before when it is not taken again."""

    files: str
    options: str
    due_ns: int


@dataclass(frozen=True)
class Position:
    """How far a landing folder has been read: all of it before `since_ns`; from there to `at_ns` only `seen` files.

    The marks are kept because clocks are coarse (S3 knows seconds, a kernel some milliseconds), so that a file may
    arrive in the same instant as the last one read, and because S3 may show a file later than its time says. Of files
    that were sent in parts all are read before `in_parts_since_ns`, which is the earlier one.

    `options` has the tables that were read with options, and which those were: their removal leaves no time behind.
    `folders` has each folder of files as it was taken last: what is removed from one leaves no time behind either, and a
    file of any age may be moved in.
    """

    at_ns: int = 0
    seen: frozenset[str] = frozenset()
    since_ns: int = 0
    in_parts_since_ns: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, FolderTaken] = field(default_factory=dict)

    def removed_options(self, file: LandedFile) -> str | None:
        """The mark of the options that the table was read with and has no longer."""
        return self.options.get(digest(file.table.key)) if file.options is None else None

    def has_read(self, file: LandedFile) -> bool:
        """Whether the file, as it is now, was read already."""
        if file.is_folder:
            taken = self.folders.get(digest(file.table.key))
            return taken is not None and (taken.files, taken.options) == (digest(file.table.etag), _state(file.options))
        if self.removed_options(file) is not None:
            return False
        if file.changed_ns < (self.in_parts_since_ns if is_in_parts(file) else self.since_ns):
            return True
        return file.changed_ns <= self.at_ns and mark(file) in self.seen

    def gathers(self, file: LandedFile, now_ns: int) -> bool:
        """Whether a folder that was taken not long ago only collects what is dropped there now.

        New options do not wait: somebody has just written them.
        """
        taken = self.folders.get(digest(file.table.key)) if file.is_folder else None
        return taken is not None and now_ns < taken.due_ns and taken.options == _state(file.options)


def is_in_parts(file: LandedFile) -> bool:
    """Whether the table was sent in parts, which its ETag shows."""
    return SENT_IN_PARTS.fullmatch(file.table.etag) is not None


def digest(text: str) -> str:
    """12 hexadecimal digits that stand for a text."""
    # A name on disk need not be text.
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def mark(file: LandedFile) -> str:
    """Tells one state of one file from every other."""
    return digest(f"{file.table.key}@{file.etag}")


@dataclass(frozen=True)
class Upload:
    """A landed file to take. `removed_options` is the mark of the options that it had when it was last read."""

    file: LandedFile
    removed_options: str | None = None

    def run_key(self, pipeline: str) -> str:
        """The same for the same state of the same file, and another whenever something was written or removed."""
        # With the time of the change, so that putting back an earlier version of a file starts a run again.
        written = f"{pipeline}/{self.file.name}@{self.file.etag}@{self.file.changed_ns}"
        return f"{written}@without-{self.removed_options}" if self.removed_options else written


@dataclass(frozen=True)
class Decision:
    """Uploads to take now, files to leave until they are complete, and the position afterwards."""

    take: list[Upload]
    position: Position
    waiting: list[LandedFile] = field(default_factory=list)
    gathering: list[LandedFile] = field(default_factory=list)
    """Folders in which something is new, that are not due yet."""
    more: int = 0
    """New files left for the next tick, to keep the work of one tick bounded."""
    rewound_from_ns: int | None = None
    """The position that was given up because the clock says that it has not come yet."""


HaveRuns = Callable[[Sequence[Upload]], Collection[Upload]]
"""Which of these uploads Dagster has a run of."""


def choose_uploads(
    files: Iterable[LandedFile],
    position: Position,
    *,
    now_ns: int,
    settle_ns: int,
    limit: int,
    overlap: Overlap = Overlap(),
    unreadable: Collection[str] = (),
    have_runs: HaveRuns = lambda _: (),
    pause_ns: Callable[[LandedFile], int] = lambda _: 0,
) -> Decision:
    """Take the oldest new files, at most `limit`.

    Args:
        files: What lies in the landing folder.
        position: How far it was read before.
        now_ns: The time, in nanoseconds since 1970.
        settle_ns: How long a file must have been left alone.
        limit: Files to take at most, not counting those that make no run: empty ones, and those that have theirs.
        overlap: How far in the past of the position a file may still appear.
        unreadable: Keys of tables that are there and cannot be taken now.
        have_runs: Asked only if there are more new files than may be taken: after the clock was ahead, or when the
            marks are lost, thousands that have their runs would else hold up what has just landed.
        pause_ns: How long a folder that is taken now only collects afterwards.

    A file that changed less than `settle_ns` ago may still be growing and waits, as does everything after it, so that
    the position never passes a file that was not taken. An empty file is passed over: its first byte makes it new.
    Files that appear in the past of the position are still found if they are within the overlap.

    A position that lies in the future was reached while the clock was ahead. Whatever lands until the clock gets there
    would be taken for read, so all is looked through again; the run keys of what was read are known.
    """
    listing = list(files)
    rewound_from_ns = position.at_ns if position.at_ns > now_ns else None
    if rewound_from_ns is not None:
        folders = {name: replace(taken, due_ns=0) for name, taken in position.folders.items()}
        position = Position(options=position.options, folders=folders)
    unread = [f for f in listing if not position.has_read(f)]
    gathering = [f for f in unread if position.gathers(f, now_ns)]
    new = sorted((f for f in unread if f not in gathering), key=lambda f: (f.changed_ns, f.table.key))
    settled = [f for f in new if now_ns - f.changed_ns >= settle_ns]
    uploads = [Upload(f, position.removed_options(f)) for f in settled]
    count, take = _up_to(limit, uploads, have_runs)
    passed = settled[:count]
    left = {f.table.key for f in unread} - {f.table.key for f in passed}
    options = _options(position, listing, left.union(unreadable))
    folders = _folders(position, passed, lambda file: now_ns + pause_ns(file))
    if files := [f for f in passed if not f.is_folder]:
        position = _moved(position, [f for f in listing if not f.is_folder], files, overlap)
    return Decision(
        take=take,
        position=replace(position, options=options, folders=folders),
        gathering=gathering,
        waiting=[f for f in new if now_ns - f.changed_ns < settle_ns] + [f for f in passed if f.table.size == 0],
        more=len(settled) - len(passed),
        rewound_from_ns=rewound_from_ns,
    )


def _up_to(limit: int, uploads: list[Upload], have_runs: HaveRuns) -> tuple[int, list[Upload]]:
    """How many are passed, the oldest first, and those of them that are taken, at most `limit`."""
    sized = [upload for upload in uploads if upload.file.table.size > 0]
    if len(sized) <= limit:
        return len(uploads), sized
    take: list[Upload] = []
    for start in range(0, min(len(uploads), MOST_LOOKED_UP), LOOKED_UP_AT_ONCE):
        asked = uploads[start : start + LOOKED_UP_AT_ONCE]
        done = have_runs(asked)
        for number, upload in enumerate(asked, start):
            if upload.file.table.size == 0 or upload in done:
                continue
            if len(take) == limit:
                return number, take
            take.append(upload)
    return min(len(uploads), MOST_LOOKED_UP), take


def _options(position: Position, listing: list[LandedFile], left: set[str]) -> dict[str, str]:
    """The options of each table as it was last read; those in `left` still are to be read as they are now."""
    before = {name: position.options[name] for name in map(digest, left) if name in position.options}
    read = [file for file in listing if file.table.key not in left]
    return before | {digest(f.table.key): _state(f.options) for f in read if f.options is not None}


def _folders(
    position: Position, passed: list[LandedFile], due_ns: Callable[[LandedFile], int]
) -> dict[str, FolderTaken]:
    """Each folder as it was taken last, those that cannot be read just now included."""
    taken = dict(position.folders)
    for file in passed:
        if file.is_folder:
            state = FolderTaken(digest(file.table.etag), _state(file.options), due_ns(file))
            taken[digest(file.table.key)] = state
    return taken


def _state(options: StoredObject | None) -> str:
    if options is None:
        return ""
    # With the time: S3's ETag is the same for the same bytes, and these may be put and removed again and again.
    return digest(f"{options.etag}@{options.modified_ns}")


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
        name: Position(
            p["at_ns"],
            frozenset(p["seen"]),
            p["since_ns"],
            p["in_parts_since_ns"],
            p.get("options", {}),
            {folder: FolderTaken(*taken) for folder, taken in p.get("folders", {}).items()},
        )
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
            "options": dict(sorted(p.options.items())),
            **({"folders": {n: list(vars(t).values()) for n, t in sorted(p.folders.items())}} if p.folders else {}),
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

"""Where `uploads_sensor` keeps what it remembers: in the lake, beside a short cursor that names it.

Dagster stores the cursor anew with every tick, and keeps ticks for a week: ten thousand marks would be 160 kB every five
seconds. So the memory lies in one of two slots, and the cursor has that slot's name and sha256. A new memory goes into
the other slot before the tick returns the cursor that names it. If Dagster dies in between, the cursor that it has still
names the slot that was not touched.

What belongs here: the slots. What does not: what is remembered (`uploads_decision`, `upload_events_decision`).
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from optiflow.errors import UserError
from optiflow_dagster.sensors.uploads_decision import Position, load_cursor, read_cursor, write_cursor
from resources.storage import LAKE, Storage

CURSOR_VERSION = 3
"""Of the cursor that names a slot. Those of version 2 hold the memory themselves."""

FOLDER = f"{LAKE}/uploads-sensor"
SLOTS = ("a", "b")


@dataclass(frozen=True)
class Memory:
    """What the sensor remembers, as text, and the cursor that names its slot; none if it lies in no slot yet."""

    text: str | None
    cursor: str | None = None
    fault: str | None = None
    """Why marks are missing: run keys then keep uploads from being run twice."""


def recall(storage: Storage, cursor: str | None) -> Memory:
    """What the cursor stands for.

    A slot that is gone or holds something else (a restored backup, another storage) leaves the times that the cursor
    itself has, and no marks.

    Raises:
        UserError, TransientError: the storage cannot be read.
    """
    named = _named(cursor)
    if named is None:
        return Memory(cursor)
    key = _key(named["id"], named["slot"])
    try:
        data = storage.read_bytes(key)
    except OSError as error:
        return _forgotten(named["reached"], f"{storage.uri_for(key)} cannot be read ({error.strerror or 'not there'})")
    if _sha256(data) != named["sha256"]:
        return _forgotten(named["reached"], f"{storage.uri_for(key)} is not what the sensor has written last")
    return Memory(data.decode(), cursor)


def keep(storage: Storage, memory: Memory, text: str, before: str | None) -> str:
    """The cursor that stands for a new memory, which is put into the free slot unless it is the old one.

    Args:
        storage: Where the slots lie.
        memory: What `recall` gave for `before`.
        text: The new memory.
        before: The cursor that Dagster has now.

    Raises:
        UserError, TransientError: the slot cannot be written; the cursor has to stay as it is.
    """
    if memory.cursor is not None and memory.text == text:
        return memory.cursor
    named = _named(before) or {}
    # An id of its own, since two installations may share one storage.
    owner, slot = named.get("id") or uuid.uuid4().hex[:12], SLOTS[named.get("slot") == SLOTS[0]]
    data = text.encode()
    try:
        storage.write_bytes(_key(owner, slot), data)
    except OSError as error:
        raise UserError(f"Cannot write {storage.uri_for(_key(owner, slot))}: {error.strerror}.") from error
    reached = {n: [p.at_ns, p.since_ns, p.in_parts_since_ns] for n, p in read_cursor(text).items() if p.at_ns}
    return json.dumps(
        {"version": CURSOR_VERSION, "id": owner, "slot": slot, "sha256": _sha256(data), "reached": reached}
    )


def _named(cursor: str | None) -> dict[str, Any] | None:
    """What a cursor of ours says; None for an older one and for one that is not ours."""
    named = load_cursor(cursor)
    ours = {"id", "slot", "sha256", "reached"} <= named.keys() and named.get("version") == CURSOR_VERSION
    return named if ours else None


def _forgotten(reached: dict[str, list[int]], why: str) -> Memory:
    text = write_cursor({n: Position(at, frozenset(), since, parts) for n, (at, since, parts) in reached.items()})
    return Memory(text, None, f"{why}: what landed last is looked through again, and run keys tell what was run.")


def _key(owner: str, slot: str) -> str:
    return f"{FOLDER}/{owner}/{slot}.json"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

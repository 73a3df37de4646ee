"""What `uploads_sensor` remembers: whatever dies, is lost, goes back in time or vanishes, no upload is lost or doubled."""

import json
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow_dagster.sensors.uploads_cursor import keep, recall
from optiflow_dagster.sensors.uploads_decision import (
    Overlap,
    Position,
    choose_uploads,
    read_cursor,
    write_cursor,
)
from resources.landing import LandedFile
from resources.storage import FileStorage, StoredObject

SETTLE, LONG = 2, 10_000
WRITES, TICKS = ("table", "options"), ("", "tick")
CRASHES = ("crash before requests", "crash before cursor")


def steps(events: tuple[str, ...], ticks: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str, int, str]]]:
    """Events with what each is about, the time that passes after it, and the tick that follows."""
    step = st.tuples(st.sampled_from(events), st.sampled_from("ab"), st.integers(0, 6), st.sampled_from(ticks))
    return st.lists(step, min_size=3, max_size=25)


@dataclass
class World:
    """A landing folder, a clock, the sensor's memory on a real disk, and Dagster, which runs each run key once."""

    storage: FileStorage
    limit: int = 2
    overlap: Overlap = field(default_factory=Overlap)
    now: int = 1000
    writes: int = 0
    cursor: str | None = None
    tables: dict[str, StoredObject] = field(default_factory=dict)
    options: dict[str, StoredObject] = field(default_factory=dict)
    ran: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By run key, in the order of the runs: the table and what was read, its bytes and its options."""

    def do(self, event: str, name: str = "a") -> None:
        if event == "set clock back":
            self.now -= 30
            self.tick()  # the sensor ticks every five seconds, so it sees the clock before that is ahead again
        elif event == "lose slots":
            for item in self.storage.root.rglob("*.json"):
                item.unlink()
        else:
            self._change(event, name)

    def _change(self, what: str, name: str) -> None:
        if what == "remove options":
            self.options.pop(name, None)
            return
        self.writes += 1
        made = StoredObject(name, 1, self.now, f"e{self.writes}")
        (self.tables if what == "table" else self.options)[name] = made

    def tick(self, how: str = "tick") -> int:
        """One tick; how many uploads it has taken."""
        files = [LandedFile(table, self.options.get(name)) for name, table in self.tables.items()]
        memory = recall(self.storage, self.cursor)
        position = read_cursor(memory.text).get("orders", Position())
        found = choose_uploads(
            files, position, now_ns=self.now, settle_ns=SETTLE, limit=self.limit, overlap=self.overlap
        )
        cursor = keep(self.storage, memory, write_cursor({"orders": found.position}, memory.text), self.cursor)
        if how == "crash before requests":
            return 0
        for upload in found.take:
            self.ran.setdefault(upload.run_key("orders"), (upload.file.name, upload.file.etag))
        if how != "crash before cursor":
            self.cursor = cursor
        return len(found.take)

    def settled(self) -> None:
        """Let time pass and the sensor tick until nothing is left to do."""
        self.now += LONG
        for _ in range(self.writes + 10):
            self.tick()

    def assert_nothing_lost(self) -> None:
        """The newest run of each table has read what is there."""
        there = {name: LandedFile(table, self.options.get(name)).etag for name, table in self.tables.items()}
        assert dict(self.ran.values()) == there

    def assert_nothing_doubled(self) -> None:
        """No run has read what the one before it of the same table has."""
        for table in self.tables:
            read = [what for name, what in self.ran.values() if name == table]
            assert all(one != other for one, other in pairwise(read))


def played(story: list[tuple[str, str, int, str]], overlap: int = 0) -> World:
    with tempfile.TemporaryDirectory() as folder:
        world = World(FileStorage(uri=Path(folder).as_uri()), overlap=Overlap(overlap, overlap))
        for event, name, passes, tick in story:
            world.do(event, name)
            world.now += passes
            if tick:
                world.tick(tick)
        world.settled()
        return world


@settings(max_examples=200, deadline=None)
@given(steps(WRITES, (*TICKS, *CRASHES)), st.sampled_from([0, 20]))
def test_a_crash_at_any_point_of_a_tick_loses_and_doubles_no_upload(story, overlap: int) -> None:
    world = played(story, overlap)
    world.assert_nothing_lost()
    world.assert_nothing_doubled()


@settings(max_examples=200, deadline=None)
@given(steps((*WRITES, "remove options"), (*TICKS, CRASHES[0])), st.sampled_from([0, 20]))
def test_the_removal_of_options_is_never_lost_and_never_doubled(story, overlap: int) -> None:
    """Dagster records a tick's requests and its cursor in one write, so no request is known without the cursor."""
    world = played(story, overlap)
    world.assert_nothing_lost()
    world.assert_nothing_doubled()


@settings(max_examples=100, deadline=None)
@given(steps((*WRITES, "lose slots"), (*TICKS, *CRASHES)), st.sampled_from([0, 20]))
def test_lost_slots_lose_and_double_no_upload(story, overlap: int) -> None:
    world = played(story, overlap)
    world.assert_nothing_lost()
    world.assert_nothing_doubled()


@settings(max_examples=200, deadline=None)
@given(steps((*WRITES, "set clock back"), TICKS), st.sampled_from([0, 20]))
def test_a_clock_that_was_ahead_hides_no_upload_and_doubles_none(story, overlap: int) -> None:
    world = played(story, overlap)
    world.assert_nothing_lost()
    world.assert_nothing_doubled()


def test_options_that_are_put_and_removed_again_and_again_are_a_run_each_time(tmp_path: Path) -> None:
    world = World(FileStorage(uri=tmp_path.as_uri()))
    world.do("table", "a")
    for expected in range(1, 7):
        world.now += 10
        assert (world.tick(), world.tick(), len(world.ran)) == (1, 0, expected)
        world.do("remove options" if "a" in world.options else "options", "a")


def test_the_removal_of_options_is_seen_after_they_could_not_be_read(tmp_path: Path) -> None:
    options = StoredObject("a.options.yaml", 1, 7, "o")
    table = StoredObject("a", 1, 5, "t")
    first = choose_uploads([LandedFile(table, options)], Position(), now_ns=9, settle_ns=0, limit=9)
    hidden = choose_uploads([], first.position, now_ns=9, settle_ns=0, limit=9, unreadable=["a"])
    (upload,) = choose_uploads([LandedFile(table)], hidden.position, now_ns=9, settle_ns=0, limit=9).take
    assert upload.run_key("orders").startswith("orders/a@t@5@without-")
    gone = choose_uploads([], first.position, now_ns=9, settle_ns=0, limit=9)
    assert gone.position.options == {}


def marks(count: int) -> Position:
    return Position(5, frozenset(f"{number:012x}" for number in range(count)), 3, 2)


def test_ten_thousand_marks_leave_the_cursor_short_and_come_back(tmp_path: Path) -> None:
    storage = FileStorage(uri=tmp_path.as_uri())
    text = write_cursor({name: marks(10_000) for name in ("orders", "store_sales", "item_demand")})
    cursor = keep(storage, recall(storage, None), text, None)
    assert len(text) > 450_000
    assert len(cursor) < 500
    assert recall(storage, cursor).text == text


def test_the_slots_take_turns_and_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    storage = FileStorage(uri=tmp_path.as_uri())
    cursors: list[str] = []
    for count in (1, 2, 3):
        before = cursors[-1] if cursors else None
        cursors.append(keep(storage, recall(storage, before), write_cursor({"orders": marks(count)}), before))
    slots = {path: path.stat().st_ino for path in tmp_path.rglob("*.json")}
    assert [json.loads(cursor)["slot"] for cursor in cursors] == ["a", "b", "a"]
    assert len(slots) == 2
    memory = recall(storage, cursors[-1])
    assert memory.text is not None
    assert keep(storage, memory, memory.text, cursors[-1]) == cursors[-1]
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*.json")} == slots


def test_a_cursor_of_before_the_slots_is_carried_over(tmp_path: Path) -> None:
    storage = FileStorage(uri=tmp_path.as_uri())
    plain = {"at_ns": 9, "since_ns": 3, "in_parts_since_ns": 2, "seen": ["m"]}
    old = json.dumps({"version": 2, "positions": {"orders": plain}, "queue": {"receipts": ["r"], "known": ["k"]}})
    memory = recall(storage, old)
    assert read_cursor(memory.text) == {"orders": Position(9, frozenset({"m"}), 3, 2)}
    cursor = keep(storage, memory, write_cursor(read_cursor(memory.text), memory.text), old)
    again = recall(storage, cursor)
    assert read_cursor(again.text) == read_cursor(old)
    assert json.loads(again.text or "")["queue"] == {"receipts": ["r"], "known": ["k"]}


@pytest.mark.parametrize("harm", ["gone", "truncated", "a folder"])
def test_a_slot_that_is_not_what_was_written_leaves_the_times_and_no_marks(tmp_path: Path, harm: str) -> None:
    storage = FileStorage(uri=tmp_path.as_uri())
    cursor = keep(storage, recall(storage, None), write_cursor({"orders": marks(9)}), None)
    (slot,) = tmp_path.rglob("*.json")
    if harm == "truncated":
        slot.write_bytes(slot.read_bytes()[:-1])
    else:
        slot.unlink()
    if harm == "a folder":
        slot.mkdir()
    memory = recall(storage, cursor)
    assert read_cursor(memory.text) == {"orders": Position(5, frozenset(), 3, 2)}
    assert slot.as_uri() in str(memory.fault)
    assert recall(storage, keep(storage, memory, str(memory.text), cursor)).fault is None


def test_a_slot_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    storage = FileStorage(uri=tmp_path.as_uri())
    (tmp_path / "lake").touch()
    with pytest.raises(UserError, match=r"Cannot write .*/lake/uploads-sensor/"):
        keep(storage, recall(storage, None), write_cursor({}), None)

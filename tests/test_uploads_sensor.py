"""`uploads_sensor`: every complete version of every file is taken once, whatever the order and the instant."""

import errno
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import SkipReason
from hypothesis import given, settings
from hypothesis import strategies as st
from queued_runs import asked_run, status_of, stored_run

from optiflow.pipelines.orders.pipeline import ORDERS
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.jobs import pipeline_jobs
from optiflow_dagster.sensors import uploads
from optiflow_dagster.sensors.uploads import S3_OVERLAP
from optiflow_dagster.sensors.uploads_decision import (
    LOOKED_UP_AT_ONCE,
    MOST_LOOKED_UP,
    MOST_REMEMBERED,
    Overlap,
    Position,
    Upload,
    choose_uploads,
    mark,
    read_cursor,
    write_cursor,
)
from resources.landing import LandedFile, find_upload
from resources.settings import load_settings
from resources.storage import FileStorage, Storage, StoredObject, Unreadable

SETTLE = 3
names = st.sampled_from(["a", "b", "c", "d"])
events = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, st.integers(0, 2)),
        st.tuples(st.just("options"), names, st.just(1)),
        st.tuples(st.just("pass"), st.just(""), st.integers(1, 4)),
        st.tuples(st.just("tick"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


class Landing:
    """A landing folder under a coarse clock: changes have the time of the last whole grain."""

    def __init__(self, grain: int) -> None:
        self.now, self.grain, self.writes = 100, grain, 0
        self.tables: dict[str, StoredObject] = {}
        self.options: dict[str, StoredObject] = {}

    def change(self, kind: str, name: str, size: int) -> None:
        self.writes += 1
        made = StoredObject(name, size, self.now - self.now % self.grain, str(self.writes))
        (self.tables if kind == "write" else self.options)[name] = made

    def files(self) -> list[LandedFile]:
        return [LandedFile(table, self.options.get(name)) for name, table in self.tables.items()]


@settings(max_examples=400, deadline=None)
@given(events, st.integers(1, SETTLE), st.integers(1, 3))
def test_each_complete_version_is_taken_once_and_the_last_is_never_lost(steps, grain, limit) -> None:
    landing, position = Landing(grain), Position()
    taken: list[tuple[str, str]] = []

    def tick() -> int:
        nonlocal position
        found = choose_uploads(landing.files(), position, now_ns=landing.now, settle_ns=SETTLE, limit=limit)
        position = read_cursor(write_cursor({"orders": found.position}))["orders"]
        for file in (upload.file for upload in found.take):
            assert landing.now - file.changed_ns >= SETTLE
            assert file.table.size > 0
            taken.append((file.name, file.etag))
        assert len(found.take) <= limit
        return len(found.take) + found.more + len([file for file in found.waiting if file.table.size])

    for kind, name, number in steps:
        if kind == "pass":
            landing.now += number
        elif kind == "tick":
            tick()
        else:
            landing.change(kind, name, number)
    landing.now += SETTLE + grain
    ticks = 0
    while tick():
        ticks += 1
        assert ticks <= landing.writes
    assert len(taken) == len(set(taken))
    assert {(f.name, f.etag) for f in landing.files() if f.table.size > 0} <= set(taken)


def landed(name: str, changed_ns: int, size: int = 1) -> LandedFile:
    return LandedFile(StoredObject(name, size, changed_ns, name))


def test_the_oldest_are_taken_first_and_the_rest_of_an_instant_in_the_next_tick() -> None:
    files = [landed(name, at) for name, at in (("c", 5), ("b", 5), ("a", 5), ("z", 1))]
    first = choose_uploads(files, Position(), now_ns=9, settle_ns=0, limit=3)
    assert ([u.file.name for u in first.take], first.more) == (["z", "a", "b"], 1)
    marks = {file.name: mark(file) for file in files}
    assert first.position == Position(5, frozenset({marks["a"], marks["b"]}), 5, 5)
    second = choose_uploads(files, first.position, now_ns=9, settle_ns=0, limit=3)
    assert [u.file.name for u in second.take] == ["c"]
    assert second.position == Position(5, frozenset({marks["a"], marks["b"], marks["c"]}), 5, 5)


def test_files_of_one_instant_all_stay_known_however_many_they_are() -> None:
    many = 2 * MOST_REMEMBERED
    older, old = [landed(f"older-{n}", 4) for n in range(9)], [landed(f"old-{n}", 5) for n in range(many)]
    first = choose_uploads([*older, *old], Position(), now_ns=9, settle_ns=0, limit=2 * many, overlap=Overlap(5, 5))
    position = read_cursor(write_cursor({"orders": first.position}))["orders"]
    assert (len(position.seen), position.since_ns) == (many, 5)
    files = [*older, *old, landed("late", 5)]
    second = choose_uploads(files, position, now_ns=9, settle_ns=0, limit=many, overlap=Overlap(5, 5))
    assert [u.file.name for u in second.take] == ["late"]
    third = choose_uploads(files, second.position, now_ns=9, settle_ns=0, limit=many, overlap=Overlap(5, 5))
    assert (third.take, len(third.position.seen)) == ([], many + 1)


WHOLE, IN_PARTS = 3, 40


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, WHOLE), st.booleans(), st.integers(0, IN_PARTS)), max_size=25
    ),
    st.integers(1, 4),
)
def test_files_that_appear_later_than_their_time_says_are_each_taken_once(files, limit) -> None:
    """As S3 shows them: some whole and a little late, some in parts and long after the time they carry."""
    appears: list[tuple[int, LandedFile]] = []
    for number, (changed, late, in_parts, much_later) in enumerate(files):
        etag = f"{number:032x}-2" if in_parts else f"{number:032x}"
        file = LandedFile(StoredObject(f"f{number}", 1, 100 + changed, etag))
        appears.append((100 + changed + (much_later if in_parts else late), file))
    position, taken, overlap = Position(), [], Overlap(WHOLE, IN_PARTS)
    for now in range(100, 100 + 60 + IN_PARTS + len(files) + 1):
        there = [file for at, file in appears if at <= now]
        while True:
            found = choose_uploads(there, position, now_ns=now, settle_ns=0, limit=limit, overlap=overlap)
            position = read_cursor(write_cursor({"orders": found.position}))["orders"]
            taken += [u.file.name for u in found.take]
            if not found.more:
                break
    assert sorted(taken) == sorted(file.name for _, file in appears)


def test_a_large_upload_that_took_hours_is_taken_among_thousands_of_newer_files() -> None:
    second = 10**9
    newer = [landed(f"newer-{n}", (100 + n // 20) * second) for n in range(MOST_REMEMBERED + 1000)]
    first = choose_uploads(newer, Position(), now_ns=10**6 * second, settle_ns=0, limit=10**6, overlap=S3_OVERLAP)
    large = LandedFile(StoredObject("large", 1, 50 * second, f"{7:032x}-12"))
    second_tick = choose_uploads(
        [*newer, large], first.position, now_ns=10**6 * second, settle_ns=0, limit=10, overlap=S3_OVERLAP
    )
    assert [u.file.name for u in second_tick.take] == ["large"]


def test_files_that_make_no_run_take_no_place_from_new_ones_and_are_looked_up_only_if_there_are_too_many() -> None:
    files = [landed(f"f{n}", n, size=n % 10) for n in range(1, 61)]  # every tenth is empty
    asked: list[list[str]] = []

    def have_runs(uploads: Sequence[Upload]) -> list[Upload]:
        asked.append([upload.file.name for upload in uploads])
        return [upload for upload in uploads if upload.file.changed_ns <= 45]

    found = choose_uploads(files, Position(), now_ns=99, settle_ns=0, limit=9, have_runs=have_runs)
    assert [u.file.name for u in found.take] == ["f46", "f47", "f48", "f49", "f51", "f52", "f53", "f54", "f55"]
    assert (found.position.at_ns, found.more, len(asked)) == (55, 5, 1)
    rest = choose_uploads(files, found.position, now_ns=99, settle_ns=0, limit=9, have_runs=have_runs)
    assert ([u.file.name for u in rest.take], rest.more) == (["f56", "f57", "f58", "f59"], 0)
    all_full = choose_uploads(files, Position(), now_ns=99, settle_ns=0, limit=0, have_runs=have_runs)
    assert (all_full.take, all_full.position.at_ns, all_full.more) == ([], 45, 15)
    assert len(choose_uploads(files, Position(), now_ns=99, settle_ns=0, limit=54, have_runs=have_runs).take) == 54
    assert len(asked) == 2  # neither for what fits nor in the tick with four


def test_thousands_of_files_that_have_their_runs_are_passed_in_parts_of_bounded_size() -> None:
    many = 2 * MOST_LOOKED_UP + 1
    files = [landed(f"f{n}", n) for n in range(1, many + 1)]
    asked: list[int] = []

    def have_runs(uploads: Sequence[Upload]) -> set[Upload]:
        asked.append(len(uploads))
        return set(uploads)

    position, passed = Position(), []
    for _ in range(3):
        found = choose_uploads(files, position, now_ns=many, settle_ns=0, limit=0, have_runs=have_runs)
        position, passed = found.position, [*passed, found.position.at_ns]
        assert found.take == []
    assert passed == [MOST_LOOKED_UP, 2 * MOST_LOOKED_UP, many]
    assert (max(asked), sum(asked)) == (LOOKED_UP_AT_ONCE, many)


def test_a_file_from_the_future_holds_back_nothing_that_is_older() -> None:
    files = [landed("skewed", 10**6), landed("a", 5)]
    found = choose_uploads(files, Position(), now_ns=9, settle_ns=2, limit=9)
    assert ([u.file.name for u in found.take], [file.name for file in found.waiting]) == (["a"], ["skewed"])


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=9),
        st.builds(Position, st.integers(0, 2**63), st.frozensets(st.text(st.characters()), max_size=4)),
    )
)
def test_a_cursor_comes_back_as_it_was_and_is_plain_text(positions: dict[str, Position]) -> None:
    text = write_cursor(positions)
    assert read_cursor(text) == positions
    assert text == write_cursor(dict(reversed(positions.items())))
    text.encode()


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "17.5", "null", "2024-01-01", '{"version": 0, "positions": 1}'])
def test_a_cursor_that_is_not_ours_begins_anew(text: str | None) -> None:
    assert read_cursor(text) == {}


class Ticks:
    """The real sensor over a real folder, ticked like the daemon does it: the cursor moves with each result."""

    def __init__(self, repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, storage: Storage) -> None:
        self.repository, self.instance, self.storage, self.cursor = repository, instance, storage, None
        self.sensor = self.repository.get_sensor_def("uploads_sensor")
        self.run_keys: list[str] = []

    def __call__(self) -> dg.SensorResult | SkipReason:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"storage": self.storage},
        )
        result: Any = self.sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            self.run_keys += [str(request.run_key) for request in result.run_requests or []]
        return result

    def requests(self) -> list[dg.RunRequest]:
        result = self()
        assert isinstance(result, dg.SensorResult)
        return list(result.run_requests or [])

    def skipped(self) -> str:
        result = self()
        if isinstance(result, SkipReason):
            return str(result.skip_message)
        assert not result.run_requests
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def put(self, name: str, data: bytes = b"a\n1\n") -> Path:
        self.storage.write_bytes(f"uploads/orders/{name}", data)
        return self.storage.path(f"uploads/orders/{name}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    home = tmp_path_factory.mktemp("home")
    return build_definitions(load_settings(home=home, upload_settle_seconds=0)).get_repository_def()


@pytest.fixture
def tick(repository: dg.RepositoryDefinition, tmp_path: Path) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(repository, instance, FileStorage(uri=tmp_path.as_uri()))


def at_one_instant(monkeypatch: pytest.MonkeyPatch, changed_ns: int) -> None:
    """Every file of a listing changed at the same time."""
    real = FileStorage.list

    def coarse(self: FileStorage, prefix: str, unreadable: list[Unreadable] | None = None):
        for found in real(self, prefix, unreadable):
            yield StoredObject(found.key, found.size, changed_ns, found.etag)

    monkeypatch.setattr(FileStorage, "list", coarse)


def test_a_file_becomes_a_request_with_its_job_and_a_new_partition(tick: Ticks) -> None:
    tick.put("My Shop.csv")
    result = tick()
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    assert (request.job_name, request.partition_key) == ("orders_training_job", "my-shop")
    assert request.partition_key == "my-shop"
    (added,) = result.dynamic_partitions_requests or []
    assert (added.partitions_def_name, added.partition_keys) == ("optiflow_orders", ["my-shop"])
    assert "No new file for orders" in tick.skipped()


def test_files_of_one_instant_are_both_requested_each_once(tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    at_one_instant(monkeypatch, time.time_ns() - 10**9)
    tick.put("a.csv")
    assert [request.partition_key for request in tick.requests()] == ["a"]
    tick.put("b.csv")
    assert [request.partition_key for request in tick.requests()] == ["b"]
    assert "No new file" in tick.skipped()


def test_a_tick_takes_a_bounded_number_and_the_next_ones_the_rest(tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RUNS_AHEAD", 2)
    for number in range(5):
        tick.put(f"f{number}.csv")
    assert [len(tick.requests()) for _ in range(3)] == [2, 2, 1]
    assert len(set(tick.run_keys)) == 5


def test_files_wait_in_their_folder_while_enough_runs_of_uploads_wait_in_the_queue(tick: Ticks) -> None:
    for number in range(50):
        tick.put(f"f{number:02}.csv")
    waiting = [asked_run(tick.instance, request, "uploads_sensor") for request in tick.requests()]
    assert len(waiting) == 20
    assert "30 more files wait until the queue of runs is shorter." in tick.skipped()
    tick.storage.write_bytes("uploads/turnover/shop.csv", b"a\n1\n")  # another pipeline's queue is its own
    assert [str(request.job_name) for request in tick.requests()] == ["turnover_training_job"]
    for run_id in waiting[:3]:
        tick.instance.delete_run(run_id)
    for dataset in ("a", "b", "c"):  # of runs that somebody else has asked for there is no such end
        stored_run(tick.instance, "orders_training_job", dataset, {"dagster/schedule_name": "orders_retraining"})
    assert len(tick.requests()) == 3
    for run_id in waiting[3:]:
        tick.instance.delete_run(run_id)
    assert [len(tick.requests()) for _ in range(2)] == [20, 7]
    assert "No new file" in tick.skipped()
    assert len({key for key in tick.run_keys if key.startswith("orders/")}) == 50


def test_new_bytes_under_the_same_name_have_another_run_key_and_a_repeated_tick_has_not(tick: Ticks) -> None:
    tick.put("a.csv")
    (before,) = tick.requests()
    after_first = tick.cursor
    tick.put("a.csv", b"a\n2\n")
    (after,) = tick.requests()
    assert after.partition_key == before.partition_key
    assert after.run_key != before.run_key
    tick.cursor = after_first
    assert [request.run_key for request in tick.requests()] == [after.run_key]


def test_putting_back_an_earlier_version_with_its_old_date_starts_a_run_again(tick: Ticks) -> None:
    path = tick.put("a.csv")
    (before,) = tick.requests()
    old, date = path.read_bytes(), path.stat().st_mtime_ns
    for data in (b"a\n2\n", old):
        path.write_bytes(data)
    os.utime(path, ns=(date, date))
    (after,) = tick.requests()
    assert after.run_key != before.run_key


def test_a_changed_options_file_requests_its_table_again(tick: Ticks) -> None:
    tick.put("a.csv")
    tick.put("b.csv")
    assert len(tick.requests()) == 2
    tick.put("a.csv.options.yaml", b"target: x")
    assert [request.partition_key for request in tick.requests()] == ["a"]
    assert len(set(tick.run_keys)) == 3


def test_a_removed_options_file_requests_its_table_again(tick: Ticks) -> None:
    tick.put("a.csv")
    tick.put("b.csv")
    options = tick.put("a.csv.options.yaml", b"target: x")
    assert len(tick.requests()) == 2
    options.unlink()
    assert [request.partition_key for request in tick.requests()] == ["a"]
    assert "No new file" in tick.skipped()
    assert len(set(tick.run_keys)) == 3


def test_after_a_clock_was_ahead_the_sensor_says_so_and_finds_what_lands(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, real = time.time_ns() + 3600 * 10**9, FileStorage.list

    def written_ahead(self: FileStorage, prefix: str, unreadable: list[Unreadable] | None = None):
        for found in real(self, prefix, unreadable):
            yield StoredObject(found.key, found.size, ahead, found.etag) if found.key.endswith("/a.csv") else found

    monkeypatch.setattr(FileStorage, "list", written_ahead)
    tick.put("a.csv")
    with monkeypatch.context() as clock:
        clock.setattr(time, "time_ns", lambda: ahead)
        assert [request.partition_key for request in tick.requests()] == ["a"]
    said = tick.skipped()
    assert said.startswith(f"The clock was ahead: {tick.storage.uri_for('uploads/orders')} was read up to ")
    assert "a.csv carries a time that has not come yet" in said
    tick.put("b.csv")
    assert [request.partition_key for request in tick.requests()] == ["b"]
    assert "The clock was ahead" not in tick.skipped()


def test_a_garbled_cursor_doubles_no_run_key(tick: Ticks) -> None:
    tick.put("a.csv")
    tick()
    tick.cursor = "garbage"
    tick()
    assert len(tick.run_keys) == 2
    assert len(set(tick.run_keys)) == 1


AHEAD = write_cursor({"orders": Position(at_ns=2**62)})


@pytest.mark.parametrize("cursor", ["garbage", AHEAD], ids=["lost", "of a clock that was ahead"])
def test_what_has_just_landed_waits_for_no_file_that_has_its_run(tick: Ticks, cursor: str) -> None:
    for number in range(60):
        tick.put(f"f{number:02}.csv")
    for _ in range(3):
        for request in tick.requests():
            asked_run(tick.instance, request, "uploads_sensor", status=dg.DagsterRunStatus.SUCCESS)
    assert "No new file" in tick.skipped()
    tick.put("new.csv")
    tick.cursor = cursor
    assert [request.partition_key for request in tick.requests()] == ["new"]
    assert "No new file" in tick.skipped()


def test_a_run_that_was_only_stored_is_asked_for_again_so_that_it_reaches_the_queue(tick: Ticks) -> None:
    for number in range(30):
        tick.put(f"f{number:02}.csv")
    before = tick.requests()
    for number, request in enumerate(before):
        status = dg.DagsterRunStatus.SUCCESS if number else dg.DagsterRunStatus.NOT_STARTED
        asked_run(tick.instance, request, "uploads_sensor", status=status)
    tick.cursor = None
    assert [request.partition_key for request in tick.requests()] == ["f00", *(f"f{n}" for n in range(20, 30))]


def test_an_empty_file_waits_for_its_first_byte(tick: Ticks) -> None:
    tick.put("a.csv", b"")
    assert "a.csv is empty or still being written" in tick.skipped()
    tick.put("a.csv")
    assert [request.partition_key for request in tick.requests()] == ["a"]


def test_a_file_that_still_grows_waits_and_is_taken_afterwards(tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    tick.sensor = uploads.uploads_sensor({"orders": pipeline_jobs(ORDERS)}, settle_seconds=3600)
    path = tick.put("a.csv")
    assert "a.csv is empty or still being written" in tick.skipped()
    later = path.stat().st_ctime_ns + 3601 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert [request.partition_key for request in tick.requests()] == ["a"]


@pytest.mark.parametrize("fault", [errno.ENOTDIR, errno.ELOOP])
def test_a_folder_that_cannot_be_read_skips_its_pipeline_alone_and_keeps_its_position(tick: Ticks, fault: int) -> None:
    tick.put("a.csv")
    tick()
    cursor, folder = tick.cursor, tick.storage.path("uploads/orders")
    folder.rename(folder.with_name("aside"))
    if fault == errno.ENOTDIR:
        folder.touch()
    else:
        folder.symlink_to(folder)
    assert tick.skipped().startswith(f"Cannot list {folder.as_uri()}: ")
    assert tick.cursor == cursor
    tick.storage.write_bytes("uploads/turnover/shop.csv", b"a\n1\n")
    assert [request.job_name for request in tick.requests()] == ["turnover_training_job"]
    folder.unlink()
    folder.with_name("aside").rename(folder)
    assert "No new file" in tick.skipped()


@pytest.mark.parametrize("bad", ["loop.csv", "dangling.csv", "pipe.csv", "folder.csv", "a.csv.options.yaml"])
def test_an_entry_that_cannot_be_read_is_named_and_stops_no_other(tick: Ticks, bad: str) -> None:
    tick.put("b.csv")
    place = tick.storage.path(f"uploads/orders/{bad}")
    if bad == "pipe.csv":
        os.mkfifo(place)
    elif bad == "folder.csv":
        place.mkdir()
    else:
        place.symlink_to(place if bad != "dangling.csv" else "nowhere")
    if bad == "a.csv.options.yaml":  # a table is not taken without the options that lie beside it
        tick.put("a.csv")
    assert [request.partition_key for request in tick.requests()] == ["b"]
    assert f"{bad!r} in {place.parent.as_uri()} cannot be read: " in tick.skipped()


@pytest.mark.parametrize("name", ["---.csv", "notes.pdf", b"caf\xe9.csv".decode(errors="surrogateescape")])
def test_a_file_that_cannot_be_a_dataset_is_named_once_and_stops_no_other(tick: Ticks, name: str) -> None:
    tick.put(name)
    said = tick.skipped()
    said.encode()
    assert repr(name) in said
    assert "No new file" in tick.skipped()
    tick.put("b.csv")
    assert [request.partition_key for request in tick.requests()] == ["b"]


def test_the_daemon_can_store_what_a_tick_requests(tick: Ticks) -> None:
    tick.put("Müller, ä & 'x'.csv")
    (request,) = tick.requests()
    assert json.loads(str(tick.cursor))["version"] == 3
    run = dg.DagsterRun(job_name="orders_training_job", tags={**request.tags, "dagster/run_key": str(request.run_key)})
    tick.instance.add_run(run)
    stored = tick.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": str(request.run_key)}))
    assert [found.run_id for found in stored] == [run.run_id]


def test_a_run_that_still_waits_in_the_queue_is_dropped_when_its_file_was_changed(tick: Ticks) -> None:
    tick.put("a.csv")
    tick.put("b.csv")
    waiting = {str(asked.partition_key): asked_run(tick.instance, asked, "uploads_sensor") for asked in tick.requests()}
    tick.put("a.csv", b"a\n2\n")
    assert [asked.partition_key for asked in tick.requests()] == ["a"]
    assert [status_of(tick.instance, waiting[name]).value for name in "ab"] == ["CANCELED", "QUEUED"]


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As if so much time had passed."""
    real, so_far = time.time_ns, time.time_ns() - real_time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + so_far + int(seconds * 1e9))
    assert time.time_ns() > real()


real_time_ns = time.time_ns
DAY = 86_400


def test_a_folder_is_one_dataset_that_is_trained_on_at_most_as_often_as_its_options_say(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick.put("Shop 7/2024-01-01.csv")
    tick.put("Shop 7/region=north/2024-01-02.csv")
    (request,) = tick.requests()
    assert (request.job_name, request.partition_key) == ("orders_training_job", "shop-7")
    assert "No new file" in tick.skipped()
    for day in range(3, 6):
        tick.put(f"Shop 7/2024-01-0{day}.csv")
        assert re.search(
            r"What is new in Shop 7/ waits until \d{4}-.* as its option retrain_every says", tick.skipped()
        )
    later(monkeypatch, DAY - 60)
    assert "waits until" in tick.skipped()
    later(monkeypatch, 60)
    assert [asked.partition_key for asked in tick.requests()] == ["shop-7"]
    later(monkeypatch, 10 * DAY)
    assert "No new file" in tick.skipped()
    assert len(set(tick.run_keys)) == len(tick.run_keys) == 2


def test_new_options_of_a_folder_count_at_once_and_set_its_pace(tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    tick.put("shop/1.csv")
    assert len(tick.requests()) == 1
    tick.put("shop.options.yaml", b"retrain_every: 2h\n")
    assert len(tick.requests()) == 1
    tick.put("shop/2.csv")
    assert "waits until" in tick.skipped()
    later(monkeypatch, 2 * 3600)
    assert len(tick.requests()) == 1
    tick.put("shop.options.yaml", b"retrain_every: 0\n")
    assert len(tick.requests()) == 1
    for number in range(3, 6):
        tick.put(f"shop/{number}.csv")
        assert len(tick.requests()) == 1
    tick.storage.path("uploads/orders/shop.options.yaml").unlink()
    assert len(tick.requests()) == 1


def test_what_is_removed_from_a_folder_or_moved_in_with_an_old_time_is_seen(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick.put("shop.options.yaml", b"retrain_every: 0\n")
    for name in "abc":
        tick.put(f"shop/{name}.csv")
    assert len(tick.requests()) == 1
    later(monkeypatch, 30 * DAY)  # long out of the overlap of single files
    tick.storage.path("uploads/orders/shop/a.csv").unlink()
    assert len(tick.requests()) == 1
    tick.put("shop/d.csv")
    assert len(tick.requests()) == 1
    assert "No new file" in tick.skipped()


@pytest.mark.parametrize("name", ["~$shop.xlsx", ".~lock.shop.xlsx#", "_old/a.csv", ".trash/a.csv", "empty/_SUCCESS"])
def test_what_programs_and_people_put_aside_starts_nothing_and_blocks_nothing(tick: Ticks, name: str) -> None:
    tick.put(name)
    tick.put("shop.xlsx")
    assert [asked.partition_key for asked in tick.requests()] == ["shop"]
    assert "No new file" in tick.skipped()


def test_a_dataset_keeps_the_id_that_it_was_made_under_and_its_neighbour_gets_its_own(tick: Ticks) -> None:
    first, second = (f"warehouse_export_central_europe_daily_2024-01-0{day}.csv" for day in (5, 6))
    former = "warehouse-export-central-europe-daily-20"
    tick.instance.add_dynamic_partitions("optiflow_orders", [former])
    made = dg.AssetMaterialization(["orders", "upload"], partition=former, metadata={"file": first})
    tick.instance.report_runless_asset_event(made)
    tick.put(first)
    tick.put(second)
    asked = [str(request.partition_key) for request in tick.requests()]
    assert set(asked) == {former, "warehouse-export-central-europe-d-33c6fe"}
    assert find_upload(tick.storage, "orders", former, lambda: first).name == first
    assert find_upload(tick.storage, "orders", "warehouse-export-central-europe-d-33c6fe").name == second

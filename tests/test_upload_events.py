"""Messages of the upload queue, and what follows from their events."""

import contextlib
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from s3_events import bridged, by_sns, direct

from optiflow_dagster.sensors.upload_events_decision import (
    REMEMBERED,
    Progress,
    read_events,
    read_progress,
    take_folders,
    write_progress,
)
from optiflow_dagster.sensors.uploads_decision import Position, read_cursor, write_cursor
from resources.upload_events import UnreadableMessageError, UploadEvent, read_message

EVENT = UploadEvent("bucket", "team/uploads/orders/a b+ü.csv", 12, "e1", "0055AED6DCD9", "2024-05-01T10:00:00.000Z")


@pytest.mark.parametrize("wrap", [lambda m: m, by_sns])
@pytest.mark.parametrize("form", [direct, bridged])
def test_an_event_is_the_same_by_whatever_way_it_comes(wrap: Any, form: Any) -> None:
    assert read_message(json.dumps(wrap(form(EVENT)))) == [EVENT]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
made = st.builds(UploadEvent, texts, texts, st.integers(0, 2**50), texts, st.text("0123456789ABCDEF"), texts)


@settings(max_examples=100, deadline=None)
@given(st.lists(made, max_size=5))
def test_any_key_survives_every_way(events: list[UploadEvent]) -> None:
    assert read_message(json.dumps(direct(*events))) == events
    assert [found for event in events for found in read_message(json.dumps(by_sns(bridged(event))))] == events


@pytest.mark.parametrize("key", ["team/uploads/orders/a+b%20c.csv", "team/uploads/orders/100%.csv", "a b.csv"])
def test_a_key_of_ceph_is_as_it_is(key: str) -> None:
    """As `rgw_pubsub_s3_event::dump` writes it: another source, fields that S3 lacks, the key unencoded."""
    (record,) = direct(replace(EVENT, key=key))["Records"]
    record |= {"eventSource": "ceph:s3", "eventName": "ObjectCreated:Put", "opaqueData": "", "eventId": "17.5.e1"}
    record["s3"]["object"] |= {"key": key, "metadata": [], "tags": []}
    assert [event.key for event in read_message(json.dumps({"Records": [record]}))] == [key]


@pytest.mark.parametrize(
    "content",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"},
        by_sns({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}),
        direct(EVENT, name="ObjectRemoved:Delete"),
        bridged(EVENT, "Object Deleted"),
        {"Records": []},
    ],
)
def test_what_is_no_upload_leads_to_nothing(content: dict[str, Any]) -> None:
    assert read_message(json.dumps(content)) == []


@pytest.mark.parametrize("wrap", [lambda m: m, by_sns])
@pytest.mark.parametrize(
    "told",
    [
        lambda e: direct(e, name="ObjectRemoved:Delete"),
        lambda e: direct(e, name="s3:ObjectRemoved:DeleteMarkerCreated"),
        lambda e: bridged(e, "Object Deleted"),
    ],
)
def test_removed_options_ask_for_their_table(wrap: Any, told: Any) -> None:
    message = wrap(told(replace(EVENT, key=f"{EVENT.key}.options.yaml")))
    # As S3 sends it: a removed object has neither size nor ETag.
    text = json.dumps(message).replace('"size": 12, ', "").replace('\\"size\\": 12, ', "")
    (event,) = read_message(text)
    (arrival,) = read_events([event], (), bucket="bucket", prefix="team", pipelines=["orders"]).arrivals
    assert (event.size, arrival.name, arrival.options_only) == (0, "a b+ü.csv", True)
    assert arrival.run_key.endswith(f"@{EVENT.sequencer}")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        '"text"',
        "{}",
        '{"Records": [{}]}',
        '{"Records": [1]}',
        '{"Type": "Notification", "Message": "hello"}',
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": {}}',
        json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": None}]}),
        *(json.dumps(bridged(replace(EVENT, key=bad))) for bad in (5, None, [], "a\ud800.csv", "a\0.csv", "a" * 1025)),
        *(
            json.dumps(form(replace(EVENT, bucket=bad)))
            for form in (direct, bridged)
            for bad in (5, None, [], "\ud800")
        ),
        *(
            json.dumps(form(replace(EVENT, size=bad)))
            for form in (direct, bridged)
            for bad in (1e400, -1e400, [], None)
        ),
        *(json.dumps(direct(replace(EVENT, **{field: "\0"}))) for field in ("key", "etag", "sequencer", "time")),
        json.dumps(direct(replace(EVENT, size=7))).replace("7", "1e999"),
        json.dumps(direct(EVENT)).replace("a+b", "\\ud800"),
    ],
)
def test_a_message_of_another_kind_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableMessageError):
        read_message(body)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
anything = st.recursive(
    leaves,
    lambda c: (
        st.lists(c) | st.dictionaries(texts | st.sampled_from(["Records", "Message", "Type", "source", "detail"]), c)
    ),
)


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every container in `content` with each of its keys or positions."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else []
    return [(content, key) for key in keys] + [place for key in keys for place in places(content[key])]


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """An event of S3 in which some values are others, or missing."""
    event = replace(draw(made), bucket="bucket", key=f"team/uploads/orders/{draw(texts)}.csv")
    content = copy.deepcopy(draw(st.sampled_from([direct, bridged]))(event))
    for _ in range(draw(st.integers(1, 3))):
        found = places(content)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        if draw(st.integers(0, 5)):
            container[key] = draw(leaves | st.just("\ud800") | st.just("team/uploads/orders/\udfff\0.csv") | anything)
        else:
            del container[key]
    return draw(st.sampled_from([lambda c: c, by_sns]))(content)


@settings(max_examples=400, deadline=None)
@given(anything | spoiled())
def test_whatever_json_comes_it_is_read_or_unreadable(content: Any) -> None:
    with contextlib.suppress(UnreadableMessageError):
        found = read(*read_message(json.dumps(content)))
        for arrival in found.arrivals:
            assert "\0" not in arrival.run_key.encode().decode()
        assert read_progress(write_progress(None, Progress((), found.known))).known == found.known


def event(name: str, sequencer: str = "01", size: int = 5, bucket: str = "bucket") -> UploadEvent:
    return UploadEvent(bucket, f"team/uploads/{name}", size, f"etag-{sequencer}", sequencer, "t")


def read(*events: UploadEvent, known: tuple[str, ...] = ()) -> Any:
    return read_events(events, known, bucket="bucket", prefix="team", pipelines=["orders"])


def test_a_table_and_its_options_are_one_arrival_named_by_the_newest_event() -> None:
    table, options, again = (
        event("orders/a.csv", "0A"),
        event("orders/a.csv.options.yaml", "09"),
        event("orders/a.csv", "0B"),
    )
    (arrival,) = read(again, table, options).arrivals
    assert (arrival.key, arrival.options_only) == ("uploads/orders/a.csv", False)
    assert arrival.run_key == "orders/a.csv@etag-0B@0B"
    (arrival,) = read(table, event("orders/a.csv.options.yaml", "0C")).arrivals
    assert (arrival.run_key, arrival.options_only) == ("orders/a.csv@etag-0C@0C", False)
    (arrival,) = read(options).arrivals
    assert (arrival.key, arrival.options_only) == ("uploads/orders/a.csv", True)


def test_sequencers_of_unequal_length_are_filled_up_on_the_right() -> None:
    (arrival,) = read(event("orders/a.csv", "0055AED6DCD90281E5"), event("orders/a.csv", "0055AED6DCD9")).arrivals
    assert arrival.event.sequencer == "0055AED6DCD90281E5"  # pragma: allowlist secret


def test_an_event_that_comes_twice_leads_to_one_arrival() -> None:
    first = read(event("orders/a.csv"), event("orders/a.csv"))
    assert len(first.arrivals) == 1
    assert read(event("orders/a.csv"), known=first.known).arrivals == []
    assert len(read(event("orders/a.csv", "02"), known=first.known).arrivals) == 1


def test_a_file_in_a_folder_is_news_of_the_folder() -> None:
    below = ("_SUCCESS", ".tmp/a.csv", "~$a.xlsx", "_old/a.csv", "")
    aside = [event(f"orders/shop/{name}", f"1{n}") for n, name in enumerate(below)]
    found = read(*aside, event("orders/_aside/a.csv", "16"), event("orders/~$shop.xlsx", "17"))
    assert (found.arrivals, found.passed_over) == ([], [])
    found = read(event("orders/shop/day=1/a.csv", "01"), event("orders/shop/b.csv", "02"), event("orders/c.csv", "03"))
    assert [(a.name, a.key, a.in_folder, a.event.sequencer) for a in found.arrivals] == [
        ("shop", "uploads/orders/shop", True, "02"),
        ("c.csv", "uploads/orders/c.csv", False, "03"),
    ]
    (options,) = read(event("orders/shop/b.csv", "02"), event("orders/shop.options.yaml", "03")).arrivals
    assert (options.in_folder, options.new_options, options.options_only) == (True, True, False)


names = st.sampled_from(["orders/a", "orders/b"])
drops = st.lists(st.tuples(names, st.sampled_from(["drop", "wait", "tick"]), st.integers(1, 9)), max_size=40)


@settings(max_examples=300, deadline=None)
@given(drops, st.integers(0, 3), st.integers(0, 20))
def test_a_folder_is_taken_once_it_is_quiet_and_due_and_no_drop_is_forgotten(steps, settle, pause) -> None:
    now, number, folders = 100, 0, {}
    new: dict[str, str] = {}
    last: dict[str, int] = {}
    newest: dict[str, str] = {}
    taken: dict[str, list[tuple[int, str]]] = {}
    for name, kind, ticks in [*steps, *([("", "wait", 30), ("", "tick", 0)] * 2)]:
        if kind == "wait":
            now += ticks
        elif kind == "tick":
            for folder in new:
                last[folder] = now
            take, folders = take_folders(folders, new, (), now_ns=now, settle_ns=settle, pause_ns=lambda _: pause)
            folders = read_progress(write_progress(None, Progress(folders=folders))).folders
            for folder, key in take.items():
                before = taken.setdefault(folder, [])
                assert now - last[folder] >= settle
                assert not before or now - before[-1][0] >= pause
                assert not before or key != before[-1][1]
                before.append((now, key))
            new = {}
        else:
            number += 1
            new[name] = newest[name] = f"{name}@{number}"
    assert {name: found[-1][1] for name, found in taken.items()} == newest


def test_other_buckets_and_our_own_tables_are_passed_over_in_silence_and_strays_are_named() -> None:
    lake = UploadEvent("bucket", "team/lake/orders/upload/a/1.parquet", 5, "e", "01", "t")
    found = read(event("orders/a.csv", bucket="other"), lake, event("orders/.hidden"), event("orders/"))
    assert (found.arrivals, found.passed_over) == ([], [])
    found = read(event("orders/e/a.csv", size=0), event("nonsense/a.csv", "02"), event("orders/e.csv", "03", size=0))
    assert found.arrivals == []
    assert found.passed_over == [
        "e/a.csv is empty.",
        "team/uploads/nonsense/a.csv is not in the landing folder of a pipeline.",
        "e.csv is empty.",
    ]


def test_only_the_last_events_are_remembered() -> None:
    found = read(*(event(f"orders/{n}.csv", f"{n:04x}") for n in range(REMEMBERED + 10)))
    assert len(found.arrivals) == REMEMBERED + 10
    assert len(found.known) == REMEMBERED
    assert read(event("orders/509.csv", "01fd"), known=found.known).arrivals == []


def test_both_modes_keep_what_the_other_has_written_into_the_cursor() -> None:
    positions, progress = {"orders": Position(5, frozenset({"a"}), 3)}, Progress(("receipt",), ("digest",))
    cursor = write_progress(write_cursor(positions), progress)
    assert (read_cursor(cursor), read_progress(cursor)) == (positions, progress)
    cursor = write_cursor({"orders": Position(9)}, cursor)
    assert (read_cursor(cursor)["orders"].at_ns, read_progress(cursor)) == (9, progress)


@pytest.mark.parametrize("text", [None, "", "garbage", "[]", '{"queue": 1}'])
def test_a_cursor_that_is_not_ours_holds_no_progress(text: str | None) -> None:
    assert read_progress(text) == Progress()

"""An ERP's API as a source, over real HTTP: whatever happens is told, nothing is lost, nothing comes twice."""

import json
import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest
import yaml
from aws_double.client import REGION
from dagster._core.definitions.run_request import SkipReason
from erp_server import TOKEN, Erp, erp_server
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import TransientError, UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.sources import again
from resources.http_retries import Timing
from resources.landed import read_landed
from resources.landing import read_landing
from resources.settings import load_settings
from resources.sources import Sources
from resources.sources.description import Source, read_sources
from resources.sources.pull import Pulled, pull
from resources.storage import FileStorage, S3Storage, Storage

START = datetime(2024, 1, 1, tzinfo=UTC)
STYLES: dict[str, dict[str, Any]] = {
    "page": {"style": "page", "parameter": "page", "size": 10},
    "offset": {"style": "offset", "parameter": "offset", "size": 10},
    "cursor": {"style": "cursor", "parameter": "after", "next": "meta.after"},
    "next": {"style": "next", "next": "links.next"},
    "link": {"style": "link"},
}


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = START.timestamp() + 86_400
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def timing(self) -> Timing:
        return Timing(self.sleep, lambda: self.now, self._tick, lambda: 0.5)

    def _tick(self) -> float:
        self.now += 1
        return self.now


class Place:
    """A source, the storage that it is pulled into, and what lies there."""

    def __init__(self, erp: Erp, root: Path) -> None:
        self.erp, self.clock = erp, Clock()
        self.storage = FileStorage(uri=root.as_uri())

    def source(self, style: str = "next", **said: Any) -> Source:
        described = {
            "pipeline": "stock_movements",
            "url": f"{self.erp.url}/{style}",
            "token": "ERP_TOKEN",
            "records": "data.items",
            "paging": STYLES[style],
            "incremental": {"field": "updated_at", "parameter": "since"},
            "key": "id",
        }
        return read_sources(yaml.safe_dump({"erp": {**described, **said}}), "sources.yaml")["erp"]

    def pull(self, style: str = "next", *, from_start: bool = False, **said: Any) -> Pulled:
        return pull(self.source(style, **said), self.storage, self.clock.timing(), from_start=from_start)

    def files(self) -> list[Path]:
        return sorted(self.storage.path("uploads/stock_movements").rglob("*.parquet"))

    def landed(self) -> list[dict[str, Any]]:
        return [row for file in self.files() for row in pl.read_parquet(file).to_dicts()]


@pytest.fixture(scope="module")
def server() -> Iterator[Erp]:
    with erp_server() as erp:
        yield erp


@pytest.fixture
def place(server: Erp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    server.__init__(server.url)
    server.rows = [row(number) for number in range(35)]
    monkeypatch.setenv("ERP_TOKEN", TOKEN)
    return Place(server, tmp_path)


def row(number: int, minute: int | None = None, **changed: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=number if minute is None else minute)
    return {
        "id": number,
        "updated_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "item": f"A{number % 7}",
        "quantity": number,
    } | changed


@pytest.mark.parametrize("style", STYLES)
def test_all_pages_come_each_row_once_and_then_only_what_is_new(place: Place, style: str) -> None:
    first = place.pull(style)
    assert place.landed() == place.erp.rows
    assert (first.rows, first.mark) == (35, "2024-01-01T00:34:00Z")
    again = place.pull(style)
    assert (again.rows, again.file, len(place.files())) == (0, None, 1)
    assert place.erp.asked[-1]["since"] == "2024-01-01T00:24:00Z"  # ten minutes before, for what is booked late
    place.erp.rows += [row(number) for number in range(35, 60)]
    place.erp.rows.insert(3, row(99, minute=33))  # begun before, written later
    assert place.pull(style).rows == 26
    assert sorted(r["id"] for r in place.landed()) == [*range(60), 99]
    assert len(place.files()) == 2


@pytest.mark.parametrize("style", ["page", "offset"])
@pytest.mark.parametrize("change", ["insert", "delete"])
def test_a_list_that_moves_while_it_is_read_loses_no_row_and_doubles_none(
    place: Place, style: str, change: str
) -> None:
    def move(number: int) -> None:
        if number == 2 and change == "insert":
            place.erp.rows.insert(0, row(100, minute=0))
        elif number == 2:
            del place.erp.rows[0]

    expected = {r["id"] for r in place.erp.rows} | ({100} if change == "insert" else set())
    place.erp.before = move
    place.pull(style)
    ids = [r["id"] for r in place.landed()]
    assert len(ids) == len(set(ids))
    assert set(ids) == expected  # the deleted one had been read before it was


def asked_at_most(place: Place, most: int = 50) -> None:
    """End what would never end, so that its test fails instead."""
    asked = place.erp.before

    def stop(number: int) -> None:
        asked(number)
        if number > most:
            place.erp.script = [(400, {}, "asked for ever")]

    place.erp.before = stop


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_parameter_that_the_api_does_not_know_is_told_at_the_second_page(place: Place, style: str) -> None:
    asked_at_most(place)
    with pytest.raises(
        UserError, match=r"with pgae the page after the first one is the first one again.*Is 'pgae' what"
    ):
        place.pull(style, paging={**STYLES[style], "parameter": "pgae"})
    assert (len(place.erp.asked), place.files()) == (2, [])


@pytest.mark.parametrize("rows", [5, 35, 40])
def test_an_api_that_gives_its_last_page_again_is_read_to_its_end(place: Place, rows: int) -> None:
    def clamp(_: int) -> None:
        query = place.erp.asked[-1]
        query["page"] = str(min(int(query["page"]), -(-rows // 10)))

    place.erp.rows, place.erp.before = [row(number) for number in range(rows)], clamp
    asked_at_most(place)
    assert place.pull("page").rows == rows
    assert place.landed() == place.erp.rows


def test_a_page_that_is_not_found_after_the_last_one_ends_the_list_and_a_first_one_does_not(place: Place) -> None:
    def gone(_: int) -> None:
        if int(place.erp.asked[-1]["page"]) > 4:
            place.erp.script = [(404, {}, '{"detail": "Invalid page."}')]

    place.erp.before = gone
    assert place.pull("page").rows == 35
    assert place.landed() == place.erp.rows
    place.erp.script, place.erp.before = [(404, {}, "")], lambda _: None
    with pytest.raises(UserError, match=r"answered 404 Not Found\. Check url"):
        place.pull("page")


def test_a_server_that_caps_its_pages_loses_no_row_that_moves(place: Place) -> None:
    def move(number: int) -> None:
        if number == 2:
            del place.erp.rows[0]

    place.erp.before = move
    place.pull("page", paging={**STYLES["page"], "size": 100})
    assert sorted(r["id"] for r in place.landed()) == list(range(35))


def test_a_list_that_never_stands_still_is_told_and_nothing_of_it_is_taken(place: Place) -> None:
    place.erp.before = lambda number: place.erp.rows.insert(0, row(1000 + number, minute=0))
    with pytest.raises(TransientError, match=r"the list was another one each of 5 times.*nothing was taken"):
        place.pull("page")
    assert place.files() == []


@pytest.mark.parametrize("at", [1, 3])
def test_an_expired_token_is_told_by_its_variable_and_the_new_one_goes_on_where_it_was(place: Place, at: int) -> None:
    def expire(number: int) -> None:
        if number == at:
            place.erp.token = "new"

    place.erp.before = expire
    with pytest.raises(UserError, match=r"answered 401 .*token expired.*Put a new token into ERP_TOKEN") as caught:
        place.pull()
    assert TOKEN not in str(caught.value)
    assert (place.files(), place.clock.slept) == ([], [])
    place.erp.token = TOKEN
    assert place.pull().rows == 35
    assert place.landed() == place.erp.rows


def test_a_token_that_is_not_set_is_told_before_anything_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERP_TOKEN", "  ")
    with pytest.raises(UserError, match="ERP_TOKEN is not set"):
        place.pull()
    assert place.erp.asked == []


@pytest.mark.parametrize(
    "faults",
    [
        [(429, {"Retry-After": "7"}, "slow down")],
        [(500, {}, "oops"), (502, {}, "<html>"), (503, {"Retry-After": "9"}, "")],
        [(200, {}, "<html>maintenance</html>")],
        [(200, {"Content-Length": "999"}, '{"data": {"items": [')],
    ],
)
def test_what_passes_is_waited_for_in_the_middle_of_the_pages(place: Place, faults: list[Any]) -> None:
    def fail(number: int) -> None:
        if number == 2:
            place.erp.script = list(faults)

    place.erp.before = fail
    assert place.pull().rows == 35
    assert place.landed() == place.erp.rows
    waited = [float(headers.get("Retry-After", 0)) for _, headers, _ in faults]
    assert [slept >= least for slept, least in zip(place.clock.slept, waited, strict=True)] == [True] * len(faults)


def test_what_does_not_pass_is_told_and_nothing_was_taken(place: Place) -> None:
    place.erp.script = [(503, {}, "down")] * 9
    with pytest.raises(TransientError, match=r"Source erp answered 503 .*down"):
        place.pull()
    assert (len(place.clock.slept), place.files()) == (5, [])
    place.erp.script = [(429, {"Retry-After": "3600"}, "")]
    with pytest.raises(TransientError, match="answered 429"):
        place.pull()
    assert len(place.clock.slept) == 5  # an hour is not waited for
    place.erp.script = []
    assert place.pull().rows == 35


@pytest.mark.parametrize("columns", [{}, {"qty": "quantity", "sku": "item", "id": "id"}])
def test_a_field_that_vanishes_is_told_and_the_rows_come_when_it_is_back(place: Place, columns: dict[str, str]) -> None:
    place.pull(columns=columns)
    place.erp.rows += [row(number) for number in range(35, 40)]
    place.erp.shown = lambda rows: {"data": {"items": [{k: v for k, v in r.items() if k != "quantity"} for r in rows]}}
    with pytest.raises(
        UserError, match=r"'quantity' is in no row any more; there are id, item, updated_at\. Nothing was taken"
    ):
        place.pull(columns=columns)
    assert len(place.landed()) == 35
    place.erp.shown = lambda rows: {"data": {"items": rows}}
    assert place.pull(columns=columns).rows == 5
    assert sorted(r["id"] for r in place.landed()) == list(range(40))


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (lambda rows: {"data": {"results": rows}}, r"no list of rows at 'data\.items' of the answer, which has data"),
        (lambda rows: {"data": {"items": [{"id": 1, "item": "a"}]}}, "a row has no 'updated_at'"),
        (
            lambda rows: {"data": {"items": [{"item": "a", "updated_at": "2024-01-01"}]}},
            "a row has no 'id', which is its key",
        ),
        (lambda rows: {"data": {"items": ["a"]}}, "a row is 'a' and no object"),
        (lambda rows: {"data": {"items": [{"id": 1, "updated_at": "soon"}]}}, "'soon', neither a number nor a time"),
    ],
)
def test_an_answer_of_another_shape_is_told_and_nothing_was_taken(place: Place, shown: Any, told: str) -> None:
    place.erp.shown = shown
    with pytest.raises(UserError, match=told):
        place.pull()
    assert place.files() == []


def test_the_token_is_sent_to_no_other_host(place: Place) -> None:
    place.erp.shown = lambda rows: {"data": {"items": rows}, "links": {"next": "http://127.0.0.2:9/steal"}}
    place.erp.size = 99
    with pytest.raises(UserError, match="on another host, which must not get the token"):
        place.pull()
    place.erp.script = [(302, {"Location": "http://127.0.0.2:9/steal"}, "")]
    with pytest.raises(UserError, match="It has moved to http"):
        place.pull()


class Died(BaseException):
    """As if the process were killed."""


@pytest.mark.parametrize("write", [1, 2, 3, 4])
@pytest.mark.parametrize("done", [False, True])
def test_a_crash_at_any_write_loses_no_row_and_doubles_none(
    place: Place, monkeypatch: pytest.MonkeyPatch, write: int, done: bool
) -> None:
    real, count = FileStorage.writing, 0

    class Dying:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __enter__(self) -> Path:
            nonlocal count
            count += 1
            if count == write and not done:
                raise Died
            return self.inner.__enter__()

        def __exit__(self, *caught: Any) -> Any:
            left = self.inner.__exit__(*caught)
            if count == write:
                raise Died
            return left

    monkeypatch.setattr(FileStorage, "writing", lambda self, key: Dying(real(self, key)))
    with pytest.raises(Died):
        place.pull()
    monkeypatch.undo()
    monkeypatch.setenv("ERP_TOKEN", TOKEN)
    place.erp.rows += [row(number) for number in range(35, 40)]
    place.pull()
    assert sorted(r["id"] for r in place.landed()) == list(range(40))
    assert place.pull().rows == 0


def test_two_pulls_of_a_source_take_each_row_once_one_after_the_other(place: Place) -> None:
    second: list[Pulled] = []
    other = threading.Thread(target=lambda: second.append(place.pull()))

    def overlap(number: int) -> None:
        if number == 2:
            other.start()
            other.join(0.5)  # done, or waiting for the first one

    place.erp.before = overlap
    first = place.pull()
    other.join()
    assert sorted(r["id"] for r in place.landed()) == list(range(35))
    assert (first.rows, second[0].rows) == (35, 0)


@pytest.fixture
def bucket(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    boto3.client("s3").create_bucket(Bucket="pulls", CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3Storage(uri="s3://pulls")


def in_bucket(storage: Storage) -> list[int]:
    found = [storage.scan_parquet(item.key).collect()["id"] for item in storage.walk("uploads")]
    return sorted(number for ids in found for number in ids)


def test_of_two_pulls_into_a_bucket_the_slower_one_takes_nothing(place: Place, bucket: Storage) -> None:
    source, timing = place.source(), place.clock.timing()

    def overlap(number: int) -> None:
        if number == 2:
            pull(source, bucket, timing)

    place.erp.before = overlap
    with pytest.raises(TransientError):
        pull(source, bucket, timing)
    assert in_bucket(bucket) == list(range(35))
    assert pull(source, bucket, timing).rows == 0


def test_a_state_in_a_bucket_that_was_written_or_removed_meanwhile_is_not_written_over(bucket: Storage) -> None:
    first = bucket.write_if_unchanged("lake/s", b"1", None)
    second = bucket.write_if_unchanged("lake/s", b"2", first)
    for etag in (None, first):
        with pytest.raises(TransientError):
            bucket.write_if_unchanged("lake/s", b"3", etag)
    assert bucket.read_bytes("lake/s") == b"2"
    bucket.remove("lake/s")
    with pytest.raises(TransientError):
        bucket.write_if_unchanged("lake/s", b"3", second)


def test_a_pull_that_may_be_putting_its_file_into_a_bucket_is_waited_for(
    place: Place, bucket: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, timing = place.source(), place.clock.timing()
    with monkeypatch.context() as patch:
        patch.setattr("resources.sources.pull.write_parquet", _die)
        with pytest.raises(Died):
            pull(source, bucket, timing)
    with pytest.raises(TransientError, match="being put there by another pull of this source"):
        pull(source, bucket, timing)
    place.clock.now += 600
    assert pull(source, bucket, timing).rows == 35


def test_a_time_that_was_mistyped_into_the_future_stops_no_source(place: Place) -> None:
    place.erp.rows.append(row(35, updated_at="2204-01-02T00:00:00Z"))
    found = place.pull()
    assert (found.rows, found.mark) == (36, "2024-01-01T00:34:00Z")
    assert found.notes == (
        "updated_at is '2204-01-02T00:00:00Z' in one of 1 rows that lie more than a day ahead: they were taken, but do not count "
        "for how far was read.",
    )
    place.erp.rows.append(row(36))
    assert place.pull().rows == 1
    assert sorted(r["id"] for r in place.landed()) == list(range(37))


def test_a_source_that_was_read_into_the_future_says_so_and_is_read_anew_from_its_start(place: Place) -> None:
    place.pull()
    key = "lake/sources/erp/state.json"
    place.storage.write_bytes(key, place.storage.read_bytes(key).replace(b"2024-01-01T00:34", b"2204-01-01T00:34"))
    with pytest.raises(
        UserError, match=r"up to 2204-01-01T00:34:00Z, which has not come yet.*optiflow pull erp --from-s"
    ):
        place.pull()
    assert place.pull(from_start=True).rows == 35
    assert place.pull().rows == 0


def test_a_secret_is_in_no_message_and_no_log_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = 'k/e "y+1'
    monkeypatch.setenv("ERP_KEY", secret)
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    said: dict[str, Any] = {"parameters": {"api_key": {"variable": "ERP_KEY"}, "company": 7}}
    with caplog.at_level(logging.INFO):
        assert place.pull(**said).rows == 35
    assert (place.erp.asked[0]["api_key"], place.erp.asked[0]["company"]) == (secret, "7")
    assert "k%2Fe" not in caplog.text
    onward = f"{place.erp.url}/next?api_key=k%2Fe%20%22y%2B1"
    shown = place.erp.shown
    for script, body in (
        ((400, {}, "x" * 191 + TOKEN), None),
        ((400, {}, " " * 793 + TOKEN), None),
        ((400, {}, json.dumps({"given": secret})), None),
        ((302, {"Location": f"http://elsewhere/{TOKEN}"}, ""), None),
        (None, {"data": {"items": []}, "links": {"next": f"http://elsewhere/?api_key={TOKEN}"}}),
        (None, {"data": {"items": []}, "links": {"next": onward}}),
    ):
        place.erp.script = [script] if script else []
        place.erp.shown = (lambda _, body=body: body) if body else shown
        with pytest.raises(UserError) as caught:
            place.pull(**said)
        assert [part for part in (TOKEN[:5], "k/e", "k%2Fe", "y+1") if part in str(caught.value)] == []
    monkeypatch.delenv("ERP_KEY")
    with pytest.raises(UserError, match="ERP_KEY is not set"):
        place.pull(**said)


def test_a_row_that_was_changed_comes_again_as_it_is_now(place: Place) -> None:
    place.pull()
    place.erp.rows = [*place.erp.rows[:5], *place.erp.rows[6:], row(5, minute=50, quantity=500)]
    assert place.pull().rows == 1
    assert [r["quantity"] for r in place.landed() if r["id"] == 5] == [5, 500]


@pytest.mark.parametrize(
    ("pipeline", "columns", "options"),
    [
        ("orders", ["id", "price", "day"], {"target": "price", "date_column": "day", "drop_columns": ["id"]}),
        ("turnover", ["id", "created", "sold", "price"], {}),
        ("stock_movements", ["transaction_id", "item_id", "quantity", "price", "created"], {}),
    ],
)
def test_a_row_that_was_changed_counts_once_as_it_is_now(
    place: Place, pipeline: str, columns: list[str], options: dict[str, Any]
) -> None:
    fields = {"transaction_id": "id", "item_id": "item", "day": "created"}
    said: dict[str, Any] = {"pipeline": pipeline, "columns": {name: fields.get(name, name) for name in columns}}

    def sold(number: int, minute: int, price: float) -> dict[str, Any]:
        created = START - timedelta(days=300 - number)
        days = {"created": f"{created:%Y-%m-%d}", "sold": f"{created + timedelta(9):%Y-%m-%d}"}
        return row(number, minute, price=price, quantity=number - 40, **days)

    place.erp.rows = [sold(number, number, 10.0 + number) for number in range(80) if number != 40]
    place.pull(**said)
    place.erp.rows[5] = sold(5, 90, 500.0)
    assert place.pull(**said).rows == 1
    (file,) = read_landing(place.storage, pipeline).files
    spec = PIPELINES[pipeline]
    table = read_landed(place.storage, file, merge_options(spec.default_options, options), spec).table
    (price,) = (name for name in table.accepted.columns if name in ("price", "unit_price"))
    prices = table.accepted[price].to_list()
    assert (len(prices), prices.count(500.0), prices.count(15.0)) == (79, 1, 0)


def test_a_key_that_no_column_has_is_asked_for_where_the_pipeline_has_none_of_its_own(place: Place) -> None:
    with pytest.raises(
        UserError, match=r"no column has 'id', and orders cannot tell.*Add it to columns, such as id: id"
    ):
        place.pull(pipeline="orders", columns={"quantity": "quantity"})
    assert place.files() == []
    assert place.pull(columns={"quantity": "quantity"}).rows == 35


def test_without_a_cursor_all_rows_are_asked_for_and_only_new_ones_land(place: Place) -> None:
    assert place.pull("page", incremental=None).rows == 35
    place.erp.rows += [row(36)]
    assert place.pull("page", incremental=None).rows == 1
    assert "since" not in place.erp.asked[-1]


def test_columns_are_made_of_fields_by_their_path_with_their_types(place: Place) -> None:
    place.erp.rows = [row(n, price=n / 4, code=f"00{n}", ok=n > 1, line={"sku": n}, tags=[n]) for n in range(3)]
    found = place.pull(columns={"sku": "line.sku", "price": "price", "code": "code", "ok": "ok"})
    assert pl.read_parquet(place.files()[0]).to_dict(as_series=False) == {
        "sku": [0, 1, 2],
        "price": [0.0, 0.25, 0.5],
        "code": ["000", "001", "002"],
        "ok": [False, False, True],
    }
    assert found.notes == ()
    place.erp.rows.append(row(9, line={"sku": 1}))
    with pytest.raises(UserError, match=r"'line' holds lists or objects. Name a field in it, such as line\.id"):
        place.pull(columns={"sku": "line"})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "late", "fail", "die", "pull"]), st.integers(0, 9)), max_size=25),
    st.sampled_from(["cursor", "next", "link"]),
)
def test_whatever_happens_in_whatever_order_each_row_lands_once(
    server: Erp, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], style: str
) -> None:
    server.__init__(server.url)
    place, dice, written = Place(server, tmp_path_factory.mktemp("s")), random.Random(0), START
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERP_TOKEN", TOKEN)
        for kind, number in [*steps, ("pull", 0)]:
            if kind in ("add", "late"):
                for _ in range(number):
                    written += timedelta(seconds=dice.choice([0, 1, 60, 3600]))
                    at = written - timedelta(seconds=dice.randint(0, 599) if kind == "late" else 0)
                    server.rows.append(row(len(server.rows)) | {"updated_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
                continue
            with patch.context() as inner:
                if kind == "fail":
                    server.script = [(500, {}, "")] * 6
                elif kind == "die" and number % 2:
                    inner.setattr("resources.sources.pull.write_parquet", _die)
                elif kind == "die":
                    inner.setattr("resources.sources.pull.write_state", _die_at_second())
                try:
                    place.pull(style)
                except (TransientError, Died):
                    server.script = []
    assert sorted(r["id"] for r in place.landed()) == list(range(len(server.rows)))


def _die(*_: object) -> None:
    raise Died


def _die_at_second() -> Any:
    from resources.sources.state import write_state

    calls: list[object] = []

    def dying(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise Died
        write_state(*arguments)

    return dying


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"token": "eyJhbGciOi.secret"}, "token: expected the name of an environment variable"),
        ({"pipeline": "nonsense"}, "pipeline: there is no such pipeline: use orders"),
        ({"url": "ftp://erp"}, "url: expected an http:// or https:// address"),
        ({"url": "https://me:pw@erp"}, "without a name or password"),  # pragma: allowlist secret
        ({"every": "5s"}, "every: expected a minute or more"),
        ({"at": "25:00"}, "at: "),
        (
            {"parameters": {"k": ["secret"]}},
            r"parameters.k: expected text, a number, yes or no, or \{variable: ERP_KEY\}\.$",
        ),
        ({"pagign": {}}, "unknown key 'pagign'. Known keys: pipeline"),
        ({"paging": {"style": "page"}}, "style page needs the name of its parameter"),
        ({"dataset": "My Shop"}, "Did you mean 'my-shop'"),
    ],
)
def test_a_wrong_description_is_told_by_source_and_key_and_repeats_no_secret(said: dict[str, Any], told: str) -> None:
    right = {"pipeline": "orders", "url": "https://erp.example.com/api"}
    assert read_sources(yaml.safe_dump({"erp": right}), "sources.yaml")["erp"].dataset == "erp"
    with pytest.raises(UserError, match=f"sources.yaml, source 'erp': .*{told}") as caught:
        read_sources(yaml.safe_dump({"erp": {**right, **said}}), "sources.yaml")
    assert "secret" not in str(caught.value)
    assert ":pw@" not in str(caught.value)


def test_a_source_is_due_once_in_each_period() -> None:
    source = read_sources("a: {pipeline: orders, url: 'https://e', every: 1d, at: '02:30'}", "s")["a"]
    midnight = START.timestamp()
    slots = [source.slot(midnight + hour * 1800) for hour in range(-10, 58)]
    changes = [n for n in range(1, len(slots)) if slots[n] != slots[n - 1]]
    assert [(n - 10) / 2 for n in changes] == [2.5, 26.5]


def test_the_sensor_asks_for_each_source_in_its_time_and_its_run_pulls_it(place: Place, tmp_path: Path) -> None:
    repository = build_definitions(load_settings(home=tmp_path)).get_repository_def()
    sensor, sources = repository.get_sensor_def("sources_sensor"), Sources(folder=str(tmp_path), storage=place.storage)

    def tick(instance: dg.DagsterInstance, cursor: str | None) -> Any:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=repository, resources={"sources": sources}
        ) as context:
            return sensor(context)

    with dg.DagsterInstance.ephemeral() as instance:
        said = tick(instance, None)
        assert isinstance(said, SkipReason)
        assert "There is no sources.yaml" in str(said.skip_message)
        described = {**place.source().model_dump(mode="json", exclude_unset=True)}
        del described["name"]
        (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"erp": {**described, "every": "1h"}}))
        first = tick(instance, None)
        (request,) = first.run_requests
        assert request.partition_key == "erp"
        assert not tick(instance, first.cursor).run_requests
        next_hour = (json.loads(first.cursor)["erp"] + 1) * 3600.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: next_hour)
            (later,) = tick(instance, first.cursor).run_requests
        assert later.run_key != request.run_key
        instance.add_dynamic_partitions("optiflow_sources", ["erp"])
        job = build_definitions(load_settings(home=tmp_path), sources=sources).resolve_job_def("pull_job")
        ran = job.execute_in_process(instance=instance, partition_key="erp")
        (made,) = ran.asset_materializations_for_node("sources__pulled")
        assert (made.metadata["rows"].value, made.metadata["up_to"].value) == (35, "2024-01-01T00:34:00Z")
    assert place.landed() == place.erp.rows


def test_a_pull_that_failed_in_passing_is_asked_for_again_in_its_period_with_growing_pauses(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.failures.RETRY_SECONDS", 0)
    described = {**place.source().model_dump(mode="json", exclude_unset=True)}
    del described["name"]
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"erp": described}))
    sources = Sources(folder=str(tmp_path), storage=place.storage)
    job = build_definitions(load_settings(home=tmp_path), sources=sources).resolve_job_def("pull_job")

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("optiflow_sources", ["erp"])

        def run(key: str) -> float:
            tags = {"dagster/run_key": key}
            job.execute_in_process(instance=instance, partition_key="erp", tags=tags, raise_on_error=False)
            (record,) = instance.get_run_records(limit=1)
            assert record.end_time is not None
            return record.end_time

        place.erp.script = [(429, {"Retry-After": "3600"}, "")] * 4
        ended = run("erp@5")
        assert place.erp.script == []  # tried four times
        assert [again(instance, job.name, "erp", "erp@5", ended + after) for after in (299, 300)] == [None, "erp@5#1"]
        assert again(instance, job.name, "erp", "erp@6", ended + 300) is None  # another period's run is due by itself
        place.erp.script = [(429, {"Retry-After": "3600"}, "")] * 4
        ended = run("erp@5#1")
        assert [again(instance, job.name, "erp", "erp@5", ended + after) for after in (599, 600)] == [None, "erp@5#2"]
        place.erp.token = "new"
        assert again(instance, job.name, "erp", "erp@5", run("erp@5#2") + 9999) is None  # waits for somebody
        place.erp.token = TOKEN
        assert again(instance, job.name, "erp", "erp@5", run("erp@5#3") + 9999) is None  # did well
    assert place.landed() == place.erp.rows

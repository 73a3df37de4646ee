"""Facts about talking to FRED: over real HTTP to a server that speaks its protocol, with clocks that tests turn."""

import logging
import os
import socket
import traceback
from datetime import date, timedelta
from email.utils import formatdate
from pathlib import Path

import polars as pl
import pytest
from fred_server import Fault, FredServer

from optiflow.errors import TransientError, UserError
from optiflow.fred.series import PUBLICATION_LAG_DAYS, SERIES_SCHEMA
from optiflow.fred.snapshot import SNAPSHOT_SERIES
from resources.fred import FredResource
from resources.fred.http import ATTEMPTS, RETRY_BUDGET_SECONDS, RateLimiter
from resources.http_retries import Timing
from resources.storage import FileStorage, Storage

SHARED_FRED = Path(os.environ.get("OPTIFLOW_SHARED_DATA", Path(__file__).parents[1] / "../shared/data")) / "fred"
KEY = "0123456789abcdef0123456789abcdef"  # pragma: allowlist secret
BUSY = b'<error code="429" message="Too Many Requests.  Exceeded Rate Limit"/>'


class FakeTime:
    """A clock that only sleeping and tests move; the dice always fall on the middle."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def timing(self) -> Timing:
        return Timing(sleep=self.sleep, monotonic=lambda: self.seconds, now=lambda: self.seconds, random=lambda: 0.5)


@pytest.fixture
def clock():
    return FakeTime()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fred").mkdir()
    months = pl.date_range(date(2018, 1, 1), date(2019, 12, 1), "1mo", eager=True)
    write_series(tmp_path / "fred", "MONTHLY", [(str(day), f"{100 + n}.1") for n, day in enumerate(months)])
    return tmp_path / "fred"


@pytest.fixture
def server(folder):
    with FredServer(folder) as running:
        yield running


@pytest.fixture
def storage(tmp_path):
    return FileStorage(uri=(tmp_path / "storage").as_uri())


@pytest.fixture
def fred(server, storage, clock):
    return resource(clock, storage, api_key=KEY, url=server.url)


def resource(clock: FakeTime, storage: Storage, **fields) -> FredResource:
    class FredByFakeTime(FredResource):
        @property
        def timing(self) -> Timing:
            return clock.timing()

    return FredByFakeTime(storage=storage, **fields)


def write_series(folder: Path, series_id: str, rows: list[tuple[str, str]]) -> None:
    lines = [f"observation_date,{series_id}", *(f"{day},{value}" for day, value in rows)]
    (folder / f"{series_id}.csv").write_text("\n".join(lines) + "\n")


def write_vintages(folder: Path, series_id: str, rows: list[tuple[str, str, str]]) -> None:
    (folder / f"{series_id}.vintages.csv").write_text(
        "\n".join(["observation_date,realtime_start,value", *map(",".join, rows)]) + "\n"
    )


def values(table: pl.DataFrame) -> list[float | None]:
    return table["value"].to_list()


def test_a_series_comes_with_its_first_releases(folder, storage, clock):
    write_series(folder, "REVISED", [("2020-01-01", "1.5"), ("2020-02-01", "2.5"), ("2020-03-01", "")])
    write_vintages(
        folder,
        "REVISED",
        [
            ("2020-01-01", "2020-02-14", "1.1"),
            ("2020-01-01", "2020-03-13", "1.5"),
            ("2020-02-01", "2020-03-13", "2.123456789012345"),
            ("2020-02-01", "2020-04-10", "2.5"),
            ("2020-03-01", "2020-04-10", "."),
        ],
    )
    with FredServer(folder) as server:
        fred = resource(clock, storage, api_key=KEY, url=server.url)
        table = fred.observations("REVISED")
    assert table.schema == SERIES_SCHEMA
    assert values(table) == [1.1, 2.123456789012345, None]
    assert table["available_at"].to_list() == [date(2020, 2, 14), date(2020, 3, 13), date(2020, 4, 10)]
    assert table["vintage"].unique().to_list() == ["first_release"]
    info = fred.info("REVISED")
    assert (info.title, info.frequency, info.units, info.vintage) == (
        "Test copy of REVISED",
        "M",
        "Test Units",
        "first_release",
    )


def test_a_series_with_more_vintages_than_fred_serves_is_dated_by_lag(folder, storage, clock):
    days = pl.date_range(date(2010, 1, 1), date(2016, 1, 1), eager=True)
    write_series(folder, "DAILY", [(str(day), "" if n % 9 == 0 else f"{n}.25") for n, day in enumerate(days)])
    with FredServer(folder) as server:
        table = resource(clock, storage, api_key=KEY, url=server.url).observations("DAILY")
        assert len(server.asked("/fred/series/observations")) == 2
    assert values(table) == [None if n % 9 == 0 else n + 0.25 for n in range(len(days))]
    assert (table["available_at"] - table["observation_date"]).unique().to_list() == [
        timedelta(days=PUBLICATION_LAG_DAYS["D"])
    ]
    assert table["vintage"].unique().to_list() == ["latest"]


def test_a_series_that_alfred_does_not_have_is_dated_by_lag(server, fred):
    message = "Bad Request.  The series does not exist in ALFRED but may exist in FRED."
    server.faults.append(
        Fault(200, b"<seriess><series id='MONTHLY' title='t' frequency_short='M' units='u'/></seriess>")
    )
    server.faults.append(Fault(400, f'<error code="400" message="{message}"/>'.encode()))
    table = fred.fetch("MONTHLY")
    assert table["vintage"].unique().to_list() == ["latest"]
    assert len(table) == 24


def test_a_series_without_observations_is_refused(server, fred, storage):
    server.faults.append(
        Fault(200, b"<seriess><series id='MONTHLY' title='t' frequency_short='M' units='u'/></seriess>")
    )
    server.faults.append(Fault(200, b"<observations count='0'/>"))
    with pytest.raises(UserError, match="MONTHLY has no observations"):
        fred.fetch("MONTHLY")
    assert list(storage.list("lake/fred/observations")) == []


def test_an_answer_of_many_pages_is_read_to_the_end(folder, storage, clock):
    with FredServer(folder, observations_per_page=10) as server:
        table = resource(clock, storage, api_key=KEY, url=server.url).observations("MONTHLY")
        assert [asked.get("offset") for asked in server.asked("/fred/series/observations")] == [None, "10", "20"]
    assert values(table) == [100 + n + 0.1 for n in range(24)]


PASSING = {
    "too many requests": Fault(429, BUSY),
    "server error": Fault(500, b"<html>oops</html>"),
    "bad gateway": Fault(502),
    "unavailable": Fault(503, b"<error code='503' message='Service Unavailable'/>"),
    "locked": Fault(423, b"<error code='423' message='Locked'/>"),
    "dropped connection": Fault(0),
    "garbage": Fault(200, b"\x00\xff not xml"),
    "half an answer": Fault(200, b"<seriess><series id='MONTHLY'", {"Content-Length": "5000"}),
    "a page of another site": Fault(200, b"<html><body>Please sign in</body></html>"),
    "an error with status 200": Fault(200, b"<error code='500' message='Internal'/>"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_is_tried_again_and_the_answer_is_whole(fault, server, fred, clock):
    server.faults.extend([fault, fault])
    assert values(fred.observations("MONTHLY")) == [100 + n + 0.1 for n in range(24)]
    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_lasting_fault_ends_in_a_transient_error_and_leaves_no_copy(fault, server, fred, clock, storage):
    server.faults.extend([fault] * ATTEMPTS)
    with pytest.raises(TransientError, match="FRED series MONTHLY"):
        fred.observations("MONTHLY")
    assert len(server.requests) == ATTEMPTS
    assert sum(clock.slept) < RETRY_BUDGET_SECONDS
    assert list(storage.list("lake/fred/observations")) == []
    assert len(fred.observations("MONTHLY")) == 24


def test_no_server_at_all_is_a_transient_error(storage, clock):
    with socket.socket() as taken:  # by somebody who does not listen, so that nobody else comes to
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TransientError, match="no answer from http"):
            resource(clock, storage, api_key=KEY, url=f"http://127.0.0.1:{port}/fred").observations("MONTHLY")
    assert len(clock.slept) == ATTEMPTS - 1


@pytest.mark.parametrize(
    "answer",
    [
        b"<seriess/>",
        b"<seriess><series id='MONTHLY'/></seriess>",
        b"<observations><observation date='x'/></observations>",
    ],
)
def test_xml_that_is_not_the_answer_is_a_transient_error(answer, server, fred):
    server.faults.append(Fault(200, answer))
    with pytest.raises(TransientError, match="makes no sense"):
        fred.observations("MONTHLY")


@pytest.mark.parametrize(("date_text", "value"), [("soon", "1.0"), ("2020-01-01", "much"), ("", "1.0")])
def test_an_observation_that_makes_no_sense_is_a_transient_error(date_text, value, server, fred):
    info = b"<seriess><series id='MONTHLY' title='t' frequency_short='M' units='u'/></seriess>"
    row = f"<observation realtime_start='2020-02-01' date='{date_text}' value='{value}'/>"
    server.faults.extend([Fault(200, info), Fault(200, f"<observations>{row}</observations>".encode())])
    with pytest.raises(TransientError, match="makes no sense"):
        fred.observations("MONTHLY")


@pytest.mark.parametrize("as_date", [False, True])
def test_the_servers_wish_to_wait_is_granted(as_date, server, fred, clock):
    wish = formatdate(clock.seconds + 45, usegmt=True) if as_date else "45"
    server.faults.append(Fault(429, BUSY, {"retry-after": wish}))
    fred.observations("MONTHLY")
    assert clock.slept == [45.0]


def test_a_wish_beyond_the_budget_is_not_waited_for(server, fred, clock):
    server.faults.append(Fault(429, BUSY, {"Retry-After": "3600"}))
    with pytest.raises(TransientError, match="429 Too Many Requests"):
        fred.observations("MONTHLY")
    assert clock.slept == []


def test_an_unknown_series_is_the_users_to_mend_and_is_asked_for_once(server, fred):
    with pytest.raises(UserError, match=r"CPIAUCS does not exist on FRED.*optiflow fred search"):
        fred.observations("CPIAUCS")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("key", "says"), [("wrong-key", "refused the API key"), (None, "wants an API key")])
def test_a_bad_or_missing_key_names_the_variable(key, says, server, storage, clock):
    with pytest.raises(UserError, match=f"{says}.*FRED_API_KEY"):
        resource(clock, storage, api_key=key, url=server.url).observations("MONTHLY")


def test_a_wrong_address_names_the_variable(server, storage, clock):
    server.faults.append(Fault(404, b"<html>nothing here</html>"))
    with pytest.raises(UserError, match=r"answered 404.*OPTIFLOW_FRED_URL"):
        resource(clock, storage, api_key=KEY, url=server.url).observations("MONTHLY")
    with pytest.raises(UserError, match=r"OPTIFLOW_FRED_URL is 'file:///etc'"):
        resource(clock, storage, api_key=KEY, url="file:///etc").observations("MONTHLY")


@pytest.mark.parametrize("bad", ["../../etc", "a", "A&realtime_start=1", "A" * 41])
def test_an_id_that_is_none_never_reaches_the_address(bad, server, fred):
    for ask in (fred.observations, fred.fetch, fred.info):
        with pytest.raises(UserError, match="not a FRED series id"):
            ask(bad)
    assert server.requests == []


@pytest.mark.parametrize("fault", [*PASSING.values(), Fault(400, f"<error message='api_key {KEY} is bad'/>".encode())])
@pytest.mark.parametrize("key", [KEY, "a key with spaces & more"])
def test_the_key_is_in_no_error_log_line_or_repr(fault, key, server, storage, clock, caplog):
    caplog.set_level(logging.DEBUG)
    fred = resource(clock, storage, api_key=key, url=server.url)
    server.faults.extend([fault] * ATTEMPTS)
    with pytest.raises((TransientError, UserError)) as caught:
        fred.observations("MONTHLY")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(fred) + str(fred) + repr(fred._api())
    assert server.requests[0][1]["api_key"] == key
    for secret in (key, key.replace(" ", "+"), "a+key+with"):
        assert secret not in shown


def test_retries_are_logged(server, fred, caplog):
    server.faults.append(Fault(429, BUSY))
    with caplog.at_level(logging.WARNING):
        fred.observations("MONTHLY")
    assert "FRED answered 429 Too Many Requests" in caplog.text


def test_a_young_copy_is_served_without_asking(server, fred, clock):
    first = fred.observations("MONTHLY")
    asked = len(server.requests)
    clock.seconds += 23.9 * 3600
    assert fred.observations("MONTHLY").equals(first)
    assert len(server.requests) == asked


def test_an_old_copy_is_fetched_anew_and_fetch_always_asks(server, fred, clock):
    fred.observations("MONTHLY")
    clock.seconds += 24.1 * 3600
    fred.observations("MONTHLY")
    assert len(server.asked("/fred/series")) == 2
    fred.fetch("MONTHLY")
    assert len(server.asked("/fred/series")) == 3


def test_an_old_copy_serves_with_a_warning_when_fred_is_down(server, fred, clock, caplog):
    first = fred.observations("MONTHLY")
    clock.seconds += 48 * 3600
    server.faults.extend([Fault(500)] * ATTEMPTS)
    with caplog.at_level(logging.WARNING):
        assert fred.observations("MONTHLY").equals(first)
    assert "Using the copy of MONTHLY of 2023-11-14" in caplog.text


def test_an_old_copy_does_not_hide_what_the_user_must_mend(server, fred, clock):
    fred.observations("MONTHLY")
    clock.seconds += 48 * 3600
    server.faults.append(
        Fault(400, b"<error message='Bad Request.  The value for variable api_key is not registered.'/>")
    )
    with pytest.raises(UserError, match="FRED_API_KEY"):
        fred.observations("MONTHLY")


def test_a_copy_from_another_source_is_not_used(server, storage, clock, folder):
    resource(clock, storage).fetch("UNRATE")
    write_series(folder, "UNRATE", [("2018-01-01", "77.7"), ("2018-02-01", "78.8"), ("2018-03-01", "79.9")])
    with FredServer(folder) as other:
        assert values(resource(clock, storage, api_key=KEY, url=other.url).observations("UNRATE"))[0] == 77.7


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"title": "x"}', b"\xff"])
def test_a_copy_whose_facts_cannot_be_read_is_named_and_fetched_anew(server, fred, storage, caplog, damaged):
    first = fred.observations("MONTHLY")
    storage.write_bytes("lake/fred/info/MONTHLY.json", damaged)
    with caplog.at_level(logging.WARNING):
        assert fred.observations("MONTHLY").equals(first)
    assert len(server.asked("/fred/series")) == 2
    assert f"{storage.uri_for('lake/fred/info/MONTHLY.json')} cannot be read" in caplog.text


def test_the_copy_in_the_lake_is_the_table_itself(fred, storage):
    table = fred.fetch("MONTHLY")
    assert storage.scan_parquet("lake/fred/observations/MONTHLY.parquet").collect().equals(table)


def test_without_a_key_the_snapshot_answers_and_another_series_says_how_to_get_one(storage, clock):
    fred = resource(clock, storage)
    table = fred.observations("UNRATE")
    assert table.filter(pl.col("observation_date") == date(2009, 10, 1))["value"].to_list() == [10.0]
    assert table.schema == SERIES_SCHEMA
    assert table["vintage"].unique().to_list() == ["latest"]
    assert fred.info("UNRATE").source == "snapshot"
    with pytest.raises(UserError, match=r"DGS10 is not in the bundled snapshot.*UNRATE.*FRED_API_KEY"):
        fred.observations("DGS10")


def test_every_snapshot_series_can_be_fetched(storage, clock):
    fred = resource(clock, storage)
    for series_id in SNAPSHOT_SERIES:
        table = fred.fetch(series_id)
        assert (table["available_at"] > table["observation_date"]).all()
        assert fred.info(series_id).frequency == SNAPSHOT_SERIES[series_id].frequency


def test_search_finds_titles_on_the_server_and_in_the_snapshot(server, fred, storage, clock, folder):
    found = fred.search("copy monthly", limit=3)
    assert found.rows(named=True) == [
        {
            "id": "MONTHLY",
            "title": "Test copy of MONTHLY",
            "frequency": "M",
            "units": "Test Units",
            "first": date(2018, 1, 1),
            "last": date(2019, 12, 1),
            "popularity": 42,
        }
    ]
    assert fred.search("no such thing").shape == (0, 7)
    offline = resource(clock, storage)
    assert offline.search("unemployment rate")["id"].to_list() == ["UNRATE", "UNRATENSA"]
    assert offline.search("a", limit=4).height == 4
    assert offline.search("zebra").schema == found.schema
    with pytest.raises(UserError, match="Nothing to search for"):
        offline.search("  ")


def test_search_reads_as_many_pages_as_the_limit_needs(folder, storage, clock):
    for number in range(1203):
        write_series(folder, f"S{number}", [("2018-01-01", "1"), ("2018-02-01", "2")])
    with FredServer(folder) as server:
        found = resource(clock, storage, api_key=KEY, url=server.url).search("copy", limit=1200)
        assert found["id"].n_unique() == found.height == 1200
        server.requests.clear()
        assert resource(clock, storage, api_key=KEY, url=server.url).search("copy", limit=7).height == 7
        assert [asked["limit"] for asked in server.asked("/fred/series/search")] == ["7"]


@pytest.mark.parametrize("per_minute", [1, 3, 120])
def test_no_minute_holds_more_requests_than_allowed(per_minute, clock):
    limiter, passed = RateLimiter(), []
    for request in range(per_minute * 3 + 2):
        limiter.acquire(per_minute, clock.timing())
        passed.append(clock.seconds)
        clock.seconds += 0.01 * (request % 7)
    for later in range(per_minute, len(passed)):
        assert passed[later] - passed[later - per_minute] > 60
    assert clock.slept[0] > 50
    assert len(clock.slept) >= 2


def test_a_slow_caller_is_never_held_up(clock):
    limiter = RateLimiter()
    for _ in range(20):
        limiter.acquire(2, clock.timing())
        clock.seconds += 31
    assert clock.slept == []


def test_all_clients_of_a_process_share_the_limit(server, storage, clock):
    clock.seconds += 1_000_000  # past the slots of every other test
    one = resource(clock, storage, api_key=KEY, url=server.url, requests_per_minute=3)
    two = resource(clock, storage, api_key=KEY, url=server.url, requests_per_minute=3)
    one.search("copy")
    two.search("copy")
    one.search("copy")
    assert clock.slept == []
    two.search("copy")
    assert clock.slept == [61.0]


@pytest.mark.skipif(not SHARED_FRED.is_dir(), reason="no shared FRED data (OPTIFLOW_SHARED_DATA)")
def test_real_series_arrive_exactly_as_served(storage, clock):
    with FredServer(SHARED_FRED) as server:
        fred = resource(clock, storage, api_key=KEY, url=server.url)
        files = sorted(path for path in SHARED_FRED.glob("*.csv"))
        kinds = {}
        for path in files:
            table = fred.observations(path.stem)
            served = pl.read_csv(
                path, schema={"observation_date": pl.Date, "value": pl.Float64}, skip_rows=1, has_header=False
            )
            assert table.select("observation_date", "value").equals(served, null_equal=True), path.stem
            assert (table["available_at"] > table["observation_date"]).all()
            kinds[path.stem] = table["vintage"][0]
    assert kinds["DGS10"] == kinds["DCOILWTICO"] == "latest"
    assert kinds["CPIAUCSL"] == kinds["UNRATE"] == "first_release"

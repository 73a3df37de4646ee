"""A server that speaks FRED's protocol over real HTTP: series, observations with vintages, search, and faults on demand.

By hand: `python tests/fred_server.py FOLDER --port 8899`, then run OptiFlow with `OPTIFLOW_FRED_URL=http://127.0.0.1:8899/fred`
and any `FRED_API_KEY`. FOLDER holds `<SERIES>.csv` in FRED's own form (`observation_date,<SERIES>`, blank or `.` for
missing). Beside it `<SERIES>.vintages.csv` (`observation_date,realtime_start,value`) may hold what was published when;
without it every observation is published once, a typical time after its date.
"""

import argparse
import csv
import itertools
import statistics
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

VINTAGE_LIMIT = 2000
FREQUENCIES = (  # longest median gap in days, code, name, typical days from date to release
    (5, "D", "Daily", 1),
    (10, "W", "Weekly", 5),
    (20, "BW", "Biweekly", 5),
    (45, "M", "Monthly", 45),
    (135, "Q", "Quarterly", 120),
    (270, "SA", "Semiannual", 240),
    (100_000, "A", "Annual", 420),
)


@dataclass(frozen=True)
class Fault:
    """An answer to give instead of the real one; status 0 drops the connection without a word."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """One value of one observation, as published on `realtime_start`."""

    observed: date
    realtime_start: date
    value: str


@dataclass(frozen=True)
class Series:
    """One series of the folder."""

    series_id: str
    folder: Path

    @cached_property
    def observations(self) -> list[tuple[date, str]]:
        """Dates and values as FRED writes them."""
        with (self.folder / f"{self.series_id}.csv").open(newline="") as file:
            return [(date.fromisoformat(day), value or ".") for day, value in list(csv.reader(file))[1:]]

    @cached_property
    def frequency(self) -> tuple[str, str, int]:
        """Code, name and typical publication delay, by the spacing of the observations."""
        days = [day for day, _ in self.observations]
        gap = statistics.median((b - a).days for a, b in itertools.pairwise(days)) if len(days) > 1 else 365
        return next((code, name, delay) for longest, code, name, delay in FREQUENCIES if gap <= longest)

    @cached_property
    def releases(self) -> list[Release]:
        """Every release of every observation, by observation, then by release date."""
        path = self.folder / f"{self.series_id}.vintages.csv"
        if path.is_file():
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
            found = [
                Release(date.fromisoformat(day), date.fromisoformat(start), value or ".") for day, start, value in rows
            ]
            return sorted(found, key=lambda release: (release.observed, release.realtime_start))
        delay = timedelta(days=self.frequency[2])
        return [Release(day, day + delay, value) for day, value in self.observations]

    def facts(self) -> dict[str, str]:
        """The attributes of FRED's `<series>` element."""
        code, name, _ = self.frequency
        return {
            "id": self.series_id,
            "realtime_start": "2026-01-15",
            "realtime_end": "2026-01-15",
            "title": f"Test copy of {self.series_id}",
            "observation_start": str(self.observations[0][0]),
            "observation_end": str(self.observations[-1][0]),
            "frequency": name,
            "frequency_short": code,
            "units": "Test Units",
            "units_short": "Test",
            "seasonal_adjustment": "Not Seasonally Adjusted",
            "seasonal_adjustment_short": "NSA",
            "last_updated": "2026-01-15 07:36:02-06",
            "popularity": "42",
            "notes": "Served by a test server.",
        }


class RefusedError(Exception):
    """A 400 with FRED's message."""


class FredServer:
    """The server on 127.0.0.1; use as a context manager.

    `faults` are answered first, one a request. `requests` logs path and parameters of every request.
    """

    def __init__(self, folder: Path, port: int = 0, observations_per_page: int = 100_000) -> None:
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.observations_per_page = observations_per_page
        self._series = {
            path.stem: Series(path.stem, folder) for path in sorted(folder.glob("*.csv")) if "." not in path.stem
        }
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: the tests read `requests`."""

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """What to set `OPTIFLOW_FRED_URL` to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/fred"

    def __enter__(self) -> "FredServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def asked(self, path: str) -> list[dict[str, str]]:
        """The parameters of every request of this path, such as `/fred/series`."""
        return [parameters for asked_path, parameters in self.requests if asked_path == path]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request: the next fault, or what FRED would say."""
        parts = urlsplit(handler.path)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((parts.path, parameters))
        if self.faults:
            fault = self.faults.popleft()
            if fault.status == 0:
                handler.close_connection = True
                return
            _send(handler, fault.status, fault.body, fault.headers)
            return
        try:
            body, status = self._body(parts.path, parameters), 200
        except RefusedError as refusal:
            body, status = f"<error code={quoteattr('400')} message={quoteattr(f'Bad Request.  {refusal}')}/>", 400
        _send(handler, status, f'<?xml version="1.0" encoding="utf-8" ?>\n{body}'.encode(), {})

    def _body(self, path: str, parameters: dict[str, str]) -> str:
        if not parameters.get("api_key"):
            raise RefusedError("Variable api_key has not been set.")
        if not parameters["api_key"].isalnum():
            raise RefusedError("The value for variable api_key is not registered.")
        if path == "/fred/series":
            return _element("seriess", {}, [_element("series", self._find(parameters).facts())])
        if path == "/fred/series/observations":
            return self._observations(self._find(parameters), parameters)
        if path == "/fred/series/search":
            return self._search(parameters)
        raise RefusedError("The requested path does not exist.")

    def _find(self, parameters: dict[str, str]) -> Series:
        series = self._series.get(parameters.get("series_id", ""))
        if series is None:
            raise RefusedError("The series does not exist.")
        return series

    def _observations(self, series: Series, parameters: dict[str, str]) -> str:
        today = str(date.today())  # noqa: DTZ011
        start = date.fromisoformat(parameters.get("realtime_start", today))
        end = date.fromisoformat(parameters.get("realtime_end", today))
        vintages = {release.realtime_start for release in series.releases if start <= release.realtime_start <= end}
        if len(vintages) > VINTAGE_LIMIT:
            raise RefusedError(
                f"There are {len(vintages)} vintage dates in the specified real-time period: {start} to {end}.  "
                f"This exceeds the maximum number of vintage dates allowed ({VINTAGE_LIMIT})."
            )
        first = date.fromisoformat(parameters.get("observation_start", "1776-07-04"))
        last = date.fromisoformat(parameters.get("observation_end", "9999-12-31"))
        rows = [
            row for row in _intervals(series.releases, start, end) if first <= date.fromisoformat(row["date"]) <= last
        ]
        limit, offset = self.observations_per_page, int(parameters.get("offset", 0))
        attributes = {
            "realtime_start": str(start),
            "realtime_end": str(end),
            "observation_start": str(first),
            "observation_end": str(last),
            "units": "lin",
            "output_type": "1",
            "file_type": "xml",
            "order_by": "observation_date",
            "sort_order": "asc",
            "count": str(len(rows)),
            "offset": str(offset),
            "limit": str(limit),
        }
        return _element(
            "observations", attributes, [_element("observation", row) for row in rows[offset : offset + limit]]
        )

    def _search(self, parameters: dict[str, str]) -> str:
        words = parameters.get("search_text", "").lower().split()
        found = [s.facts() for s in self._series.values() if all(word in str(s.facts()).lower() for word in words)]
        limit, offset = int(parameters.get("limit", 1000)), int(parameters.get("offset", 0))
        attributes = {"count": str(len(found)), "offset": str(offset), "limit": str(limit)}
        return _element("seriess", attributes, [_element("series", facts) for facts in found[offset : offset + limit]])


def _intervals(releases: list[Release], start: date, end: date) -> list[dict[str, str]]:
    """Every value that was current at some time from `start` to `end`, with its real-time period cut to that."""
    rows = []
    for index, release in enumerate(releases):
        following = releases[index + 1] if index + 1 < len(releases) else None
        replaced = following is not None and following.observed == release.observed
        until = following.realtime_start - timedelta(days=1) if replaced and following else date.max
        if release.realtime_start <= end and until >= start:
            period = {"realtime_start": str(max(release.realtime_start, start)), "realtime_end": str(min(until, end))}
            rows.append({**period, "date": str(release.observed), "value": release.value})
    return rows


def _element(tag: str, attributes: dict[str, str], children: list[str] | None = None) -> str:
    inner = " ".join([tag, *(f"{name}={quoteattr(value)}" for name, value in attributes.items())])
    return f"<{inner}>{''.join(children)}</{tag}>" if children is not None else f"<{inner}/>"


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "text/xml;charset=utf-8", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def main() -> None:
    """Serve a folder until interrupted."""
    parser = argparse.ArgumentParser(description="Serve FRED's protocol from a folder of FRED's CSV files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8899)
    arguments = parser.parse_args()
    with FredServer(arguments.folder, arguments.port) as server:
        print(f"OPTIFLOW_FRED_URL={server.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped.")

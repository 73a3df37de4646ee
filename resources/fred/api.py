"""The questions that FRED answers, through fredapi, as polars frames.

What belongs here: fredapi with our transport under it, and its pandas made into exact polars. What does not: how an
address is fetched (`resources.fred.http`), caching (`resources.fred`), what a publication date means (`optiflow.fred`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from xml.etree import ElementTree

import polars as pl

from optiflow.errors import TransientError
from resources.fred.http import FredHttp

ROWS_PER_PAGE = 100_000
"""FRED's own limit of observations per answer; fredapi takes the first page for the whole."""
RESULTS_PER_PAGE = 1000
SEARCH_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "title": pl.String(),
        "frequency": pl.String(),
        "units": pl.String(),
        "first": pl.Date(),
        "last": pl.Date(),
        "popularity": pl.Int64(),
    }
)
"""`frequency` is FRED's short code, `first` and `last` are observation dates, `popularity` is 0 to 100."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class FredApi:
    """FRED's series, vintages and search. Every method raises what `FredHttp.get` raises."""

    http: FredHttp

    def info(self, series_id: str) -> Mapping[str, str]:
        """What FRED says of a series: `title`, `frequency` (short code) and `units`."""

        def read(fred: Any) -> Mapping[str, str]:
            facts = fred.get_series_info(series_id)
            return {"title": facts["title"], "frequency": facts["frequency_short"], "units": facts["units"]}

        return self._ask(f"series {series_id}", read)

    def all_releases(self, series_id: str) -> pl.DataFrame:
        """Every vintage of every observation: `series_id`, `observation_date`, `realtime_start`, `value`.

        Raises:
            VintagesRefusedError: only the latest vintage can be had.
        """

        def read(fred: Any) -> pl.DataFrame:
            releases = fred.get_series_all_releases(series_id)
            names = ("date", "realtime_start", "value")
            dates, starts, values = (releases[name].tolist() if len(releases) else [] for name in names)
            return _frame(series_id, values, observation_date=dates, realtime_start=starts)

        return self._ask(f"series {series_id}", read)

    def latest(self, series_id: str) -> pl.DataFrame:
        """Today's value of every observation: `series_id`, `observation_date`, `value`."""

        def read(fred: Any) -> pl.DataFrame:
            values = fred.get_series(series_id)
            return _frame(series_id, values.tolist(), observation_date=values.index.tolist())

        return self._ask(f"series {series_id}", read)

    def search(self, text: str, limit: int) -> pl.DataFrame:
        """The best matches of a full-text search, the first `limit`, by `SEARCH_SCHEMA`."""

        def read(fred: Any) -> pl.DataFrame:
            found = fred.search(text, limit=limit)
            rows = [] if found is None else found.to_dict("records")
            return pl.DataFrame(
                {
                    "id": [row["id"] for row in rows],
                    "title": [row["title"] for row in rows],
                    "frequency": [row["frequency_short"] for row in rows],
                    "units": [row["units"] for row in rows],
                    "first": [row["observation_start"] for row in rows],
                    "last": [row["observation_end"] for row in rows],
                    "popularity": [int(row["popularity"]) if row["popularity"] else None for row in rows],
                },
                schema=SEARCH_SCHEMA,
            )

        return self._ask(f"search for {text!r}", read, results_per_page=min(limit, RESULTS_PER_PAGE))

    def _ask(self, what: str, read: Callable[[Any], _T], results_per_page: int = RESULTS_PER_PAGE) -> _T:
        try:
            return read(_fredapi_over(self.http, results_per_page))
        # What fredapi stumbles over when an answer is XML, but not the XML of this question.
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise TransientError(
                f"FRED {what}: the answer makes no sense ({type(error).__name__}). Try again later; "
                "if it stays so, check OPTIFLOW_FRED_URL."
            ) from error


def _fredapi_over(http: FredHttp, results_per_page: int) -> Any:
    """A fredapi client that fetches through `http`. fredapi imports pandas, hence the late import."""
    import fredapi

    class Client(fredapi.Fred):
        def __init__(self) -> None:
            # Not fredapi's own, which reads a key from the environment and sets proxies for the whole process.
            self.root_url = http.url.rstrip("/")

        # The private name is fredapi's one seam: its own version has no time-out and hides the status code.
        def _Fred__fetch_data(self, url: str) -> ElementTree.Element:
            if "/series/search?" in url:
                return http.get(f"{url}&limit={results_per_page}")
            return _all_pages(http, url)

        # fredapi's own, by pandas, takes 5 s for 30,000 rows.
        def _parse(self, date_str: str | None, format: str | None = None) -> date | None:
            return date.fromisoformat(date_str[:10]) if date_str else None

    return Client()


def _all_pages(http: FredHttp, url: str) -> ElementTree.Element:
    """An answer with the pages after the first added to it."""
    root = page = http.get(url)
    while "/series/observations?" in url and len(page) >= int(page.get("limit") or ROWS_PER_PAGE):
        page = http.get(f"{url}&offset={len(root)}")
        root.extend(page)
    return root


def _frame(series_id: str, values: list[float], **dates: list[date]) -> pl.DataFrame:
    schema: dict[str, Any] = {**dict.fromkeys(dates, pl.Date), "value": pl.Float64}
    frame = pl.DataFrame({**dates, "value": values}, schema=schema).with_columns(pl.col("value").fill_nan(None))
    if any(frame[name].null_count() for name in dates):
        raise ValueError("an observation without a date")
    return frame.select(pl.lit(series_id).alias("series_id"), pl.all())

"""The FRED resource: series by id, from the lake's cache, from FRED, or from the bundled snapshot.

What belongs here: which of the three answers, and how fresh a copy must be. What does not: FRED's protocol
(`resources.fred.api`, `resources.fred.http`), publication dates and joins (`optiflow`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg
import polars as pl
from pydantic import Field

from optiflow.errors import TransientError, UserError
from optiflow.fred import series as fred_series
from optiflow.fred import snapshot
from optiflow.fred.enrichment import SeriesCoverage, series_coverage
from resources.fred.api import SEARCH_SCHEMA, FredApi
from resources.fred.http import FRED_URL, KEY_PAGE, FredHttp, VintagesRefusedError
from resources.http_retries import Timing
from resources.storage import LAKE, Storage

SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class SeriesInfo:
    """What a series is and where our copy comes from.

    `frequency` is FRED's short code, `vintage` as in `SERIES_SCHEMA`, `source` the server's address or `snapshot`,
    `fetched_at` seconds since 1970 (UTC), `digest` that of the observations, empty of a copy that an older version made.
    """

    series_id: str
    title: str
    frequency: str
    units: str
    vintage: str
    source: str
    fetched_at: float
    digest: str = ""


class FredResource(dg.ConfigurableResource):
    """FRED series as `optiflow.fred.series.SERIES_SCHEMA` tables.

    Without `api_key` and `url` only the bundled snapshot answers. Give the key as `dg.EnvVar`, so that Dagster does
    not show it.
    """

    api_key: str | None = Field(default=None, repr=False)
    url: str | None = None
    storage: dg.ResourceDependency[Storage]
    max_age_hours: float = 24
    requests_per_minute: int = Field(default=120, ge=1)

    @property
    def timing(self) -> Timing:
        """The clocks that the resource goes by."""
        return Timing()

    @property
    def source(self) -> str:
        """Who answers: a server's address, or `snapshot`."""
        return (self.url or FRED_URL).rstrip("/") if self.api_key or self.url else SNAPSHOT

    def observations(self, series_id: str) -> pl.DataFrame:
        """The series, from the cache while that is younger than `max_age_hours`, else fetched anew.

        A copy that is too old still serves, with a warning, when FRED cannot be reached.

        Returns:
            One row per observation by `SERIES_SCHEMA`, sorted by observation date.

        Raises:
            UserError: no such series, a bad key, or no key and the series is not in the snapshot.
            TransientError: FRED cannot be reached and there is no copy.
        """
        fred_series.check_series_id(series_id)
        if self.source == SNAPSHOT:
            return _from_snapshot(series_id)
        cached = self._cached(series_id)
        if cached is None:
            return self.fetch(series_id)
        frame, info = cached
        if 0 <= self.timing.now() - info.fetched_at < self.max_age_hours * 3600:
            return frame
        try:
            return self.fetch(series_id)
        except TransientError as error:
            when = datetime.fromtimestamp(info.fetched_at, UTC)
            dg.get_dagster_logger("fred").warning(
                "%s Using the copy of %s of %s.", error, series_id, f"{when:%F %H:%M} UTC"
            )
            return frame

    def coverage(self, series: pl.DataFrame, dates: pl.Series) -> dict[str, SeriesCoverage]:
        """How far each series covers rows of these dates.

        Args:
            series: Rows of `SERIES_SCHEMA`, as `observations` gives them, of any number of series.
            dates: The rows' dates.

        Raises:
            UserError: a series has no value for any row; or the bundled snapshot, which ended years ago and must not pass for
                macro data of today, ends before most of them.
        """
        coverage = series_coverage(series, dates)
        outdated = [series_id for series_id, covered in coverage.items() if covered.rows_stale > len(dates) / 2]
        if self.source == SNAPSHOT and outdated:
            last = ", ".join(f"{series_id} ({coverage[series_id].last_available})" for series_id in outdated)
            raise UserError(
                f"The bundled FRED snapshot ends before most of these rows: {last}. Set FRED_API_KEY to fetch today's "
                f"figures (a key is free at {KEY_PAGE}), or take the series out of fred_series."
            )
        return coverage

    def fetch(self, series_id: str) -> pl.DataFrame:
        """The series anew from its source, put into the cache.

        Returns and raises as `observations`, but for the old copy.
        """
        fred_series.check_series_id(series_id)
        if self.source == SNAPSHOT:
            frame = _from_snapshot(series_id)
            series = snapshot.SNAPSHOT_SERIES[series_id]
            facts = {"title": series.title, "frequency": series.frequency, "units": series.units}
        else:
            frame, facts = self._from_fred(series_id)
        info = SeriesInfo(
            series_id=series_id,
            **facts,
            vintage=frame["vintage"][0],
            source=self.source,
            fetched_at=self.timing.now(),
            digest=hashlib.sha256(frame.write_csv().encode()).hexdigest()[:12],
        )
        self.storage.write_parquet(_observations_key(series_id), frame)
        # After the data: a crash between the two leaves a copy that looks too old, not one that looks fresh.
        self.storage.write_bytes(_info_key(series_id), json.dumps(asdict(info)).encode())
        return frame

    def info(self, series_id: str) -> SeriesInfo:
        """What the series is; fetched with its observations, so free of charge after `observations`.

        Raises:
            UserError, TransientError: as `observations`.
        """
        fred_series.check_series_id(series_id)
        known = self._cached_info(series_id)
        if known is None:
            self.fetch(series_id)
            known = self._cached_info(series_id)
        if known is None:
            raise TransientError(f"FRED series {series_id}: its copy vanished while it was read. Run again.")
        return known

    def title(self, series_id: str) -> str:
        """The series' title as far as it is known here; asks nobody, empty if it is not."""
        if self.source == SNAPSHOT:
            series = snapshot.SNAPSHOT_SERIES.get(series_id)
            return series.title if series else ""
        known = self._cached_info(series_id)
        return known.title if known else ""

    def version(self, *series_ids: str) -> str:
        """Which figures of these series we hold, as a digest that changes when one of them does; asks nobody."""
        held = sorted((series_id, self._held(series_id)) for series_id in series_ids)
        return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:12]

    def _held(self, series_id: str) -> str:
        if self.source == SNAPSHOT:
            return SNAPSHOT
        known = self._cached_info(series_id)
        return known.digest if known else ""

    def search(self, text: str, limit: int = 20) -> pl.DataFrame:
        """Series whose description matches `text`, the best first, by `SEARCH_SCHEMA`.

        Without a key the titles of the bundled snapshot are searched; `popularity` is null there.

        Raises:
            UserError: `text` is empty, or a bad key.
            TransientError: FRED cannot be reached.
        """
        if not text.strip():
            raise UserError("Nothing to search for: give a word of the series' title, such as `unemployment`.")
        if self.source == SNAPSHOT:
            return _search_snapshot(text).head(limit)
        return self._api().search(text, limit)

    def _api(self) -> FredApi:
        return FredApi(
            FredHttp((self.api_key or "").strip() or None, self.source, self.requests_per_minute, self.timing)
        )

    def _from_fred(self, series_id: str) -> tuple[pl.DataFrame, Mapping[str, str]]:
        api = self._api()
        facts = api.info(series_id)
        frequency = facts["frequency"]
        try:
            frame = fred_series.first_releases(api.all_releases(series_id), frequency)
        except VintagesRefusedError:
            frame = fred_series.with_publication_lag(api.latest(series_id), frequency)
        if frame.is_empty():
            raise UserError(f"FRED series {series_id} has no observations: choose another one.")
        return frame, facts

    def _cached(self, series_id: str) -> tuple[pl.DataFrame, SeriesInfo] | None:
        info = self._cached_info(series_id)
        try:
            return (self.storage.scan_parquet(_observations_key(series_id)).collect(), info) if info else None
        except FileNotFoundError:
            return None

    def _cached_info(self, series_id: str) -> SeriesInfo | None:
        """What we know of our copy; None without one that can be read, or if it comes from elsewhere (base years differ)."""
        key = _info_key(series_id)
        try:
            info = SeriesInfo(**json.loads(self.storage.read_bytes(key)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            told = f"{self.storage.uri_for(key)} cannot be read ({error}): {series_id} is fetched anew."
            dg.get_dagster_logger("fred").warning(told)
            return None
        return info if info.source == self.source else None


def _observations_key(series_id: str) -> str:
    return f"{LAKE}/fred/observations/{series_id}.parquet"


def _info_key(series_id: str) -> str:
    return f"{LAKE}/fred/info/{series_id}.json"


def _from_snapshot(series_id: str) -> pl.DataFrame:
    if series_id not in snapshot.SNAPSHOT_SERIES:
        raise UserError(
            f"FRED series {series_id} is not in the bundled snapshot, which has {', '.join(snapshot.SNAPSHOT_SERIES)}. "
            f"For every other series set FRED_API_KEY; a key is free at {KEY_PAGE}."
        )
    frequency = snapshot.SNAPSHOT_SERIES[series_id].frequency
    return fred_series.with_publication_lag(snapshot.load(series_id), frequency)


def _search_snapshot(text: str) -> pl.DataFrame:
    words = text.lower().split()
    found = [
        (series_id, series.title, series.frequency, series.units, series.first, series.last, None)
        for series_id, series in snapshot.SNAPSHOT_SERIES.items()
        if all(word in f"{series_id} {series.title}".lower() for word in words)
    ]
    return pl.DataFrame(found, schema=SEARCH_SCHEMA, orient="row")

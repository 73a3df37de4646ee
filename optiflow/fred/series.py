"""A FRED series as `(series_id, observation_date, available_at, value)`: when each figure could be known, and the figure.

What belongs here: the table's schema, publication lags, first releases out of ALFRED's vintages. What does not: how a
series is fetched or stored (`resources.fred`), and how it meets the orders (`optiflow.fred.calendar`).
"""

import re
from datetime import timedelta

import polars as pl

from optiflow.errors import UserError

SERIES_SCHEMA = pl.Schema(
    {
        "series_id": pl.String(),
        "observation_date": pl.Date(),
        "available_at": pl.Date(),
        "value": pl.Float64(),
        "vintage": pl.String(),
    }
)
FIRST_RELEASE = "first_release"
"""`vintage`: the value as it was published first, on a date that ALFRED knows."""
LATEST = "latest"
"""`vintage`: today's value, on a date reckoned by publication lag; later revisions shine through."""

PUBLICATION_LAG_DAYS = {
    # EIA's oil prices come out on Wednesdays and reach to the day before last: a Tuesday waits 8 days, a holiday adds 2.
    "D": 10,
    # Dated on the week's last day. Continued claims take 12 days, the banks' balance sheets (H.8) 9; a holiday adds 2.
    "W": 14,
    # As weekly, one week more.
    "BW": 21,
    # Dated on the first of the month. Prices and jobs take 45 days, the inventories-to-sales ratio 75, and the
    # Case-Shiller index comes on the last Tuesday of the second month after: July's on 30 September, 91 days.
    "M": 92,
    # Dated on the first of the quarter. GDP takes 120 days, the financial accounts (Z.1) 165, the census of
    # employment and wages (QCEW) 270.
    "Q": 270,
    # Dated on the first of the half-year, published up to half a year after its end.
    "SA": 365,
    # Dated on 1 January. County incomes and poverty rates come in November or December of the year after.
    "A": 730,
}
"""Days from an observation's date to the day by which it is surely out, by FRED's `frequency_short`.

Too long costs a little freshness; too short shows an order a figure that nobody had. So each is the slowest of the
widely used series of its frequency, not the typical one.
"""

_LONGEST_GAP = (("D", 5), ("W", 10), ("BW", 20), ("M", 45), ("Q", 135), ("SA", 270))
_ARCHIVE_GRACE_DAYS = 365
_SERIES_ID = re.compile(r"[A-Z0-9_]{1,40}")


def check_series_id(series_id: str) -> str:
    """Return `series_id` if it may become part of a path or an address.

    Raises:
        UserError: it has other characters than FRED's ids.
    """
    if _SERIES_ID.fullmatch(series_id):
        return series_id
    upper = series_id.strip().upper()
    hint = f" Did you mean {upper!r}?" if _SERIES_ID.fullmatch(upper) else ""
    raise UserError(
        f"{series_id[:60]!r} is not a FRED series id: they are capitals, digits and underscores, at most 40 characters, "
        f"such as CPIAUCSL.{hint} Look one up with `optiflow fred search TEXT`."
    )


def lag_days(frequency: str) -> int:
    """The publication lag of a `frequency_short`; that of annual series for one that is not in the table."""
    return PUBLICATION_LAG_DAYS.get(frequency, PUBLICATION_LAG_DAYS["A"])


def infer_frequency(dates: pl.Series) -> str:
    """FRED's frequency code by the median gap between observation dates; `A`, the slowest, for fewer than two dates."""
    gap = dates.drop_nulls().unique().sort().diff().drop_nulls().dt.total_days().median()
    if not isinstance(gap, float):
        return "A"
    return next((code for code, longest in _LONGEST_GAP if gap <= longest), "A")


def with_publication_lag(observations: pl.DataFrame, frequency: str) -> pl.DataFrame:
    """Today's values, each available a publication lag after its date.

    Args:
        observations: Columns `series_id`, `observation_date` and `value`, in any order; others are dropped.
        frequency: FRED's `frequency_short`.

    Returns:
        One row per observation by `SERIES_SCHEMA`, vintage `latest`, sorted by observation date.
    """
    available_at = pl.col("observation_date") + timedelta(days=lag_days(frequency))
    return _conform(observations.with_columns(available_at=available_at, vintage=pl.lit(LATEST)))


def first_releases(all_releases: pl.DataFrame, frequency: str) -> pl.DataFrame:
    """Each observation as it was published first, out of all its vintages.

    Args:
        all_releases: Columns `series_id`, `observation_date`, `realtime_start` (Date) and `value`; one row per
            observation and vintage, in any order, all of one series.
        frequency: FRED's `frequency_short`.

    Returns:
        One row per observation by `SERIES_SCHEMA`, vintage `first_release`, sorted by observation date. The value
        is null only where no vintage has one.
    """
    # A release without a figure ('.') tells nothing: the first one with a figure is the publication.
    figure = pl.col("value").cast(pl.Float64).fill_nan(None)
    ordered = all_releases.with_columns(figure).sort("observation_date", figure.is_null(), "realtime_start")
    first = ordered.unique("observation_date", keep="first", maintain_order=True)
    lag = timedelta(days=lag_days(frequency))
    reckoned = pl.col("observation_date") + lag
    released = pl.col("realtime_start")
    # ALFRED's archive of a series begins long after the series: what its first vintage holds was published before, on
    # dates that ALFRED does not know. Taking the archive's first day would hide decades of figures from every older
    # order. The same holds for history that was added to the archive years after the fact.
    archive_begin = pl.lit(all_releases["realtime_start"]).min()
    date_unknown = (released == archive_begin) | (released > reckoned + timedelta(days=_ARCHIVE_GRACE_DAYS))
    available_at = pl.when(date_unknown).then(pl.min_horizontal(reckoned, released)).otherwise(released)
    return _conform(first.with_columns(available_at=available_at, vintage=pl.lit(FIRST_RELEASE)))


def _conform(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns, order and types of `SERIES_SCHEMA`; NaN is missing, as FRED's '.' is."""
    columns = [pl.col(name).cast(dtype) for name, dtype in SERIES_SCHEMA.items()]
    return frame.select(columns).with_columns(pl.col("value").fill_nan(None)).sort("observation_date")

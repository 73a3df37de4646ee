"""Real public-domain FRED observations that serve the bundled sample where no API key is set.

What belongs here: the figures (`observations.csv`), what each series is, and how to read one. Where the figures come
from is in `README.md` beside this file. What does not: asking FRED, publication lags, joins.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import polars as pl

SCHEMA = {"series_id": pl.String, "observation_date": pl.Date, "value": pl.Float64}


@dataclass(frozen=True)
class SnapshotSeries:
    """What FRED says of one series, and which part of it is bundled.

    Attributes:
        series_id: FRED's id.
        title: FRED's title.
        frequency: FRED's short form: D, W, BW, M, Q or A.
        units: The unit of the bundled figures. Base years move: where they do, this is the year of these figures.
        seasonal_adjustment: FRED's short form: SA, NSA or SAAR (annual rate).
        agency: Who publishes the figures.
        first: Date of the first bundled observation.
        last: Date of the last bundled observation. Nothing later is known, however late the order.
    """

    series_id: str
    title: str
    frequency: str
    units: str
    seasonal_adjustment: str
    agency: str
    first: date
    last: date


# One line a series, as a person would list them; a literal because nothing is read from the disk at import.
_TABLE = """
CEU4200000001 | M | Thousands of Persons | NSA | BLS | 2008-01-01 | 2019-09-01 | All Employees, Retail Trade
CPIAUCSL | M | Index 1982-1984=100 | SA | BLS | 2008-01-01 | 2016-06-01 | Consumer Price Index for All Urban Consumers: All Items in U.S. City Average
CPILFESL | M | Index 1982-1984=100 | SA | BLS | 2008-01-01 | 2018-11-01 | Consumer Price Index for All Urban Consumers: All Items Less Food and Energy in U.S. City Average
DCOILWTICO | D | Dollars per Barrel | NSA | EIA | 2008-01-02 | 2019-01-03 | Crude Oil Prices: West Texas Intermediate (WTI) - Cushing, Oklahoma
GDPC1 | Q | Billions of Chained 2009 Dollars | SAAR | BEA | 2008-01-01 | 2016-04-01 | Real Gross Domestic Product
HOUST | M | Thousands of Units | SAAR | Census | 2008-01-01 | 2016-06-01 | New Privately-Owned Housing Units Started: Total Units
INDPRO | M | Index 2012=100 | SA | Federal Reserve Board | 2008-01-01 | 2016-06-01 | Industrial Production: Total Index
PAYEMS | M | Thousands of Persons | SA | BLS | 2008-01-01 | 2016-06-01 | All Employees, Total Nonfarm
PAYNSA | M | Thousands of Persons | NSA | BLS | 2008-01-01 | 2019-09-01 | All Employees, Total Nonfarm
PCE | M | Billions of Dollars | SAAR | BEA | 2008-01-01 | 2015-04-01 | Personal Consumption Expenditures
PSAVERT | M | Percent | SAAR | BEA | 2008-01-01 | 2015-04-01 | Personal Saving Rate
RSAFS | M | Millions of Dollars | SA | Census | 2008-01-01 | 2016-06-01 | Advance Retail Sales: Retail Trade and Food Services
UEMPMED | M | Weeks | SA | BLS | 2008-01-01 | 2015-04-01 | Median Weeks Unemployed
UNEMPLOY | M | Thousands of Persons | SA | BLS | 2008-01-01 | 2015-04-01 | Unemployment Level
UNRATE | M | Percent | SA | BLS | 2008-01-01 | 2016-06-01 | Unemployment Rate
UNRATENSA | M | Percent | NSA | BLS | 2008-01-01 | 2016-12-01 | Unemployment Rate
"""


def _series(line: str) -> SnapshotSeries:
    series_id, frequency, units, adjustment, agency, first, last, title = line.split(" | ")
    return SnapshotSeries(
        series_id, title, frequency, units, adjustment, agency, date.fromisoformat(first), date.fromisoformat(last)
    )


SNAPSHOT_SERIES: dict[str, SnapshotSeries] = {
    series.series_id: series for series in map(_series, _TABLE.strip().splitlines())
}


def load(series_id: str) -> pl.DataFrame:
    """The bundled observations of one series, in the order of their dates.

    Days on which FRED has no figure (".", such as oil on holidays) are left out.

    Args:
        series_id: A key of `SNAPSHOT_SERIES`.

    Returns:
        Three columns, one row an observation: `series_id` (String), `observation_date` (Date), `value` (Float64, never null).

    Raises:
        KeyError: the series is not bundled.
    """
    if series_id not in SNAPSHOT_SERIES:
        raise KeyError(series_id)
    return _observations().filter(pl.col("series_id") == series_id)


@cache
def _observations() -> pl.DataFrame:
    return pl.read_csv(files(__name__).joinpath("observations.csv").read_bytes(), schema=SCHEMA)

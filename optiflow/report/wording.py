"""How numbers, shares, dates and metrics are written for people, alike in Markdown, HTML and plots.

What belongs here: words and rounding. What does not: figures, and the sentences that judge a model (`verdict`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optiflow.report.model import Period

MINUS = "\u2212"
NOTHING = "\u2013"
DIGITS = 4


@dataclass(frozen=True)
class MetricWords:
    """A metric's key, short name, one line on what it means, and whether it is a share of 1."""

    key: str
    label: str
    meaning: str
    is_share: bool = False


METRICS = (
    MetricWords("mse", "MSE", "mean squared error: large misses count most; training minimises it"),
    MetricWords("rmse", "RMSE", "its square root, in units of the target"),
    MetricWords("mae", "MAE", "the average miss, in units of the target"),
    MetricWords("wape", "WAPE", "all misses together, as a share of all actuals", is_share=True),
    MetricWords(
        "mape", "MAPE", "the average miss as a share of its actual; rows with actual 0 left out", is_share=True
    ),
    MetricWords("bias", "Bias", "predicted minus actual on average: above 0 is too high"),
    MetricWords("r2", "R²", "share of the variation that is explained; below 0 is worse than a constant"),
)

VINTAGES = {
    "first_release": "first published figure, on the day ALFRED has for it",
    "latest": "today's figure, on the day reckoned by publication lag; later revisions shine through",
}


def number(value: float | None) -> str:
    """Four significant digits, thousands separated, never an exponent up to 15 digits: `12,346`, `0.01235`."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    rounded = f"{value:.{DIGITS - 1}e}"
    exponent = int(rounded.partition("e")[2])
    if not -6 <= exponent < 15:
        return rounded.replace("-", MINUS)
    decimals = max(0, DIGITS - 1 - exponent)
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share of 1 with one decimal: `12.3 %`, `1,234.5 %`."""
    if share is None:
        return NOTHING
    text = f"{share * 100:,.1f}"
    return f"{text.removeprefix('-') if float(text.replace(',', '')) == 0 else text.replace('-', MINUS)} %"


def metric(words: MetricWords, value: float | None) -> str:
    """A metric's value in its own form: a share as percent, anything else as a number."""
    return percent(value) if words.is_share else number(value)


def count(rows: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 row`, `1,234 rows`, `2 categories` (with `many`)."""
    return f"{rows:,} {one if rows == 1 else many or one + 's'}"


def the(name: str) -> str:
    """A baseline in a sentence: `the seasonal naive`; a name that has its own `the` keeps it."""
    return name if name.startswith("the ") else f"the {name}"


def period(dates: Period | None) -> str:
    """`2020-01-01 to 2020-12-31`, or one date if both are the same."""
    if dates is None:
        return NOTHING
    return str(dates.first) if dates.first == dates.last else f"{dates.first} to {dates.last}"


def vintage(kind: str) -> str:
    """How a FRED series' figures were dated, in plain words; a kind without words is shown as it is."""
    return VINTAGES.get(kind, kind)


def measured(value: float | None, unit: str = "") -> str:
    """A number with its unit: `12,346 EUR`."""
    return f"{number(value)} {unit}" if unit and value is not None else number(value)


def titled(name: str, unit: str = "") -> str:
    """A column's or axis' name with its unit: `Forecast (EUR)`."""
    return f"{name} ({unit})" if unit else name


def listed(names: Sequence[object], most: int = 3) -> str:
    """`A, B and C`; of more than `most` the first ones and how many more: `A, B, C and 4 more`."""
    said = [str(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(said)} and {len(names) - most:,} more"
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))

"""One date format per column, inferred from all of its values.

What belongs here: choosing the format, and saying that none or two of them fit. What does not: which column is the
date of a row.
"""

import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from optiflow.errors import UserError
from optiflow.upload.date_formats import DATE_FORMATS, DIGITS_FORMAT, epoch_format, parse_dates, time_format
from optiflow.upload.faults import options_file, options_lines, quote, quote_all

SAMPLE = 200
THREE_DIGITS = re.compile(r"\d\D*\d\D*\d")
PLAIN_NUMBER = r"^[+-]?\d*[.,]?\d*$"
DAY_FIRST = (("%d/%m", "%m/%d"), ("%d-%m", "%m-%d"))


@dataclass(frozen=True)
class DateReading:
    """How a column reads as dates.

    `share` is the part of its non-null values that `date_format` fits. `rival` is a format that fits as many but gives
    other dates: the column is ambiguous.
    """

    date_format: str
    share: float
    rival: str | None = None

    @property
    def day_first(self) -> bool | None:
        """Whether the day stands before the month; None for formats where that is no question or not decided."""
        if self.rival is not None:
            return None
        first = self.date_format[:5]
        return next((first == day for day, month in DAY_FIRST if first in (day, month)), None)

    def settled(self, day_first: bool | None) -> "DateReading | None":
        """This reading with the ambiguity settled by another column's order; None if that settles nothing."""
        if self.rival is None:
            return self
        if day_first is None:
            return None
        for date_format in (self.date_format, self.rival):
            if DateReading(date_format, self.share).day_first == day_first:
                return DateReading(date_format, self.share)
        return None


def read_date_format(values: pl.Series, allow_digits: bool = False) -> DateReading | None:
    """The format that fits most of a text column's non-null values; None if none fits half of a sample.

    Args:
        values: Stripped text with nulls.
        allow_digits: Whether plain numbers may be read as YYYYMMDD.
    """
    present = values.drop_nulls()
    sample = present.gather_every(max(1, len(present) // SAMPLE)).head(SAMPLE)
    if len(sample) == 0 or (not allow_digits and bool(sample.str.contains(PLAIN_NUMBER).all())):
        return None
    if sum(bool(THREE_DIGITS.search(text)) for text in sample) * 2 < len(sample):
        return None  # every format has a day and a year; trying them all would take most of the time of a wide table
    suffix = _time_suffix(sample)
    likely = [f + suffix for f in DATE_FORMATS if _fits_half(sample, f + suffix, allow_digits)]
    if not likely:
        return None
    counts = present.alias("text").value_counts(name="n")
    fitting: list[tuple[int, str, pl.Series]] = []
    for date_format in likely:
        parsed = parse_dates(counts["text"], date_format)
        fitting.append((int(counts["n"].filter(parsed.is_not_null()).sum()), date_format, parsed))
    best, date_format, parsed = max(fitting, key=lambda fit: fit[0])
    rivals = [other for n, other, dates in fitting if n == best and not dates.equals(parsed, null_equal=True)]
    return DateReading(date_format, best / len(present), rivals[0] if rivals else None)


def settle_date_format(
    values: pl.Series, reading: DateReading | None, share_needed: float, column: str, file_name: str
) -> DateReading:
    """The reading of the column that has to be a date.

    Raises:
        UserError: no format fits enough of the values, or two fit equally well and give different dates.
    """
    if reading is None or reading.share < share_needed:
        raise UserError(_no_format(values, reading, column, file_name))
    if reading.rival is not None:
        raise UserError(_ambiguous(values, reading.date_format, reading.rival, column, file_name))
    return reading


def check_given_format(values: pl.Series, date_format: str, share_needed: float, column: str, file_name: str) -> None:
    """Check that a format that the user gave fits enough of the column.

    Raises:
        UserError: it does not; shows values that it does not fit.
    """
    present = values.drop_nulls()
    misfits = present.filter(parse_dates(present, date_format).is_null())
    if len(misfits) > (1.0 - share_needed) * len(present):
        raise UserError(
            f"{file_name}, column {column!r}: date_format {date_format!r} fits only "
            f"{1 - len(misfits) / len(present):.1%} of the values, not {quote_all(misfits.unique(maintain_order=True).head(3).to_list())}. "
            f"Correct it in {options_file(file_name)}, or leave it out to have it inferred."
        )


def _time_suffix(sample: pl.Series) -> str:
    """The most frequent format of the time of day; with fractions of a second if any value has them."""
    suffixes = Counter(time_format(text) for text in sample)
    suffix = suffixes.most_common(1)[0][0]
    if any("%.f" in other for other in suffixes):
        # Programs leave a fraction of zero out; %.f fits with and without one.
        suffix = suffix.replace("%.f", "").replace("%S", "%S%.f")
    return suffix


def _fits_half(sample: pl.Series, date_format: str, allow_digits: bool) -> bool:
    if date_format == DIGITS_FORMAT and not allow_digits:
        return False
    return parse_dates(sample, date_format).is_not_null().sum() * 2 >= len(sample)


def _no_format(values: pl.Series, reading: DateReading | None, column: str, file_name: str) -> str:
    distinct = values.drop_nulls().unique(maintain_order=True)
    if len(distinct) == 0:
        return f"{file_name}, column {column!r}: the date column is empty. Fill it, or name another one."
    if epoch := epoch_format(distinct):
        unit = "milliseconds" if epoch == "epoch_ms" else "seconds"
        return (
            f"{file_name}, column {column!r}: holds {unit} since 1970, such as {quote(distinct[0])}, rather than dates. "
            f"Say so. {options_lines(file_name, date_format=epoch)}"
        )
    best = ""
    if reading is not None:
        distinct = distinct.filter(parse_dates(distinct, reading.date_format).is_null())
        best = f"; the best, {reading.date_format}, fits {reading.share:.1%} of the values, but not these"
    return (
        f"{file_name}, column {column!r}: no date format fits the values{best}: {quote_all(distinct.head(3).to_list())}. "
        f"If they are dates, say how they are written. {options_lines(file_name, date_format='%d/%m/%Y')}"
    )


def _ambiguous(values: pl.Series, one: str, two: str, column: str, file_name: str) -> str:
    distinct = values.drop_nulls().unique(maintain_order=True)
    readings = pl.DataFrame({"text": distinct, "one": parse_dates(distinct, one), "two": parse_dates(distinct, two)})
    differing = readings.filter(pl.col("one") != pl.col("two")).head(2)
    examples = "; ".join(
        f"{quote(text)} is {a:%-d %B %Y} as {one}, but {b:%-d %B %Y} as {two}" for text, a, b in differing.rows()
    )
    return (
        f"{file_name}, column {column!r}: day and month cannot be told apart: {examples}. Say which it is. "
        f"{options_lines(file_name, date_format=one)}\nor{options_lines(file_name, date_format=two).partition(':')[2]}"
    )

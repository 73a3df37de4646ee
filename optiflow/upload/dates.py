"""One date format per column, inferred from all of its values.

What belongs here: choosing the format, and saying that none or two of them fit. What does not: which column is the
date of a row.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from optiflow.errors import UserError
from optiflow.proposals import Options, ProposalError
from optiflow.upload.date_formats import (
    DATE_FORMATS,
    DIGITS_FORMATS,
    MONTH_FORMATS,
    epoch_format,
    is_week,
    parse_dates,
    time_format,
    week_format,
    weekday_format,
)
from optiflow.upload.faults import quote, quote_all

SAMPLE = 200
THREE_DIGITS = re.compile(r"\d\D*\d\D*\d")
PLAIN_NUMBER = r"^[+-]?\d*[.,]?\d*$"
YEAR_AND_TWO_DIGITS = r"^(?:19|20)\d{4}$"
DAY_FIRST = (("%d/%m", "%m/%d"), ("%d-%m", "%m-%d"))
COUNTED = {
    "epoch_ms": "milliseconds since 1970",
    "epoch_s": "seconds since 1970",
    "excel": "days since 1900, as Excel counts them",
}


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
        allow_digits: Whether the column is known to be a date: plain numbers may then be read as YYYYMMDD, and values
            without a day as weeks or months.
    """
    present = values.drop_nulls()
    sample = present.gather_every(max(1, len(present) // SAMPLE)).head(SAMPLE)
    if len(sample) == 0 or (not allow_digits and bool(sample.str.contains(PLAIN_NUMBER).all())):
        return None
    if sum(bool(THREE_DIGITS.search(text)) for text in sample) * 2 < len(sample):
        return None  # every format has a day and a year; trying them all would take most of the time of a wide table
    suffix, prefix = _time_suffix(sample), Counter(weekday_format(text) for text in sample).most_common(1)[0][0]
    tried = [f"{prefix}{f}{suffix}" for f in DATE_FORMATS]
    if allow_digits:
        weeks = (week_format(text) for text in sample)
        tried += [*MONTH_FORMATS, *(f for f, n in Counter(weeks).most_common(2) if f is not None)]
    likely = [f for f in tried if _fits_half(sample, f, allow_digits)]
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
    values: pl.Series,
    reading: DateReading | None,
    share_needed: float,
    column: str,
    file_name: str,
    others: Sequence[Options] = (),
) -> DateReading:
    """The reading of the column that has to be a date.

    Args:
        values: The column's text.
        reading: How it reads, if it does.
        share_needed: The part of its values that the format must fit.
        column: Its name.
        file_name: For messages.
        others: The options that would take another column instead, best first.

    Raises:
        UserError: no format fits enough of the values, or two fit equally well and give different dates.
    """
    if reading is None or reading.share < share_needed:
        raise _no_format(values, reading, column, file_name, others)
    if reading.rival is not None:
        raise _ambiguous(values, reading.date_format, reading.rival, column, file_name)
    return reading


def check_given_format(values: pl.Series, date_format: str, share_needed: float, column: str, file_name: str) -> None:
    """Check that a format that the user gave fits enough of the column.

    Raises:
        UserError: it does not; shows values that it does not fit.
    """
    present = values.drop_nulls()
    misfits = present.filter(parse_dates(present, date_format).is_null())
    if len(misfits) <= (1.0 - share_needed) * len(present):
        return
    said = (
        f"{file_name}, column {column!r}: date_format {date_format!r} fits only {1 - len(misfits) / len(present):.1%} of the "
        f"values, not {quote_all(misfits.unique(maintain_order=True).head(3).to_list())}."
    )
    found = read_date_format(values, allow_digits=True)
    counted = epoch_format(present)
    fitting = [counted] if counted else []
    if found is not None and found.share >= share_needed:
        fitting += [date_format for date_format in (found.date_format, found.rival) if date_format is not None]
    if fitting:
        raise ProposalError(f"{said} What does:", file_name, *({"date_format": one} for one in fitting))
    raise UserError(f"{said} Correct it: it says how the values are written, with %d for the day and so on.")


def _time_suffix(sample: pl.Series) -> str:
    """The most frequent format of the time of day; with fractions of a second and a zone if any value has them."""
    suffixes = Counter(time_format(text) for text in sample)
    suffix = suffixes.most_common(1)[0][0]
    if any("%.f" in other for other in suffixes):
        # Programs leave a fraction of zero out; %.f fits with and without one.
        suffix = suffix.replace("%.f", "").replace("%S", "%S%.f")
    zoned = any("%#z" in other for other in suffixes)
    return f"{suffix}%#z" if zoned and suffix and "%#z" not in suffix else suffix


def _fits_half(sample: pl.Series, date_format: str, allow_digits: bool) -> bool:
    if date_format in DIGITS_FORMATS and not allow_digits:
        return False
    if date_format in ("%Y%m", "%G%V") and not sample.str.contains(YEAR_AND_TWO_DIGITS).all():
        return False
    return parse_dates(sample, date_format).is_not_null().sum() * 2 >= len(sample)


def _no_format(
    values: pl.Series, reading: DateReading | None, column: str, file_name: str, others: Sequence[Options]
) -> UserError:
    where, distinct = f"{file_name}, column {column!r}:", values.drop_nulls().unique(maintain_order=True)
    another = f"{where} {{}} Another column reads as dates, if that is the one meant:" if others else ""
    if len(distinct) == 0:
        empty = "the date column is empty."
        return _or_another(another.format(empty), f"{where} {empty} Fill it, or name another one.", file_name, others)
    if epoch := epoch_format(distinct):
        return ProposalError(
            f"{where} holds {COUNTED[epoch]}, such as {quote(distinct[0])}, rather than dates. Say so.",
            file_name,
            {"date_format": epoch},
        )
    best = ""
    if reading is not None:
        distinct = distinct.filter(parse_dates(distinct, reading.date_format).is_null())
        best = f"; the best, {reading.date_format}, fits {reading.share:.1%} of the values, but not these"
    found = f"no date format fits the values{best}: {quote_all(distinct.head(3).to_list())}."
    mend = (
        "Write all dates of the file alike."
        if reading is not None
        else "If they are dates, write them as 2024-12-31, or say with date_format how they are written."
    )
    return _or_another(another.format(found), f"{where} {found} {mend}", file_name, others)


def _or_another(said: str, otherwise: str, file_name: str, others: Sequence[Options]) -> UserError:
    return ProposalError(said, file_name, others[0]) if others else UserError(otherwise)


def _ambiguous(values: pl.Series, one: str, two: str, column: str, file_name: str) -> UserError:
    distinct = values.drop_nulls().unique(maintain_order=True)
    readings = pl.DataFrame({"text": distinct, "one": parse_dates(distinct, one), "two": parse_dates(distinct, two)})
    differing = readings.filter(pl.col("one") != pl.col("two")).head(2)
    examples = "; ".join(
        f"{quote(text)} is {a:%-d %B %Y} as {one}, but {b:%-d %B %Y} as {two}" for text, a, b in differing.rows()
    )
    parts = "week and month" if is_week(one) or is_week(two) else "day and month"
    return ProposalError(
        f"{file_name}, column {column!r}: {parts} cannot be told apart: {examples}. Say which it is.",
        file_name,
        {"date_format": one},
        {"date_format": two},
    )

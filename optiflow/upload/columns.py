"""Types for every column of a raw table: dates, numbers, booleans, or text as it is.

What belongs here: the order in which types are tried and the faults of cells that do not fit their column's type. What
does not: how a date or a number is read, which column has which role.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from optiflow.options import DatasetOptions
from optiflow.upload.date_formats import check_format, parse_dates, without_midnights
from optiflow.upload.dates import DateReading, check_given_format, read_date_format, settle_date_format
from optiflow.upload.faults import cell_faults, no_faults, options_file
from optiflow.upload.kinds import PLAIN, Kinds
from optiflow.upload.named_columns import column_not_numeric, target_not_numeric
from optiflow.upload.numbers import NumberStyle, has_code_like, is_code, number_share, parse_numbers, style_votes
from optiflow.upload.table import NULL_WORDS, RawTable

BOOLEANS = ({"true": True, "false": False}, {"yes": True, "no": False})
MIN_NUMBER_SHARE = 0.9
MIN_ROLE_SHARE = 0.5
SAMPLE_MARGIN = 0.1
WHOLE, DECIMAL_CODE = r"^[0-9]+(?:\.0+)?$", r"^([0-9]+)\.0+$"


@dataclass(frozen=True)
class TypedTable:
    """`frame` has `row` and every column with its type; a cell with a fault is null in it. Formats are by column."""

    frame: pl.DataFrame
    faults: pl.DataFrame
    date_formats: dict[str, str]


def read_date_formats(raw: RawTable, options: DatasetOptions, kinds: Kinds = PLAIN) -> dict[str, DateReading]:
    """How each text column reads as dates, if most of it does; the target and dropped columns are left out."""
    readings: dict[str, DateReading] = {}
    for name in _text_columns(raw, options):
        if name == options.target or name in (*kinds.numbers, *kinds.texts):
            continue
        if reading := read_date_format(raw.frame[name], name == options.date_column or name in kinds.dates):
            readings[name] = reading
    return readings


def date_columns(raw: RawTable, readings: Mapping[str, DateReading], max_rejected_fraction: float) -> list[str]:
    """The columns that can be the date of a row, in the file's order."""
    share = _role_share(max_rejected_fraction)
    return [
        name
        for name in raw.names
        if raw.frame.schema[name].is_temporal() or (name in readings and readings[name].share >= share)
    ]


def type_columns(
    raw: RawTable,
    options: DatasetOptions,
    readings: Mapping[str, DateReading],
    file_name: str,
    kinds: Kinds = PLAIN,
) -> TypedTable:
    """Give every column its type.

    The options' target becomes a number and their date column a date, if they are set; so do the columns of `kinds`,
    whose texts stay text.

    Raises:
        UserError: the date column has no format or an ambiguous one, or most of the target is not numeric.
    """
    frame = raw.frame.with_columns(_as_text(raw.frame[name]) for name in kinds.texts)
    text = [name for name in _text_columns(raw, options) if name not in kinds.texts]
    style = _file_style(raw, [name for name in text if name not in readings])
    typed: dict[str, pl.Series] = {}
    faults: list[pl.DataFrame] = []
    formats: dict[str, str] = {}
    day_first: bool | None = None

    def put(name: str, column: pl.Series, reason: str) -> None:
        typed[name] = column
        bad = column.is_null() & raw.frame[name].is_not_null()
        if bad.any():
            faults.append(cell_faults(raw.frame, name, bad, reason))

    for name in _by_certainty(kinds.dates or _given(options.date_column), readings):
        if raw.frame.schema[name].is_temporal():
            continue
        values = _words_to_null(_as_text(raw.frame[name]))
        if name in kinds.nullable and values.null_count() == len(values):
            typed[name] = values.cast(pl.Date)
            continue
        known = readings.get(name)
        known = known.settled(day_first) or known if known is not None else None
        reading = _date_reading(values, known, name, options, file_name)
        day_first = reading.day_first if day_first is None else day_first
        formats[name] = reading.date_format
        put(name, without_midnights(parse_dates(values, reading.date_format)), f"is not a date like {formats[name]}")
    for name in text:
        values = raw.frame[name]
        reading = readings[name].settled(day_first) if name in readings and readings[name].share == 1.0 else None
        if name == options.target or name in kinds.numbers:
            put(name, parse_numbers(_words_to_null(values), style), "is not a number")
        elif name in typed:
            continue
        elif kinds != PLAIN:
            continue  # no row may be lost over a column that nothing is done with
        elif reading is not None:
            formats[name] = reading.date_format
            put(name, without_midnights(parse_dates(values, reading.date_format)), "is not a date")
        elif raw.is_text and (column := _boolean(values)) is not None:
            put(name, column, "is not a boolean")
        elif raw.is_text and (column := _number(values, style, options.max_rejected_fraction)) is not None:
            put(name, column, "is not a number, as the rest of the column is")
    frame = frame.with_columns(_dates_for_midnights(raw.frame.drop(kinds.texts))).with_columns(typed.values())
    for name in kinds.numbers or _given(options.target):
        _check_target(raw.frame[name], frame, name, file_name, kinds)
    return TypedTable(_numbers_as_floats(frame, kinds), pl.concat([no_faults(), *faults]), formats)


def _given(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _by_certainty(names: Sequence[str], readings: Mapping[str, DateReading]) -> list[str]:
    """Columns whose day and month are clear first: they settle the others."""
    return sorted(names, key=lambda name: name not in readings or readings[name].rival is not None)


def _as_text(values: pl.Series) -> pl.Series:
    # A code that a program has made a number: 17850.0 is customer 17850.
    if values.dtype.is_float() and bool((values.drop_nulls() == values.drop_nulls().round(0)).all()):
        return values.cast(pl.Int64, strict=False).cast(pl.String)
    values = values.cast(pl.String)
    if values.str.contains(DECIMAL_CODE).any() and bool(values.drop_nulls().str.contains(WHOLE).all()):
        return values.str.replace(DECIMAL_CODE, "$1")
    return values


def _numbers_as_floats(frame: pl.DataFrame, kinds: Kinds) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).cast(pl.Float64) for name in kinds.numbers)


def _text_columns(raw: RawTable, options: DatasetOptions) -> list[str]:
    return [n for n in raw.names if raw.frame.schema[n] == pl.String and n not in options.drop_columns]


def _role_share(max_rejected_fraction: float) -> float:
    return max(1.0 - max_rejected_fraction, MIN_ROLE_SHARE)


def _date_reading(
    values: pl.Series, reading: DateReading | None, column: str, options: DatasetOptions, file_name: str
) -> DateReading:
    if options.date_format is None:
        share = _role_share(options.max_rejected_fraction)
        reading = reading or read_date_format(values, allow_digits=True)
        return settle_date_format(values, reading, share, column, file_name)
    date_format = check_format(options.date_format, options_file(file_name))
    check_given_format(values, date_format, MIN_ROLE_SHARE, column, file_name)
    return DateReading(date_format, 1.0)


def _file_style(raw: RawTable, text: list[str]) -> NumberStyle:
    """The style that more columns of the file show; comma groups if none shows any."""
    votes = 0
    for name in text:
        if number_share(raw.frame[name]) >= MIN_NUMBER_SHARE:
            column = style_votes(raw.frame[name])
            votes += (column > 0) - (column < 0)
    return NumberStyle.DOT_GROUPS if votes < 0 else NumberStyle.COMMA_GROUPS


def _boolean(values: pl.Series) -> pl.Series | None:
    if values.null_count() == len(values):
        return None
    for words in BOOLEANS:
        if values.drop_nulls().head(100).str.to_lowercase().is_in(list(words)).all():
            column = values.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
            if column.null_count() == values.null_count():
                return column
    return None


def _number(values: pl.Series, style: NumberStyle, max_rejected_fraction: float) -> pl.Series | None:
    """The column as numbers, or None if it is text: codes, or too many values that are no numbers.

    Cells that mix letters and digits are codes, not faults: `C536379` among invoice numbers makes the column text.
    """
    share = max(1.0 - max_rejected_fraction, MIN_NUMBER_SHARE)
    if number_share(values) < share - SAMPLE_MARGIN or is_code(values):
        return None
    column = parse_numbers(values, style)
    bad = values.filter(column.is_null() & values.is_not_null())
    if len(bad) > (1.0 - share) * (len(values) - values.null_count()) or has_code_like(bad):
        return None
    return column


def _words_to_null(values: pl.Series) -> pl.Series:
    return values.to_frame("v").select(pl.when(~pl.col("v").is_in(NULL_WORDS)).then("v")).to_series().alias(values.name)


def _dates_for_midnights(frame: pl.DataFrame) -> list[pl.Series]:
    return [without_midnights(s) for s in frame if isinstance(s.dtype, pl.Datetime)]


def _check_target(before: pl.Series, frame: pl.DataFrame, target: str, file_name: str, kinds: Kinds) -> None:
    after = frame[target]
    present = before.drop_nulls()
    bad = before.filter(after.is_null() & before.is_not_null())
    if not after.dtype.is_numeric() or len(bad) * 2 > len(present):
        examples = (bad if len(bad) else present).cast(pl.String).unique(maintain_order=True).head(3).to_list()
        if kinds != PLAIN:
            raise column_not_numeric(target, examples, file_name)
        raise target_not_numeric(frame, target, examples, file_name)

"""Types for every column of a raw table: dates, numbers, booleans, or text as it is.

What belongs here: the order in which types are tried and the faults of cells that do not fit their column's type. What
does not: how a date or a number is read, which column has which role.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from optiflow.column_names import by_likelihood_as_date, names_a_code
from optiflow.options import DatasetOptions
from optiflow.proposals import Options, ProposalError, options_file
from optiflow.upload.date_formats import check_format, in_common_era, is_week, parse_dates, without_midnights
from optiflow.upload.dates import DateReading, check_given_format, read_date_format, settle_date_format
from optiflow.upload.faults import cell_faults, no_faults, quote
from optiflow.upload.kinds import PLAIN, Kinds
from optiflow.upload.named_columns import column_not_numeric, target_not_numeric
from optiflow.upload.numbers import NumberStyle, has_code_like, is_code, number_share, parse_numbers, style_of
from optiflow.upload.stand_ins import in_words, stand_ins
from optiflow.upload.table import NULL_WORDS, RawTable

BOOLEANS = ({"true": True, "false": False}, {"yes": True, "no": False})
MIN_NUMBER_SHARE = 0.95
"""Of a column without a role; no option lowers it, for a rise of the limit would else turn texts into faults."""
DOTTED_DATE = "%d.%m."
NOT_A_NUMBER = "is not a number"
MIN_ROLE_SHARE = 0.5
SAMPLE_MARGIN = 0.1
IDENTIFIER_SHARE = 0.5
WHOLE, DECIMAL_CODE = r"^[0-9]+(?:\.0+)?$", r"^([0-9]+)\.0+$"


@dataclass(frozen=True)
class TypedTable:
    """`frame` has `row` and every column with its type; a cell with a fault is null in it. Formats are by column.

    `notes` say what was taken for granted, in sentences.
    """

    frame: pl.DataFrame
    faults: pl.DataFrame
    date_formats: dict[str, str]
    notes: tuple[str, ...] = ()


def read_date_formats(raw: RawTable, options: DatasetOptions, kinds: Kinds = PLAIN) -> dict[str, DateReading]:
    """How each text column reads as dates, if most of it does; the target and dropped columns are left out."""
    readings: dict[str, DateReading] = {}
    for name in text_columns(raw, options):
        if name == options.target or name in (*kinds.numbers, *kinds.texts):
            continue
        given = name == options.date_column or name in kinds.dates
        # What stands for no date may stand in most rows, but it is one value among many.
        values = raw.frame[name].unique(maintain_order=True) if name in kinds.nullable else raw.frame[name]
        if reading := read_date_format(values, given):
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


def loose_date_columns(raw: RawTable, options: DatasetOptions) -> list[str]:
    """The text columns that could be the date of a row if numbers, weeks and months count, where none reads as dates."""
    share = _role_share(options.max_rejected_fraction)
    found = [(n, read_date_format(raw.frame[n], True)) for n in text_columns(raw, options) if n != options.target]
    return [name for name, reading in found if reading is not None and reading.share >= share]


def type_columns(
    raw: RawTable,
    options: DatasetOptions,
    readings: Mapping[str, DateReading],
    file_name: str,
    today: date,
    kinds: Kinds = PLAIN,
) -> TypedTable:
    """Give every column its type.

    The options' target becomes a number and their date column a date, if they are set; so do the columns of `kinds`,
    whose texts stay text. In dates that may be missing, what stands for none (see `stand_ins`) is.

    Raises:
        UserError: the date column has no format or an ambiguous one, most of the target is not numeric, or whether it is
            twelve or twelve thousand that it calls `12,000` cannot be known.
    """
    frame = raw.frame.with_columns(_as_text(raw.frame[name]) for name in kinds.texts)
    text = [name for name in text_columns(raw, options) if name not in kinds.texts]
    typed: dict[str, pl.Series] = {}
    faults: list[pl.DataFrame] = []
    formats: dict[str, str] = {}
    notes: list[str] = []
    day_first: bool | None = None

    def put(name: str, column: pl.Series, reason: str, empty: Sequence[str] = ()) -> None:
        typed[name] = column
        before = raw.frame[name]
        bad = column.is_null() & before.is_not_null() & ~_as_text(before).is_in(list(empty)).fill_null(False)
        if bad.any():
            faults.append(cell_faults(raw.frame, name, bad, reason))

    for name in _by_certainty(kinds.dates or _given(options.date_column), readings):
        nullable = name in kinds.nullable
        if raw.frame.schema[name].is_temporal():
            if nullable and (
                words := stand_ins(days := raw.frame[name].cast(pl.Date).cast(pl.String), raw.frame[name], today)
            ):
                notes.append(in_words(name, days, words))
                typed[name] = _without(raw.frame[name], days, words)
            continue
        written = words_to_null(_as_text(raw.frame[name]))
        values = in_common_era(written)
        if values is not written:
            notes.append(f"{name}: years are counted as in Thailand; 543 less are those of elsewhere.")
        if nullable and values.null_count() == len(values):
            typed[name] = values.cast(pl.Date)
            continue
        known, words = readings.get(name), []
        if nullable:
            words = _stand_ins(values, known, options, today)
            notes += [in_words(name, values, words)] if words else []
            values = _without(values, values, words)
            known = read_date_format(values.unique(maintain_order=True), allow_digits=True)
            if values.null_count() == len(values):
                put(name, values.cast(pl.Date), "", words)
                continue
        known = known.settled(day_first) or known if known is not None else None
        # Faults among dates that may be missing are not for the format to refuse: what they stand for is to be asked.
        share = MIN_ROLE_SHARE if nullable else _role_share(options.max_rejected_fraction)
        others = _others(raw, readings, name, options, kinds)
        reading = _date_reading(values, known, share, name, options, file_name, others)
        day_first = reading.day_first if day_first is None else day_first
        formats[name] = reading.date_format
        notes += [_of_weeks(name, reading.date_format)] if is_week(reading.date_format) else []
        dates = without_midnights(parse_dates(values, reading.date_format))
        put(name, dates, f"is not a date like {formats[name]}", words)
    styles = Styles.of(raw, [name for name in text if name not in readings], options, formats)
    for name in text:
        values = raw.frame[name]
        reading = readings[name].settled(day_first) if name in readings and readings[name].share == 1.0 else None
        if name == options.target or name in kinds.numbers:
            style = styles.needed(words_to_null(values), name, file_name)
            put(name, parse_numbers(words_to_null(values), style), NOT_A_NUMBER)
        elif name in typed:
            continue
        elif name in kinds.loose:
            typed[name] = _loose(values, styles.likely(values))
        elif kinds != PLAIN:
            continue  # no row may be lost over a column that nothing is done with
        elif reading is not None:
            formats[name] = reading.date_format
            put(name, without_midnights(parse_dates(values, reading.date_format)), "is not a date")
        elif raw.is_text and (column := _boolean(values)) is not None:
            put(name, column, "is not a boolean")
        elif raw.is_text and (column := as_number(values, name, styles.likely(values), options)) is not None:
            put(name, column, f"{NOT_A_NUMBER}, as the rest of the column is")
            notes += styles.doubt(values, name)
    frame = frame.with_columns(_dates_for_midnights(raw.frame.drop(kinds.texts))).with_columns(typed.values())
    for name in kinds.numbers or _given(options.target):
        _check_target(raw.frame[name], frame, name, file_name, kinds)
    return TypedTable(_numbers_as_floats(frame, kinds), pl.concat([no_faults(), *faults]), formats, tuple(notes))


def _stand_ins(values: pl.Series, reading: DateReading | None, options: DatasetOptions, today: date) -> list[str]:
    date_format = options.date_format or (reading.date_format if reading else None)
    days = (
        parse_dates(values, date_format)
        if date_format
        else values.clear().extend_constant(None, len(values)).cast(pl.Date)
    )
    return stand_ins(values, days, today)


def _without(column: pl.Series, values: pl.Series, words: Sequence[str]) -> pl.Series:
    """The column without the cells whose text is one of `words`."""
    stays = ~values.is_in(list(words)).fill_null(False)
    return pl.DataFrame({"c": column, "stays": stays}).select(pl.when("stays").then("c")).to_series().alias(column.name)


def _others(
    raw: RawTable, readings: Mapping[str, DateReading], name: str, options: DatasetOptions, kinds: Kinds
) -> list[Options]:
    """What would name another column of dates instead, the likeliest first."""
    free = [n for n in date_columns(raw, readings, options.max_rejected_fraction) if n != name and n not in kinds.dates]
    if kinds != PLAIN:
        return []
    return [{"date_column": other} for other in by_likelihood_as_date(free)]


def _of_weeks(name: str, date_format: str) -> str:
    return f"{name}: read as weeks by ISO 8601 ({date_format}), each named by its Monday."


@dataclass(frozen=True)
class Styles:
    """How the numbers of a file are written: by the option `decimal`, by the columns that show it, by the file's country.

    `likely` is what a column is read by that does not show its style; `known` is None where nothing in the file tells.
    """

    known: NumberStyle | None

    @classmethod
    def of(cls, raw: RawTable, text: Sequence[str], options: DatasetOptions, formats: Mapping[str, str]) -> "Styles":
        """What the options say, or most columns of text that are numbers; else semicolons and dates such as 31.12.2024."""
        if options.decimal is not None:
            return cls(NumberStyle.of(options.decimal))
        shown = [style_of(raw.frame[n])[0] for n in text if number_share(raw.frame[n]) >= MIN_ROLE_SHARE]
        votes = shown.count(NumberStyle.COMMA_GROUPS) - shown.count(NumberStyle.DOT_GROUPS)
        if votes:
            return cls(NumberStyle.COMMA_GROUPS if votes > 0 else NumberStyle.DOT_GROUPS)
        if raw.delimiter == ";" or any(DOTTED_DATE in date_format for date_format in formats.values()):
            return cls(NumberStyle.DOT_GROUPS)
        return cls(NumberStyle.COMMA_GROUPS if any("%m/%d/" in f for f in formats.values()) else None)

    def likely(self, values: pl.Series) -> NumberStyle:
        """The style to read a column by."""
        return style_of(values)[0] or self.known or NumberStyle.COMMA_GROUPS

    def needed(self, values: pl.Series, name: str, file_name: str) -> NumberStyle:
        """The style to read a column by that must not be read a thousand times wrong.

        Raises:
            UserError: both are possible; shows a value in both readings.
        """
        shown, example = style_of(values)
        if example is None or self.known is not None:
            return shown or self.known or NumberStyle.COMMA_GROUPS
        sign = "," if "," in example else "."
        whole, parts = (NumberStyle.of(point) for point in ((",", ".") if sign == "." else (".", ",")))
        raise ProposalError(
            f"{file_name}, column {name!r}: {quote(example)} is {_read_as(example, whole)} if the {SIGNS[sign]} groups thousands, "
            f"but {_read_as(example, parts)} if it is the decimal sign, and nothing in the file tells which. Say what the "
            "decimal sign is.",
            file_name,
            {"decimal": whole.point},
            {"decimal": parts.point},
        )

    def doubt(self, values: pl.Series, name: str) -> list[str]:
        """A sentence where a column that is no target was read by the commoner style, and nothing tells."""
        _, example = style_of(values) if self.known is None else (None, None)
        if example is None:
            return []
        read = _read_as(example, NumberStyle.COMMA_GROUPS)
        return [f"{name}: {quote(example)} is read as {read}; the option `decimal` says what the decimal sign is."]


SIGNS = {",": "comma", ".": "dot"}


def _read_as(text: str, style: NumberStyle) -> str:
    return f"{parse_numbers(pl.Series([text]), style)[0]:,.10g}".replace(",", " ")


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


def text_columns(raw: RawTable, options: DatasetOptions) -> list[str]:
    """The columns of text that are not dropped."""
    return [n for n in raw.names if raw.frame.schema[n] == pl.String and n not in options.drop_columns]


def _role_share(max_rejected_fraction: float) -> float:
    return max(1.0 - max_rejected_fraction, MIN_ROLE_SHARE)


def _date_reading(
    values: pl.Series,
    reading: DateReading | None,
    share: float,
    column: str,
    options: DatasetOptions,
    file_name: str,
    others: Sequence[Options],
) -> DateReading:
    if options.date_format is None:
        reading = reading or read_date_format(values, allow_digits=True)
        return settle_date_format(values, reading, share, column, file_name, others)
    date_format = check_format(options.date_format, options_file(file_name))
    check_given_format(values, date_format, MIN_ROLE_SHARE, column, file_name)
    return DateReading(date_format, 1.0)


def _boolean(values: pl.Series) -> pl.Series | None:
    if values.null_count() == len(values):
        return None
    for words in BOOLEANS:
        if values.drop_nulls().head(100).str.to_lowercase().is_in(list(words)).all():
            column = values.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
            if column.null_count() == values.null_count():
                return column
    return None


def as_number(values: pl.Series, name: str, style: NumberStyle, options: DatasetOptions) -> pl.Series | None:
    """The column as numbers, or None if it is text: codes, or too many values that are no numbers.

    Cells that mix letters and digits are codes, not faults: `C536379` among invoice numbers makes the column text. So does
    any word in a column of identifiers: no model reads them, and no row is lost over them.
    """
    share = max(1.0 - options.max_rejected_fraction, MIN_NUMBER_SHARE)
    if number_share(values) < share - SAMPLE_MARGIN or is_code(values):
        return None
    column = parse_numbers(values, style)
    bad = values.filter(column.is_null() & values.is_not_null())
    if len(bad) > (1.0 - share) * (len(values) - values.null_count()) or has_code_like(bad):
        return None
    if len(bad) and names_a_code(name) and values.drop_nulls().n_unique() >= IDENTIFIER_SHARE * len(values):
        return None
    return column


def _loose(values: pl.Series, style: NumberStyle) -> pl.Series:
    """A column that is usually a number and that nothing is done with: as it is where a cell is something else."""
    column = parse_numbers(words_to_null(values), style)
    return column if column.null_count() == words_to_null(values).null_count() else values


def words_to_null(values: pl.Series) -> pl.Series:
    """Text without the words for nothing."""
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

"""Numbers of a folder's files, each read in the style of its own file, and dates, where the files do not write them alike.

What belongs here: which file shows which style, and numbers for text where text would be read by another file's style. What
does not: the styles themselves (`numbers`), and what a single file shows (`columns`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.upload.columns import (
    DOTTED_DATE,
    NOT_A_NUMBER,
    Styles,
    as_number,
    read_date_formats,
    text_columns,
    words_to_null,
)
from optiflow.upload.date_formats import parse_dates, without_midnights
from optiflow.upload.dates import DateReading, read_date_format
from optiflow.upload.faults import cell_faults
from optiflow.upload.kinds import Kinds, kinds_of
from optiflow.upload.named_columns import column_not_numeric
from optiflow.upload.numbers import NumberStyle, parse_numbers, style_of
from optiflow.upload.one_table import Cells

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

SIGNS = r"[.,]"


@dataclass
class _File:
    """A file, and what of it is numbers or dates by now, by its own names of columns."""

    cells: Cells
    options: DatasetOptions
    kinds: Kinds
    typed: dict[str, pl.Series] = field(default_factory=dict)
    faults: list[pl.DataFrame] = field(default_factory=list)

    @cached_property
    def dates(self) -> dict[str, DateReading]:
        return read_date_formats(self.cells.raw, self.options, self.kinds)

    @cached_property
    def known(self) -> NumberStyle | None:
        """What the file as a whole shows: its other columns, its delimiter, its dates."""
        raw = self.cells.raw
        text = [name for name in text_columns(raw, self.options) if name not in (*self.kinds.texts, *self.dates)]
        sure = {
            name: reading.date_format
            for name, reading in self.dates.items()
            if reading.rival is None or DOTTED_DATE in reading.date_format
        }
        return Styles.of(raw, text, self.options, sure).known

    def settled(self) -> Cells:
        raw = self.cells.raw
        frame = raw.frame.with_columns(column.alias(name) for name, column in self.typed.items())
        return replace(self.cells, raw=replace(raw, frame=frame, cells=pl.concat([raw.cells, *self.faults])))


@dataclass
class _Column:
    """One file's column of what may be numbers; `style` None where it shows none, `example` where that matters."""

    file: _File
    name: str
    values: pl.Series
    style: NumberStyle | None = None
    example: str | None = None
    shown: bool = False

    @property
    def is_text(self) -> bool:
        return self.values.dtype == pl.String


def settle_numbers(
    cells: Sequence[Cells], options: DatasetOptions, pipeline: "Pipeline"
) -> tuple[list[Cells], dict[str, UserError]]:
    """The files with numbers and dates in place of text wherever the text of all of them together would be read wrong.

    A file's style is what its column shows, else its other columns, delimiter and dates, else that of the other files with
    its delimiter, if those agree. Numbers that a file declares stay numbers.

    Returns:
        The files, and for those in which a needed number could be twelve or twelve thousand, or is none, the error.
    """
    files = [_File(each, options, kinds_of(pipeline.roles, each.roles)) for each in cells]
    odd: dict[str, UserError] = {}
    for key, needed in _keys(cells, options, pipeline) if len(files) > 1 else ():
        columns = [column for file in files if (column := _column(file, key)) is not None]
        for column in columns:
            if column.example is not None:
                column.style = column.file.known
        found = {column.style for column in columns if column.style is not None}
        declared = not all(column.is_text for column in columns)
        if not declared and len(found) <= 1 and (not found or all(c.shown or c.example is None for c in columns)):
            continue  # the text of all of them together tells no less
        text = [column for column in columns if column.is_text]
        if not needed:
            _settle_others(text)
            continue
        for column in text:
            try:
                if column.example is not None and column.style is None:
                    column.style = _of_the_same_kind(column, columns)
                _put(column)
            except UserError as error:
                odd.setdefault(column.file.cells.name, error)
    if len(files) > 1:
        _settle_dates(files, options, pipeline)
    return [file.settled() for file in files if file.cells.name not in odd], odd


def _settle_dates(files: Sequence[_File], options: DatasetOptions, pipeline: "Pipeline") -> None:
    """Dates for text beside dates that a file declares: as text these would be of another format than the others."""
    keys = [role.name for role in pipeline.roles if role.kind == "date" and role.read and not role.nullable]
    for key in keys or [options.date_column]:
        named = [(file, file.cells.roles.get(key or "") if pipeline.roles else key) for file in files]
        columns = [(f, f.cells.raw.frame[name]) for f, name in named if name in f.cells.raw.frame.columns]
        text = [(file, words_to_null(values)) for file, values in columns if values.dtype == pl.String]
        if not text or not any(values.dtype.is_temporal() for _, values in columns):
            continue
        together = pl.concat([values.alias("") for _, values in text])
        reading = read_date_format(together, allow_digits=True)
        if reading is None or reading.rival is not None or reading.share < 1 - options.max_rejected_fraction:
            continue  # for the text of all of them together to say
        form = options.date_format or reading.date_format
        for file, values in text:
            days = without_midnights(parse_dates(values, form))
            _keep(
                _Column(file, values.name, values),
                days,
                days.is_null() & values.is_not_null(),
                f"is not a date like {form}",
            )


def _keys(cells: Sequence[Cells], options: DatasetOptions, pipeline: "Pipeline") -> Iterator[tuple[str, bool]]:
    """Roles, or columns where there are none, that may be numbers; and whether they must."""
    if pipeline.roles:
        yield from ((role.name, True) for role in pipeline.roles if role.kind == "number" and role.read)
        return
    no_numbers = {*options.drop_columns, options.date_column}
    for name in dict.fromkeys(name for each in cells for name in each.raw.names):
        if name not in no_numbers:
            yield name, name == options.target


def _column(file: _File, key: str) -> _Column | None:
    """The column of a role, or of that name; None if the file has none, or nothing in it."""
    frame = file.cells.raw.frame
    name = file.cells.roles.get(key) if file.cells.roles else key
    if name not in frame.columns or not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.String):
        return None
    values = frame[name]
    if values.dtype == pl.String:
        values = words_to_null(values)
    if values.null_count() == len(values):
        return None
    if values.dtype != pl.String or not values.str.contains(SIGNS).any():
        return _Column(file, name, values)
    style, example = style_of(values)
    return _Column(file, name, values, style, example, style is not None)


def _of_the_same_kind(column: _Column, columns: Sequence[_Column]) -> NumberStyle:
    """The style of the files that the same program may have written.

    Raises:
        UserError: they show none, or several.
    """
    delimiter = column.file.cells.raw.delimiter
    found = {c.style for c in columns if c.style is not None and c.is_text and c.file.cells.raw.delimiter == delimiter}
    if len(found) == 1:
        return found.pop()  # pyright: ignore[reportReturnType]
    return Styles(None).needed(column.values, column.name, column.file.cells.name)


def _put(column: _Column) -> None:
    number = parse_numbers(column.values, column.style or column.file.known or NumberStyle.COMMA_GROUPS)
    bad = number.is_null() & column.values.is_not_null()
    if int(bad.sum()) * 2 > len(column.values) - column.values.null_count():
        examples = column.values.filter(bad).unique(maintain_order=True).head(3).to_list()
        raise column_not_numeric(column.name, examples, column.file.cells.name)
    _keep(column, number.cast(pl.Float64), bad, NOT_A_NUMBER)


def _settle_others(text: Sequence[_Column]) -> None:
    """Numbers for text in all files or in none: what is text in one of them is text."""
    numbers: list[pl.Series] = []
    for column in text:
        style = column.style or column.file.known or NumberStyle.COMMA_GROUPS
        number = as_number(column.values, column.name, style, column.file.options)
        if number is None or column.name in column.file.dates or not column.file.cells.raw.is_text:
            return
        numbers.append(number)
    for column, number in zip(text, numbers, strict=True):
        bad = number.is_null() & column.values.is_not_null()
        _keep(column, number, bad, f"{NOT_A_NUMBER}, as the rest of the column is")


def _keep(column: _Column, typed: pl.Series, bad: pl.Series, reason: str) -> None:
    column.file.typed[column.name] = typed
    if bad.any():
        column.file.faults.append(cell_faults(column.file.cells.raw.frame, column.name, bad, reason))

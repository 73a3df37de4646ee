"""The table as the file holds it, before types and roles: names, cells, row numbers.

What belongs here: what CSV, Excel and Parquet have in common. What does not: any of the formats, any type inference.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import polars as pl
import polars.selectors as cs

from optiflow.errors import UserError
from optiflow.split import ROW
from optiflow.upload.faults import no_faults, quote, quote_all

NULL_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "Null", "None", "none", "nan", "NaN", "NAN", "-")


@dataclass(frozen=True)
class RawTable:
    """The cells of one upload.

    `frame` is `row` (Int64, header = 1) and the file's columns; String columns hold stripped text, null where a cell
    is empty or a word for nothing. `is_text` says that types were never declared, so that every String column is to be
    inferred. `ragged` holds one fault for each row with another number of fields than the header. `left_out` names
    dropped columns whose type no table of ours can hold. `cells` has a fault for each cell that is null since it cannot be
    what its column says; `notes` are sentences on how the file was read.
    """

    frame: pl.DataFrame
    is_text: bool
    ragged: pl.DataFrame = field(default_factory=no_faults)
    encoding: str | None = None
    delimiter: str | None = None
    left_out: tuple[str, ...] = ()
    cells: pl.DataFrame = field(default_factory=no_faults)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The column names of the file."""
        return self.frame.columns[1:]

    def with_nulls(self, words: Sequence[str]) -> "RawTable":
        """The table without the cells that are one of `words`, whatever their type."""
        if not words:
            return self
        return replace(self, frame=self.frame.with_columns(_without_words(s, words) for s in self.frame[:, 1:]))

    @property
    def rows_in(self) -> int:
        """The number of data rows in the file; blank rows do not count."""
        return self.frame.height + self.ragged.height


def _without_words(column: pl.Series, words: Sequence[str]) -> pl.Series:
    text = column.dt.to_string("%Y-%m-%d") if column.dtype.is_temporal() else column.cast(pl.String)
    same = text.is_in(list(words))
    if column.dtype.is_numeric():
        numbers = pl.Series(words, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
        same |= column.cast(pl.Float64).is_in(numbers.implode())
    return column.to_frame("c").select(pl.when(~same.fill_null(False)).then("c")).to_series().alias(column.name)


def check_names(names: list[str], file_name: str, header_row: int = 1) -> list[str]:
    """The names stripped of blanks; a single blank one at the end stays, for the caller to drop if its cells are blank.

    Raises:
        UserError: blank or duplicate names, a header of values, a pattern, or a column named `row` (our row numbers' name).
    """
    names = [name.strip() for name in names]
    blank = [position for position, name in enumerate(names, 1) if not name and position < len(names)]
    if blank or not any(names):
        more = f" and {len(blank) - 5:,} more" if len(blank) > 5 else ""
        where = "no column" if not any(names) else f"column {', '.join(map(str, blank[:5]))}{more}"
        has = "has a name" if not any(names) else "has no name"
        raise UserError(f"{file_name}, row {header_row}: {where} {has}. Give every column a name in the first row.")
    values = [name for name in names if name and not any(letter.isalpha() for letter in name)]
    if len(values) * 2 > len(names):
        raise UserError(
            f"{file_name}, row {header_row}: column names are missing: the first row holds values "
            f"({quote_all(values, 3)}). Put the column names in the first row."
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"{file_name}, row {header_row}: duplicate column names {quote_all(twice)}. Rename them.")
    if patterns := [name for name in names if name == "*" or (name.startswith("^") and name.endswith("$"))]:
        # polars takes such a name for a pattern of names wherever it is used.
        raise UserError(f"{file_name}, row {header_row}: {quote_all(patterns)} cannot be a column name. Rename it.")
    if ROW in names:
        raise UserError(
            f"{file_name}, row {header_row}: a column is named 'row', the name under which OptiFlow keeps the row "
            "number of the file. Rename it, for example to 'row_id'."
        )
    return names


def drop_nameless_last(frame: pl.DataFrame, file_name: str) -> pl.DataFrame:
    """Drop a last column without a name, which a delimiter at the end of every line makes.

    Raises:
        UserError: the column holds values.
    """
    if "" not in frame.columns:
        return frame
    if frame[""].null_count() < frame.height:
        value = frame[""].drop_nulls()[0]
        raise UserError(
            f"{file_name}, row 1: the last column has no name but holds values such as {quote(value)}. "
            "Give every column a name in the first row."
        )
    return frame.drop("")


Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def clean_text(frame: Frame) -> Frame:
    """Strip every String column, and make words for nothing null."""
    text = cs.string()
    stripped = text.str.strip_chars()
    # No word for nothing is longer than four bytes, which spares most cells the look-up.
    is_word = (stripped.str.len_bytes() <= 4) & stripped.is_in(NULL_WORDS)
    return frame.with_columns(pl.when(~is_word).then(stripped).name.keep())


def without_blank_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out rows where every cell is empty."""
    filled = frame.select(pl.any_horizontal(pl.exclude(ROW).is_not_null())).to_series()
    return frame if bool(filled.all()) else frame.filter(filled)  # a filter copies the table


def refuse_without_rows(frame: pl.DataFrame, ragged: pl.DataFrame, file_name: str) -> None:
    """Refuse a table with a header and nothing below.

    Raises:
        UserError: the table has no data row.
    """
    if frame.height + ragged.height == 0:
        raise UserError(f"{file_name}: the file has a header but no data row. Export it again with its rows.")

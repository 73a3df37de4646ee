"""One upload from its file to typed rows and rejected rows: the order of the steps, and what refuses it whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.proposals import ProposalError
from optiflow.read_limits import LIMITS, ReadLimits
from optiflow.split import ROW
from optiflow.upload.by_role import Naming, other_pipelines
from optiflow.upload.columns import TypedTable, date_columns, loose_date_columns, read_date_formats, type_columns
from optiflow.upload.faults import quote
from optiflow.upload.fitting_options import check_filled_down, check_options
from optiflow.upload.kinds import PLAIN, Kinds
from optiflow.upload.left_out import count_left_out, filled_down
from optiflow.upload.left_out import in_words as left_out_in_words
from optiflow.upload.named_columns import check_named_columns, missing_target, only_date_column
from optiflow.upload.over_limit import Mends, refuse_over_limit
from optiflow.upload.parquet_table import NO_DATE
from optiflow.upload.plausible import dates_apart, implausible_cells
from optiflow.upload.source import read_table
from optiflow.upload.stand_ins import in_words, stand_ins
from optiflow.upload.table import RawTable
from optiflow.upload.validation import schema_faults, table_schema

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

MIN_ROWS = 20


@dataclass(frozen=True)
class Upload:
    """A file as typed rows and rejected rows.

    `accepted` is `row` (Int64, the row number in the file as a spreadsheet shows it: header 1, first data row 2; for
    Parquet too) and the typed columns: those of `drop_columns` included (as text), or, where columns have roles, without
    them and each under the name of its role. `rejected` has one line per fault: row Int64, column String (as the file
    calls it; null when the row as a whole is wrong), reason String, value String; rows that were left out are among them. Accepted, merged and distinct rejected
    rows add up to `rows_in`. `date_formats` is by the file's column, for those that were text.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    rows_in: int
    target: str | None
    date_column: str
    encoding: str | None = None
    delimiter: str | None = None
    date_formats: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the user should know of the file, in sentences."""
    week_date: str | None = None
    """Whether a week's date begins or ends it, by the options, by the header, or since days were added up so."""

    @property
    def found(self) -> dict[str, str | None]:
        """The options that the file itself has answered, by their names."""
        return {"target": self.target, "date_column": self.date_column, "week_date": self.week_date}

    @property
    def merged(self) -> int:
        """Rows that were added to others: days to their week, or since the option `duplicates` says so."""
        return self.rows_in - self.accepted.height - self.rejected[ROW].n_unique()

    @property
    def left_out(self) -> int:
        """Rows among `rejected` that nothing is wrong with, such as a cancelled booking or a day that is not over."""
        return count_left_out(self.rejected)


def read_upload(
    path: Path,
    file_name: str,
    options: DatasetOptions,
    pipeline: "Pipeline | None" = None,
    limits: ReadLimits = LIMITS,
) -> Upload:
    """Read, type and validate an upload.

    Args:
        path: The local file, under any name.
        file_name: The user's name for it, which tells the format and which messages show.
        options: The user's choices; without a date column, the only column of dates is used.
        pipeline: Whose roles name the columns and whose rules the rows obey; None for a table of orders.
        limits: How much the file may hold.

    Raises:
        UserError: the file, its columns or its options are wrong, or too many rows are.
    """
    if pipeline is not None:
        check_options(options, pipeline, file_name)
    return read_rows(read_cells(path, file_name, options, limits), file_name, options, pipeline)


def read_cells(path: Path, file_name: str, options: DatasetOptions, limits: ReadLimits = LIMITS) -> RawTable:
    """The cells of one file, before types and roles.

    Raises:
        UserError: the file cannot be read as the table that its name promises.
    """
    raw = filled_down(read_table(path, file_name, options, limits), options.fill_down, file_name)
    return raw.with_nulls(options.null_values)


def read_rows(raw: RawTable, file_name: str, options: DatasetOptions, pipeline: "Pipeline | None") -> Upload:
    """Type and validate the cells of one file, or of all files of a folder; arguments and errors as of `read_upload`."""
    today = datetime.now(UTC).date()
    refuse_over_limit(file_name, raw.ragged, raw.rows_in, options.max_rejected_fraction)
    check_named_columns([*raw.names, *raw.left_out], options, file_name)
    naming = Naming.of(raw, options, pipeline, file_name) if pipeline is not None else None
    check_filled_down(options, () if naming is None else naming.kinds.numbers, file_name)
    notes = raw.notes if pipeline is None else (*raw.notes, *other_pipelines(raw.names, pipeline))
    kinds = PLAIN if naming is None else naming.kinds
    if kinds == PLAIN:
        try:
            options, typed = _with_roles(raw, options, file_name, today)
        except ProposalError as error:
            raise error.said_of(after=" ".join(notes)) from error
        except UserError as error:
            raise UserError(" ".join((str(error), *notes))) from error
    else:
        typed = type_columns(raw, options, read_date_formats(raw, options, kinds), file_name, today, kinds)
    no_dates, said = _read_as_empty(raw.cells, kinds, options, today)
    faults, notes = pl.concat([raw.ragged, no_dates, typed.faults]), (*notes, *said)
    # A cell that could not be typed is null by now: it must not be called empty as well.
    schema = table_schema(kinds.needed(options), kinds.finite(options))
    found = schema_faults(typed.frame, raw.frame, schema, file_name)
    faults = pl.concat([faults, found.join(faults, on=["row", "column"], how="anti", maintain_order="left")])
    accepted = _without(typed.frame, faults).rechunk()  # polars 2.1 panics in `pl.format` on what a filter leaves
    completed = None
    if naming is not None:
        accepted, options = naming.by_role(accepted, options.drop_columns), naming.filled_in(options)
        options = naming.answered(accepted, options)
        completed = naming.complete(accepted, options)
        accepted = _without(completed.rows, pl.concat([completed.faults, completed.left_out]))
        faults = pl.concat([faults, completed.faults, naming.faults(accepted, options, today)])
    if kinds == PLAIN:
        odd = implausible_cells(accepted, [str(options.date_column)], [str(options.target)], today)
        faults = pl.concat([faults, odd])
    accepted = _without(accepted, faults)
    apart = dates_apart(accepted, str(options.date_column))
    if pipeline is None or not pipeline.may_lack_target:  # what lies in stock for years is what others forget
        faults = pl.concat([faults, naming.in_file(apart.far) if naming is not None else apart.far])
        accepted = _without(accepted, faults)
    rejected = faults.sort(ROW, maintain_order=True)
    mends = _mends(kinds, naming, options)
    with _saying(naming.notes() if naming is not None else ()):
        refuse_over_limit(file_name, rejected, raw.rows_in, options.max_rejected_fraction, mends)
    _check_height(accepted, raw.rows_in, file_name)
    if naming is not None and completed is not None:
        left_out = pl.concat([completed.left_out, naming.unfinished(accepted, options)])
        accepted = _without(accepted, left_out)
        accepted = naming.tidy(accepted, options)
        naming.check_history(accepted, options)
        faults = pl.concat([faults, left_out])
        notes = (*notes, *naming.notes(), *completed.notes, *left_out_in_words(left_out))
    _check_varies(accepted, options.target, naming, file_name)
    return Upload(
        accepted=accepted,
        rejected=faults.sort(ROW, maintain_order=True),
        rows_in=raw.rows_in,
        target=options.target,
        date_column=str(options.date_column),
        encoding=raw.encoding,
        delimiter=raw.delimiter,
        date_formats=typed.date_formats,
        notes=(*notes, *typed.notes, *apart.told),
        week_date=options.week_date,
    )


def _read_as_empty(
    cells: pl.DataFrame, kinds: Kinds, options: DatasetOptions, today: date
) -> tuple[pl.DataFrame, list[str]]:
    """Of cells that are null since they cannot be what their column says the faults, and of those that are no dates a sentence for each column in which they cost no row.

    They cost none in a column without a meaning of its own, and where they stand for no date in one that may be empty.
    """
    faults, said = [cells.filter(pl.col("reason") != NO_DATE)], []
    for (name,), part in cells.filter(reason=NO_DATE).partition_by("column", as_dict=True, maintain_order=True).items():
        values = part["value"]
        if name not in kinds.used(options):
            said.append(
                f"Column {quote(name)} has {part.height:,} cells that are no dates, such as {quote(values[0])}: read as empty."
            )
        elif name in kinds.nullable and (
            words := stand_ins(values, pl.Series([None] * len(values), dtype=pl.Date), today)
        ):
            said.append(in_words(name, values, words))
            faults.append(part.filter(~values.is_in(words)))
        else:
            faults.append(part)
    return pl.concat(faults), said


def _without(rows: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    return rows.join(faults, on=ROW, how="anti", maintain_order="left") if faults.height else rows


def _mends(kinds: Kinds, naming: Naming | None, options: DatasetOptions) -> Mends:
    """What could mend the faults of a table."""
    if kinds == PLAIN or naming is None:
        return Mends(target=options.target, date_column=options.date_column)
    return Mends(
        nullable=[name for name in kinds.dates if name in kinds.nullable],
        numbers=kinds.numbers,
        adds_up="duplicates" in naming.pipeline.own_options and options.duplicates == "refuse",
    )


def _with_roles(
    raw: RawTable, options: DatasetOptions, file_name: str, today: date
) -> tuple[DatasetOptions, TypedTable]:
    """The options with target and date column filled in, and the table typed accordingly."""
    readings = read_date_formats(raw, options)
    dates = date_columns(raw, readings, options.max_rejected_fraction)
    if options.target is None:
        untold = options.model_copy(update={"date_column": None})
        raise missing_target(type_columns(raw, untold, readings, file_name, today).frame, dates, options, file_name)
    if options.date_column is None:
        dates = dates or loose_date_columns(raw, options)
        options = options.model_copy(update={"date_column": only_date_column(dates, file_name)})
        readings = read_date_formats(raw, options)
    return options, type_columns(raw, options, readings, file_name, today)


@contextmanager
def _saying(notes: Sequence[str]) -> Iterator[None]:
    """What the file does without, behind an error: rows of two stores look like one row twice where no column is the store."""
    try:
        yield
    except ProposalError as error:
        raise error.said_of(after=" ".join(notes)) from error
    except UserError as error:
        raise UserError(" ".join((str(error), *notes))) from error


def _check_height(accepted: pl.DataFrame, rows_in: int, file_name: str) -> None:
    if accepted.height < MIN_ROWS:
        raise UserError(
            f"{file_name}: only {accepted.height} usable {'row' if accepted.height == 1 else 'rows'} of {rows_in}; at least {MIN_ROWS} are needed. "
            "Upload a file with more rows."
        )


def _check_varies(accepted: pl.DataFrame, target: str | None, naming: Naming | None, file_name: str) -> None:
    if target is None or accepted[target].n_unique() > 1:
        return
    named = naming is not None and naming.columns
    name = named.get(target, target) if named else target
    value = accepted[target][0]
    raise UserError(
        f"{file_name}: target {name!r} is {'unknown' if value is None else value} in every row, so there is nothing to "
        f"predict. {'Check the export.' if named else 'Name another target.'}"
    )

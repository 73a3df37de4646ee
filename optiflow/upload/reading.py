"""One upload from its file to typed rows and rejected rows: the order of the steps, and what refuses it whole."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.split import ROW
from optiflow.upload.by_role import Naming, other_pipelines
from optiflow.upload.columns import TypedTable, date_columns, read_date_formats, type_columns
from optiflow.upload.faults import refuse_over_limit
from optiflow.upload.fitting_options import check_options
from optiflow.upload.kinds import PLAIN
from optiflow.upload.named_columns import check_named_columns, missing_target, only_date_column
from optiflow.upload.source import read_table
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
    calls it; null when the row as a whole is wrong), reason String, value String. Accepted, merged and distinct rejected
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

    @property
    def merged(self) -> int:
        """Rows that were added to others, since the option `duplicates` says so."""
        return self.rows_in - self.accepted.height - self.rejected[ROW].n_unique()


def read_upload(path: Path, file_name: str, options: DatasetOptions, pipeline: "Pipeline | None" = None) -> Upload:
    """Read, type and validate an upload.

    Args:
        path: The local file, under any name.
        file_name: The user's name for it, which tells the format and which messages show.
        options: The user's choices; without a date column, the only column of dates is used.
        pipeline: Whose roles name the columns and whose rules the rows obey; None for a table of orders.

    Raises:
        UserError: the file, its columns or its options are wrong, or too many rows are.
    """
    if pipeline is not None:
        check_options(options, pipeline, file_name)
    return read_rows(read_cells(path, file_name, options), file_name, options, pipeline)


def read_cells(path: Path, file_name: str, options: DatasetOptions) -> RawTable:
    """The cells of one file, before types and roles.

    Raises:
        UserError: the file cannot be read as the table that its name promises.
    """
    return read_table(path, file_name, options.drop_columns)


def read_rows(raw: RawTable, file_name: str, options: DatasetOptions, pipeline: "Pipeline | None") -> Upload:
    """Type and validate the cells of one file, or of all files of a folder; arguments and errors as of `read_upload`."""
    refuse_over_limit(file_name, raw.ragged, raw.rows_in, options.max_rejected_fraction)
    check_named_columns([*raw.names, *raw.left_out], options, file_name)
    naming = Naming.of(raw, options, pipeline, file_name) if pipeline is not None else None
    notes = () if pipeline is None else other_pipelines(raw.names, pipeline)
    kinds = PLAIN if naming is None else naming.kinds
    if kinds == PLAIN:
        try:
            options, typed = _with_roles(raw, options, file_name)
        except UserError as error:
            raise UserError(" ".join((str(error), *notes))) from error
    else:
        typed = type_columns(raw, options, read_date_formats(raw, options, kinds), file_name, kinds)
    faults = pl.concat([raw.ragged, typed.faults])
    # A cell that could not be typed is null by now: it must not be called empty as well.
    schema = table_schema(kinds.needed(options), kinds.finite(options))
    found = schema_faults(typed.frame, raw.frame, schema, file_name)
    faults = pl.concat([faults, found.join(faults, on=["row", "column"], how="anti", maintain_order="left")])
    accepted = _without(typed.frame, faults).rechunk()  # polars 2.1 panics in `pl.format` on what a filter leaves
    if naming is not None:
        accepted, options = naming.by_role(accepted, options.drop_columns), naming.filled_in(options)
        faults = pl.concat([faults, naming.faults(accepted, options)])
        accepted = _without(accepted, faults)
    rejected = faults.sort(ROW, maintain_order=True)
    refuse_over_limit(file_name, rejected, raw.rows_in, options.max_rejected_fraction)
    _check_height(accepted, raw.rows_in, file_name)
    if naming is not None:
        accepted = naming.tidy(accepted, options)
        naming.check_history(accepted, options)
    _check_varies(accepted, options.target, naming, file_name)
    return Upload(
        accepted=accepted,
        rejected=rejected,
        rows_in=raw.rows_in,
        target=options.target,
        date_column=str(options.date_column),
        encoding=raw.encoding,
        delimiter=raw.delimiter,
        date_formats=typed.date_formats,
        notes=notes,
    )


def _without(rows: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    return rows.join(faults, on=ROW, how="anti", maintain_order="left") if faults.height else rows


def _with_roles(raw: RawTable, options: DatasetOptions, file_name: str) -> tuple[DatasetOptions, TypedTable]:
    """The options with target and date column filled in, and the table typed accordingly."""
    readings = read_date_formats(raw, options)
    dates = date_columns(raw, readings, options.max_rejected_fraction)
    if options.target is None:
        untold = options.model_copy(update={"date_column": None})
        raise missing_target(type_columns(raw, untold, readings, file_name).frame, dates, options, file_name)
    if options.date_column is None:
        options = options.model_copy(update={"date_column": only_date_column(dates, file_name)})
    return options, type_columns(raw, options, readings, file_name)


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

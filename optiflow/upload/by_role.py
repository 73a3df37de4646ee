"""What a pipeline says of an upload: its columns by their roles, its rules for rows, whether the history is enough.

Cells are read, and faults told, under the file's names of columns; the chain has those of the roles.
What does not belong here: which column has which role (`optiflow.roles`), and reading cells (`columns`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.proposals import ProposalError
from optiflow.roles import Role, find_roles, fit_roles
from optiflow.split import ROW
from optiflow.upload.faults import no_faults
from optiflow.upload.kinds import Kinds, kinds_of
from optiflow.upload.plausible import implausible_cells
from optiflow.upload.table import RawTable

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Completed, Pipeline


def other_pipelines(columns: Sequence[str], pipeline: "Pipeline") -> tuple[str, ...]:
    """A sentence on the other pipelines whose columns the file has, or nothing.

    A pipeline with columns of its own is told of others only where its own do not fit.
    """
    from optiflow.pipelines import PIPELINES

    if fit_roles(pipeline.roles, columns, surely=False):
        return ()
    fitting = [name for name, other in PIPELINES.items() if name != pipeline.name and fit_roles(other.roles, columns)]
    if not fitting:
        return ()
    return (
        f"The columns are those of the pipeline {' or '.join(fitting)}: if that is what the file holds, upload it there.",
    )


@dataclass(frozen=True)
class Naming:
    """`columns` is role -> the file's column, for the roles that the file has; empty where columns have no roles."""

    pipeline: "Pipeline"
    columns: Mapping[str, str]
    file_name: str

    @classmethod
    def of(cls, raw: RawTable, options: DatasetOptions, pipeline: "Pipeline", file_name: str) -> "Naming":
        """Find the roles among the columns that are not dropped.

        Raises:
            UserError: as `find_roles`.
        """
        names = [name for name in raw.names if name not in options.drop_columns]
        try:
            return cls(pipeline, find_roles(pipeline.roles, names, options.columns, file_name), file_name)
        except ProposalError as error:
            raise error.said_of(after=" ".join(other_pipelines(raw.names, pipeline))) from error
        except UserError as error:
            raise UserError(" ".join((str(error).rstrip(), *other_pipelines(raw.names, pipeline)))) from error

    @property
    def kinds(self) -> Kinds:
        """What the file's columns hold."""
        return kinds_of(self.pipeline.roles, self.columns)

    def filled_in(self, options: DatasetOptions) -> DatasetOptions:
        """The options with the pipeline's own target and date column, where columns have roles."""
        if not self.columns:
            return options
        date = next(role.name for role in self.pipeline.roles if role.kind == "date")
        return options.model_copy(update={"target": self.pipeline.target, "date_column": date})

    def answered(self, rows: pl.DataFrame, options: DatasetOptions) -> DatasetOptions:
        """The options with what the rows and the file's headers answer of those that the user left open."""
        if not self.columns:
            return options
        with self._in_file():
            return options.model_copy(update=dict(self.pipeline.answered(rows, options, self.columns)))

    def by_role(self, rows: pl.DataFrame, dropped: tuple[str, ...]) -> pl.DataFrame:
        """The rows without the dropped columns, the others under the names of their roles.

        A column without a role that is named like one gets ` (file)` behind its name. A role that the file has no column
        for, but that has a value for such files, gets it in each row.
        """
        if not self.columns:
            return rows
        rows = rows.drop(dropped, strict=False)
        renamed = {column: role for role, column in self.columns.items()}
        free = [name for name in rows.columns if name not in renamed]
        for name in free:
            if name in self.columns or name in {role.name for role in self.pipeline.roles}:
                aside = f"{name} (file)"
                while aside in rows.columns:
                    aside += " (file)"
                renamed[name] = aside
        absent = [pl.lit(role.absent).alias(role.name) for role in self.absent]
        return rows.rename(renamed).with_columns(absent)

    @property
    def absent(self) -> list[Role]:
        """The roles that the file has no column for, and whose rows get one value."""
        return [role for role in self.pipeline.roles if role.absent is not None and role.name not in self.columns]

    def notes(self) -> tuple[str, ...]:
        """What the file does without, in sentences."""
        return tuple(
            f"There is no column for {role.name}: all rows count as {role.absent!r}. If it has another name, say so by "
            f"--option columns.{role.name}=<your column>, or `columns: {{{role.name}: <your column>}}` in the options file."
            for role in self.absent
        )

    def complete(self, rows: pl.DataFrame, options: DatasetOptions) -> "Completed":
        """What the pipeline derives of the rows; faults and left-out rows under the file's names of columns."""
        from optiflow.pipelines.spec import Completed

        if not self.columns:
            return Completed(rows, no_faults(), no_faults())
        with self._in_file():
            completed = self.pipeline.complete(rows, options)
        told = pl.col("column").replace(dict(self.columns))
        return replace(
            completed,
            faults=completed.faults.with_columns(told),
            left_out=completed.left_out.with_columns(told),
        )

    def unfinished(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The rows of periods that the file holds only a part of."""
        if not self.columns or options.unfinished == "keep":
            return no_faults()
        with self._in_file():
            return self.pipeline.unfinished(rows, options)

    def faults(self, rows: pl.DataFrame, options: DatasetOptions, today: date) -> pl.DataFrame:
        """What is wrong with rows whose cells could be read: implausible cells, then the pipeline's own rules."""
        roles = [role for role in self.pipeline.roles if role.name in self.columns and role.read]
        dates, numbers = ([role.name for role in roles if role.kind == kind] for kind in ("date", "number"))
        odd = implausible_cells(rows, dates, numbers, today)
        found, rows = odd, rows.join(odd, on=ROW, how="anti", maintain_order="left").rechunk()
        if rows.height:
            with self._in_file():
                found = pl.concat([odd, self.pipeline.faults(rows, options)])
        return self.in_file(found)

    def in_file(self, faults: pl.DataFrame) -> pl.DataFrame:
        """The faults in words that can be looked up in the file."""
        return faults.with_columns(pl.col("column").replace(dict(self.columns)))

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The pipeline's form of the accepted rows."""
        with self._in_file():
            return self.pipeline.tidy(rows, options)

    def check_history(self, rows: pl.DataFrame, options: DatasetOptions) -> None:
        """Check that the rows can be split and learned from, now rather than in the middle of a run.

        Raises:
            UserError: they cannot.
        """
        if not self.columns:  # whether there is enough to learn from is then for training to say
            return
        with self._in_file():
            train, _ = self.pipeline.split(rows, options)
            self.pipeline.training(train, options)

    @contextmanager
    def _in_file(self) -> Iterator[None]:
        try:
            yield
        except ProposalError as error:
            raise error.said_of(before=f"{self.file_name}: ") from error
        except UserError as error:
            raise UserError(f"{self.file_name}: {error}") from error

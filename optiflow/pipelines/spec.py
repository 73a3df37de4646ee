"""What a pipeline is: everything that the shared chain asks it for.

What belongs here: the questions, and the answers that most pipelines share. What does not: how the chain keeps tables,
submits jobs and files reports (`assets`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.errors import UserError
from optiflow.learners import learner_named
from optiflow.learners.hyperparameters import Value, parse_hyperparameters
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Kept, Learned
from optiflow.pipelines.naming import with_names
from optiflow.report.extras import Extras
from optiflow.roles import Role
from optiflow.split import split_rows


@dataclass(frozen=True)
class Result:
    """A table that the prediction job makes: what it says, and its columns as name -> (type, description)."""

    description: str
    columns: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TrainingInputs:
    """What a training job reads (channel -> table), text files to keep beside the model, and metadata to show.

    `decided` has hyperparameters that the rows have decided where the options leave it to them.
    """

    channels: Mapping[str, pl.DataFrame]
    files: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    decided: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoringInputs:
    """What a prediction job reads: a table for each of the pipeline's results.

    `rows` says which rows they are, where the job gives back bare numbers; None where it gives back whole tables.
    """

    tables: Mapping[str, pl.DataFrame]
    rows: pl.DataFrame | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Completed:
    """Typed rows by the names of their roles, with what could be derived added to them.

    `faults` are what is wrong with rows that could not be completed; `left_out` are rows that are right, but not what the
    pipeline is about, such as a cancelled booking. Both are as `optiflow.upload.faults.SCHEMA`. `notes` say in sentences
    what was derived, and from what.
    """

    rows: pl.DataFrame
    faults: pl.DataFrame
    left_out: pl.DataFrame
    notes: tuple[str, ...] = ()


class Pipeline(ABC):
    """A pipeline: its name (asset group, folder, job name part), and what it does differently from the others."""

    name: ClassVar[str]
    description: ClassVar[str]
    report: ClassVar[str]
    """Name of the report asset."""
    algorithm: ClassVar[str]
    """`xgboost` for SageMaker's built-in one, otherwise a module of `optiflow.learners`."""
    roles: ClassVar[tuple[Role, ...]] = ()
    """The columns that its uploads have; none where options name target and date."""
    target: ClassVar[str | None] = None
    """The role that is predicted; None where options name a column, or where nothing is."""
    row_keys: ClassVar[tuple[str, ...]] = ()
    """The roles that tell whether a row of another file of a folder is the same one; the whole row where there are none."""
    default_options: ClassVar[Mapping[str, Any]] = {}
    own_options: ClassVar[tuple[str, ...]] = ()
    """Those of `horizon`, `duplicates`, `unfinished`, `movement_types` and `week_date` that it heeds; with `horizon` it holds out the newest periods, not a fraction."""
    results: ClassVar[Mapping[str, Result]]
    rooms: ClassVar[tuple[str, ...]] = ()
    """Rooms beside its own that it stands on."""
    scoring_reads: ClassVar[tuple[str, ...]] = ("test",)
    """The assets that `scoring` is given."""
    hidden: ClassVar[tuple[str, ...]] = ()
    """Columns that tell the target, and are kept from the held-out rows with it."""
    may_lack_target: ClassVar[bool] = False
    """Whether rows without a target are learned from too, as items that have not been sold yet."""
    has_actuals: ClassVar[bool] = True
    """Whether there is a truth that predictions can be set beside."""
    dataset_parameter: ClassVar[str | None] = None
    """The hyperparameter that tells the learner whose data it learns from, for a model that is nobody else's."""
    reckoned: ClassVar[tuple[str, ...]] = ()
    """Columns that `tidy` adds and that say nothing of what a row is about."""
    filled_unit: ClassVar[tuple[str, ...]] = ()
    """The columns that no two rows share, where `split` adds rows that the file lacks, numbered below 0; else none."""
    report_reads: ClassVar[tuple[str, ...]] = (SUMMARY_FILE,)
    """Files in the model's archive that the report reads, which are kept beside it."""
    serving: ClassVar[str | None] = None
    """The module that answers single questions with its models, behind an endpoint or in this process."""
    after_report: ClassVar[tuple[str, ...]] = ()
    """Assets of its own that follow on the report."""

    @property
    def learner(self) -> ModuleType | None:
        """The module that trains and scores; None for SageMaker's built-in XGBoost."""
        return learner_named(self.algorithm)

    @property
    def default_hyperparameters(self) -> Mapping[str, str]:
        """What the learner takes where options say nothing."""
        assert self.learner is not None
        return self.learner.DEFAULTS

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the learner needs that AWS's image lacks."""
        return self.learner.REQUIREMENTS if self.learner else ()

    def check_hyperparameters(self, values: Mapping[str, str]) -> Mapping[str, Value]:
        """The values as numbers and words.

        Raises:
            UserError: the learner does not know one, or it is out of its range.
        """
        assert self.learner is not None
        return parse_hyperparameters(self.learner.PARAMETERS, values)

    def hyperparameters(self, options: DatasetOptions) -> dict[str, str]:
        """The pipeline's hyperparameters with the user's laid over them, as strings, for a job.

        Raises:
            UserError: the learner does not know one, or it is out of its range.
        """
        merged = {**self.default_hyperparameters, **options.hyperparameters}
        try:
            self.check_hyperparameters(merged)
        except UserError as error:
            raise UserError(f"option hyperparameters: {error}") from error
        return merged

    def answered(self, rows: pl.DataFrame, options: DatasetOptions, columns: Mapping[str, str]) -> Mapping[str, Any]:
        """Options that the user left open and that the typed rows, or the file's names of the roles' columns, answer."""
        return {}

    def complete(self, rows: pl.DataFrame, options: DatasetOptions) -> Completed:
        """The rows with what can be derived of them, and those that are to be left out; nothing as a rule."""
        from optiflow.upload.faults import no_faults

        return Completed(rows, no_faults(), no_faults())

    def unfinished(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The accepted rows of periods that the file holds only a part of, as `optiflow.upload.faults.SCHEMA`."""
        from optiflow.upload.faults import no_faults

        return no_faults()

    def faults(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """What is wrong with rows whose cells are right each by itself, as `optiflow.upload.faults.SCHEMA`."""
        from optiflow.upload.faults import no_faults

        return no_faults()

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """The accepted rows as the chain takes them; where rows are merged, the first one's number stays."""
        return rows

    def counts(self, rows: pl.DataFrame, options: DatasetOptions) -> Mapping[str, int]:
        """What people want to know of an accepted upload beyond its rows: gaps, nulls, short series."""
        return {}

    def remarks(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[str, ...]:
        """What was taken for granted of an accepted upload, in plain words, with the option that says otherwise."""
        return ()

    def split(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows to learn from and those held out; every row is in exactly one of them."""
        return split_rows(rows, str(options.date_column), options.split)

    def must_be_older(self, train: pl.LazyFrame) -> pl.LazyFrame:
        """The training rows that a split by time leaves older than every held-out one: all of them, as a rule."""
        return train

    @abstractmethod
    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """What the training job reads."""

    @abstractmethod
    def scoring(self, tables: Mapping[str, pl.DataFrame], options: DatasetOptions, kept: Kept) -> ScoringInputs:
        """What the prediction job reads; `tables` are the assets of `scoring_reads`, whole."""

    def read_result(self, name: str, outputs: Path, rows: pl.DataFrame | None) -> pl.DataFrame:
        """One of the prediction job's results, out of its folder of `.out` files."""
        return pl.read_parquet(outputs / f"{name}.parquet.out", glob=False)

    def named(
        self, result: pl.DataFrame, rows: pl.LazyFrame, options: DatasetOptions, taken: Sequence[str]
    ) -> pl.DataFrame:
        """A result with what its rows are about: all columns of the file but the target and what tells it.

        Args:
            result: As `read_result` gives it.
            rows: All accepted rows, as `enriched` holds them.
            options: The dataset's.
            taken: Names that the result is given later.
        """
        # Whoever judges a prediction joins the target himself; FRED's figures are of the day, not of the row.
        left_out = {options.target or "", *self.hidden, *self.reckoned, *options.fred_series}
        same = {role.name for role in self.roles} | {options.date_column or ""}
        return with_names(result, rows, same=same, left_out=left_out, taken=taken)

    def learned(self, run: FinishedRun) -> Learned:
        """What the model was trained on, for the report."""
        return Learned(features=run.summary.get("features", ()), notes=run.summary.get("notes", ()))

    def judged(self, run: FinishedRun) -> pl.DataFrame | None:
        """The held-out rows as the report compares them: `predicted` and `actual`; None where there is no truth."""
        return run.held_out if self.has_actuals else None

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """Naive predictions for the rows of `judged`, in their order; at least one where there are actuals."""
        return {}

    def contributions(self, run: FinishedRun) -> Mapping[str, float]:
        """How far each feature moves a prediction on average, in units of the target."""
        return {}

    def extras(self, run: FinishedRun) -> Extras:
        """The tables and figures that only this pipeline's report has."""
        return Extras()

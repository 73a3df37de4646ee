"""What a report holds, and its JSON form, which is what machines and later versions read.

What belongs here: plain data. What does not: how it is computed (`build`), said (`verdict`) or shown (`render`).
"""

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from optiflow.errors import UserError
from optiflow.report.extras import Headline, ReportTable

SCHEMA_VERSION = 1


class Outcome(StrEnum):
    """What the report advises: the model beats the best baseline, perhaps, or not.

    Described, where there is no truth to judge by, as with scores of how unusual a row is.
    """

    BETTER = "better"
    UNCLEAR = "unclear"
    WORSE = "worse"
    DESCRIBED = "described"


@dataclass(frozen=True)
class RowCounts:
    """Rows of the upload, of them rejected by validation, rows trained and tested on, and rows added to others of these."""

    uploaded: int
    rejected: int
    train: int
    test: int
    merged: int = 0


@dataclass(frozen=True)
class Period:
    """First and last date, both included."""

    first: date
    last: date


@dataclass(frozen=True)
class LeftOut:
    """A column that is no feature, and why, in plain words."""

    column: str
    reason: str


@dataclass(frozen=True)
class RejectedRows:
    """How many rows one rule rejected; `column` is None for a rule on whole rows."""

    column: str | None
    reason: str
    rows: int


@dataclass(frozen=True)
class SeriesUsed:
    """A FRED series of the dataset.

    `vintage` says where its publication dates come from: `first_release`, `latest`, or plain words. `coverage` is the
    share of train and test rows (0 to 1) that had a value published by their date.
    """

    series_id: str
    vintage: str
    coverage: float
    title: str = ""


@dataclass(frozen=True)
class TrainingJob:
    """The job that trained the model. `history` is XGBoost's `evals_result`: channel -> metric -> value per round.

    `rounds` were run, `best_iteration` (from 0) is the one that the model keeps.
    """

    name: str
    rounds: int
    best_iteration: int | None
    history: dict[str, dict[str, tuple[float | None, ...]]]


@dataclass(frozen=True)
class BaselineScore:
    """A baseline's error figures, the model's skill against it, and where that skill may lie (about 95 %).

    `skill_low` and `skill_high` are for rows like these, which err alike by period and by series; `next_low` and
    `next_high` for the next window of this length, None in older reports.
    """

    name: str
    metrics: dict[str, float | None]
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    next_low: float | None = None
    next_high: float | None = None


@dataclass(frozen=True)
class TableFile:
    """A whole table as a file beside the page: its name, what one row is, its size, and where the lake has it."""

    file: str
    text: str
    rows: int
    columns: int
    address: str


@dataclass(frozen=True)
class Contribution:
    """How far a feature moves a prediction on average: mean |SHAP|, in units of the target."""

    feature: str
    mean_abs: float


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the run knows without looking at an error: the part of a report that the caller states.

    `version` is the upload's sha256, `options` the dataset's options as plain JSON, `unseen_categories` the number of
    categories per column that the test set has and the training set had not. `test_period` is read from the
    predictions where it is None.
    """

    pipeline: str
    dataset: str
    version: str
    target: str
    options: dict[str, Any]
    created_at: datetime
    rows: RowCounts
    split_strategy: str
    train_period: Period | None = None
    test_period: Period | None = None
    features: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    rejected: tuple[RejectedRows, ...] = ()
    series: tuple[SeriesUsed, ...] = ()
    unseen_categories: dict[str, int]
    job: TrainingJob | None = None
    notes: tuple[str, ...] = ()
    """Further warnings in plain words, shown with the report's own."""
    tables_at: dict[str, str] = field(default_factory=dict)
    """Where the lake has the results: name -> address."""


@dataclass(frozen=True, kw_only=True)
class Report(RunFacts):
    """A report, complete.

    `metrics` has the keys of `regression_metrics`; `skill` is that against `best_baseline`. Where nothing was judged,
    `metrics` and `baselines` are empty, `best_baseline` and `skill` None. Fields with defaults are unknown to older
    reports of the same schema version.
    """

    schema_version: int
    metrics: dict[str, float | None]
    baselines: tuple[BaselineScore, ...]
    best_baseline: str | None
    skill: float | None
    contributions: tuple[Contribution, ...]
    outcome: Outcome
    verdict: str
    warnings: tuple[str, ...]
    judged_rows: int | None = None
    """Test rows with an actual, on which all errors stand; None in older reports, which judged every test row."""
    headlines: tuple[Headline, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    further_metrics: dict[str, float | None] = field(default_factory=dict)
    skill_of: str = "squared error"
    """The error that `skill` and the verdict compare."""
    actions: tuple[str, ...] = ()
    downloads: tuple[TableFile, ...] = ()
    unit: str = ""
    per: str = ""
    """As in `Extras`."""


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def report_to_json(report: Report) -> str:
    """The report as JSON text, indented, every number in full."""
    return _adapter().dump_json(report, indent=2).decode() + "\n"


def report_from_json(text: str) -> Report:
    """The report that `report_to_json` wrote.

    Raises:
        UserError: it is no report, or one of another schema version.
    """
    again = "Run the dataset's report job again to write a new one."
    try:
        version = json.loads(text).get("schema_version")
        if version == SCHEMA_VERSION:
            return _adapter().validate_json(text)
    except (ValueError, AttributeError, ValidationError) as error:
        raise UserError(f"The report file is not a report. {again}") from error
    raise UserError(f"The report has schema version {version}, this OptiFlow reads {SCHEMA_VERSION}. {again}")

"""A finished run, as its report sees it.

What belongs here: the tables, files and facts that a report is made of. What does not: making any of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.options import DatasetOptions
from optiflow.report.model import LeftOut
from optiflow.split import ROW

EXPLAINED_ROWS = 1_000
"""Rows that contributions are averaged over: enough for two digits, and seconds less than all of a large test set."""

Kept = Callable[[str], str]
"""Reads a file that `TrainingInputs.files` has put beside the model."""


@dataclass(frozen=True)
class FinishedRun:
    """All that a report is made of: the sets, the prediction job's results, and the unpacked model."""

    options: DatasetOptions
    train: pl.DataFrame
    test: pl.DataFrame
    actuals: pl.DataFrame
    results: Mapping[str, pl.DataFrame]
    model: Path
    kept: Kept

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the learner said of its training; empty for SageMaker's built-in XGBoost."""
        path = self.model / SUMMARY_FILE
        return json.loads(path.read_text()) if path.is_file() else {}

    @cached_property
    def held_out(self) -> pl.DataFrame:
        """The test rows with `predicted` and `actual`, in the order of the predictions."""
        judged = self.results["predictions"].join(self.actuals, on=ROW, how="left", maintain_order="left")
        repeated = [name for name in self.test.columns if name in judged.columns and name != ROW]
        return judged.join(self.test.drop(repeated), on=ROW, how="left", maintain_order="left")


@dataclass(frozen=True)
class Learned:
    """What a model was trained on: its features, the columns left out, and categories new to it per column."""

    features: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()
    unseen_categories: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

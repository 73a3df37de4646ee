"""What pipelines of sales over time share: a horizon, one hold-out at the end, and a forecast after it.

What belongs here: the part that does not depend on how long a period is. What does not: rules, reports and learners of
one pipeline.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import polars as pl

from optiflow.days import first_and_last
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Kept, Learned
from optiflow.pipelines.forecasting.holdout import shorter_than_asked
from optiflow.pipelines.forecasting.horizon import with_horizon
from optiflow.pipelines.forecasting.repeats import negative_sums, negative_values, repeated_rows, summed
from optiflow.pipelines.spec import Pipeline, Result, ScoringInputs
from optiflow.split import ROW

SALES = "sales"
Described = Mapping[str, tuple[str, str]]


def forecast_results(series: Described, predicted: str, held_out: str, coming: str) -> dict[str, Result]:
    """The two results of a forecasting pipeline.

    Args:
        series: The columns that say which series and period a row is.
        predicted: What the forecast is, in words.
        held_out: Description of the table of held-out rows.
        coming: Description of the table of periods to come.
    """
    columns = {
        **series,
        "predicted": ("Float64", predicted),
        "lo_95": ("Float64", "With 95 % confidence, not less"),
        "lo_80": ("Float64", "With 80 % confidence, not less"),
        "hi_80": ("Float64", "With 80 % confidence, not more"),
        "hi_95": ("Float64", "With 95 % confidence, not more"),
        "method": ("String", "How it was forecast"),
    }
    row = {ROW: ("Int64", "Number of the row in the uploaded file, the header being row 1")}
    return {"predictions": Result(held_out, {**row, **columns}), "forecast": Result(coming, columns)}


class Forecasting(Pipeline):
    """Sales of several series, one row a series and period, forecast for the next `horizon` periods."""

    rooms = ("forecasting",)

    report = "report"
    target = SALES
    own_options = ("horizon", "duplicates", "unfinished")
    scoring_reads = ("train", "test", "actuals")
    keys: ClassVar[tuple[str, ...]]
    """The columns that name a series."""
    unit: ClassVar[str]
    """What one row tells of, in words."""
    unit_columns: ClassVar[tuple[str, ...]]
    """The columns of `in_periods` that no two rows share."""
    period_days: ClassVar[int]
    default_horizon: ClassVar[int]

    @property
    def columns(self) -> tuple[str, ...]:
        """What the learner sees of a row, the sales last."""
        return (*self.keys, "date", SALES)

    def horizon(self, options: DatasetOptions) -> int:
        """How many periods are held out at most, and forecast."""
        return int(self.hyperparameters(options)["horizon"])

    def hyperparameters(self, options: DatasetOptions) -> dict[str, str]:
        """The learner's, its horizon by the option `horizon`."""
        assert self.learner is not None
        return super().hyperparameters(with_horizon(options, self.default_horizon, self.learner.PARAMETERS))

    def in_periods(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with whole days, and what else tells their period."""
        return rows.with_columns(pl.col("date").cast(pl.Date))

    def faults(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """Sales below 0, alone or, where units that come twice are to be added up, together; else such units."""
        periods = self.in_periods(rows)
        if options.duplicates == "sum":
            return negative_sums(periods, self.unit_columns, SALES, self.unit)
        return pl.concat([negative_values(rows, SALES), repeated_rows(periods, self.unit_columns, self.unit)])

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """Whole days; units that come twice added up."""
        whole = self.in_periods(rows)
        merged = summed(whole, self.unit_columns, SALES) if options.duplicates == "sum" else whole
        return merged.select(rows.columns)

    def scoring(self, tables: Mapping[str, pl.DataFrame], options: DatasetOptions, kept: Kept) -> ScoringInputs:
        """The held-out rows after the training rows; and after all rows the periods to come, for each series."""
        train, test = tables["train"].select(ROW, *self.columns), tables["test"].select(ROW, *self.columns[:-1])
        asked = test.with_columns(pl.lit(None, pl.Float64).alias(SALES))
        sold = test.join(tables["actuals"].select(ROW, pl.col("actual").alias(SALES)), on=ROW, maintain_order="left")
        known = pl.concat([train, sold])
        _, last = first_and_last(known["date"])
        steps = range(1, self.horizon(options) + 1)
        ahead = pl.DataFrame({"date": [last + timedelta(step * self.period_days) for step in steps]})
        coming = (
            known.select(self.keys)
            .unique()
            .sort(self.keys)
            .join(ahead, how="cross")
            .with_columns(pl.lit(None, pl.Int64).alias(ROW), pl.lit(None, pl.Float64).alias(SALES))
        )
        strangers = test.join(train, on=self.keys, how="anti").height
        return ScoringInputs(
            {
                "predictions": pl.concat([train, asked]),
                "forecast": pl.concat([known, coming.select(ROW, *self.columns)]),
            },
            shown={"rows_of_new_series": strangers} if strangers else {},
        )

    def read_result(self, name: str, outputs: Path, rows: pl.DataFrame | None) -> pl.DataFrame:
        """The job's table; periods to come have no row in the file."""
        return super().read_result(name, outputs, rows).select(*self.results[name].columns)

    def learned(self, run: FinishedRun) -> Learned:
        """With a note where the forecast goes further than the hold-out."""
        learned = super().learned(run)
        further = shorter_than_asked(run.test, "date", self.horizon(run.options), self.period_days)
        return replace(learned, notes=(*learned.notes, *further))

"""Which rows of the predictions a report can judge, and on which day each lies.

What belongs here: rules that the figures and the plots must share. What does not: figures and plots.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl


def dated_rows(predictions: pl.DataFrame, options: Mapping[str, Any]) -> pl.DataFrame:
    """The predictions with the column `date`: their own, or the options' `date_column`; neither leaves them as they are."""
    day = options.get("date_column")
    if "date" in predictions.columns or day not in predictions.columns:
        return predictions
    return predictions.with_columns(date=pl.col(day))


def judged_rows(predictions: pl.DataFrame, options: Mapping[str, Any]) -> pl.DataFrame:
    """The dated rows whose actual is known: an item that has not been sold yet has none."""
    return dated_rows(predictions, options).drop_nulls("actual")

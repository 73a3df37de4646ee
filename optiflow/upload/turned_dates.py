"""Columns of a workbook where some cells are dates and others are texts of dates.

Whoever opens a file of day/month dates in a program that expects month/day gets a date, with day and month turned round,
wherever the day is 12 or less, and a text everywhere else. What belongs here: telling such columns, and reading them by the
option `date_format`. What does not: the formats of texts.
"""

import polars as pl

from optiflow.options import DatasetOptions
from optiflow.proposals import ProposalError
from optiflow.upload.faults import quote

CELL = r"^\d{4}-\d{2}-\d{2}( 00:00:00)?$"
TEXT = r"^(\d{1,2})([/.-])(\d{1,2})[/.-]\d{4}$"


def with_plain_dates(frame: pl.DataFrame, options: DatasetOptions, file_name: str) -> pl.DataFrame:
    """The table with the dates of such columns as texts like the others.

    Args:
        frame: Columns as read; a cell that is a date in a column that holds other texts too is its ISO text.
        options: With `date_format`, dates are turned back.
        file_name: For messages.

    Raises:
        UserError: day and month were turned round in a column, and no option says which it is.
    """
    for name in frame.columns:
        if frame.schema[name] != pl.String or name in options.drop_columns:
            continue
        values = frame[name]
        cells, texts = values.str.contains(CELL).fill_null(False), values.str.contains(TEXT).fill_null(False)
        if not cells.any() or not texts.any():
            continue
        parts = values.filter(texts).str.extract_groups(TEXT).struct.unnest()
        one, sign, two = parts["1"].cast(pl.Int64), str(parts["2"][0]), parts["3"].cast(pl.Int64)
        days = values.filter(cells).str.slice(8, 2).cast(pl.Int64)
        day_first, month_first = bool((one > 12).all()), bool((two > 12).all())
        turned = bool((days <= 12).all()) and (day_first or month_first)
        texts_format = f"%d{sign}%m{sign}%Y" if day_first else f"%m{sign}%d{sign}%Y"
        if turned and options.date_format is None:
            raise ProposalError(
                f"{file_name}, column {quote(name)}: {int(cells.sum()):,} cells are dates whose day is never over 12, the other "
                f"{int(texts.sum()):,} are texts such as {quote(values.filter(texts)[0])}. A program that took the day for "
                "the month has turned the dates round where it could. If the texts are right, say how they are written; the "
                "dates are then turned back.",
                file_name,
                {"date_format": texts_format},
            )
        dates = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        day, month, year = (part.cast(pl.String) for part in (dates.dt.day(), dates.dt.month(), dates.dt.year()))
        # A turned cell's month is the day that was meant; a right one's day is.
        first, second = (month, day) if day_first == turned else (day, month)
        if not (day_first or month_first):
            first, second = day, month
        written = first.str.zfill(2) + sign + second.str.zfill(2) + sign + year
        frame = frame.with_columns(pl.when(cells).then(written).otherwise(pl.col(name)).alias(name))
    return frame

"""Holding out the end of a history, so that a model is judged on days that it could not know."""

from datetime import timedelta

import polars as pl

from optiflow.errors import UserError

LARGEST_SHARE = 4
"""At most a quarter of the days is held out: the rest must tell the seasons apart."""


def last_days(rows: pl.DataFrame, date: str, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split into (train, test): the last `days` days, or the last quarter of a history that is shorter than four times them.

    Args:
        rows: Table with the Date column `date`.
        date: Its name.
        days: Wanted days of the hold-out.

    Raises:
        UserError: the history spans under four days.
    """
    first, last = rows[date].min(), rows[date].max()
    span = (last - first).days + 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand, reportAttributeAccessIssue]
    held_out = min(days, span // LARGEST_SHARE)
    if held_out < 1:
        raise UserError(f"the file spans {span} days, which cannot be split into training and test days: add days.")
    origin = last - timedelta(days=held_out)  # pyright: ignore[reportOperatorIssue]
    return rows.filter(pl.col(date) <= origin), rows.filter(pl.col(date) > origin)

"""Column roles: which column is the target, which is the date, and whether the options name columns that exist.

What does not belong here: types and formats of the columns.
"""

from collections.abc import Sequence
from difflib import get_close_matches

import polars as pl

from optiflow.column_names import by_likelihood_as_date, by_likelihood_as_target
from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.proposals import ProposalError
from optiflow.split import ROW
from optiflow.upload.faults import quote, quote_all


def check_named_columns(names: Sequence[str], options: DatasetOptions, file_name: str) -> None:
    """Check that every column that the options name is in the file.

    Raises:
        UserError: one is not (with the nearest names), or target or date column is dropped as well.
    """
    for option in ("target", "date_column"):
        name = getattr(options, option)
        if name is not None and name not in names:
            raise UserError(f"{file_name}: {option} {quote(name)} is not a column. {_hint(name, names)}")
        if name is not None and name in options.drop_columns:
            raise UserError(f"{file_name}: column {quote(name)} is the {option} and in drop_columns. Remove one.")
    for option in ("drop_columns", "keep_columns"):
        for name in getattr(options, option):
            if name not in names:
                raise UserError(f"{file_name}: {option} names {quote(name)}, no column of it. {_hint(name, names)}")


def numeric_columns(frame: pl.DataFrame) -> list[str]:
    """The names of the number columns, our row number left out."""
    return [name for name, dtype in frame.schema.items() if dtype.is_numeric() and name != ROW]


def missing_target(frame: pl.DataFrame, dates: list[str], options: DatasetOptions, file_name: str) -> UserError:
    """The error for options without a target: lists the numeric columns and proposes the likeliest that would do.

    Args:
        frame: The typed table.
        dates: The columns that read as dates.
        options: What the user gave.
        file_name: For messages.
    """
    numbers = numeric_columns(frame)
    enough = (1 - options.max_rejected_fraction) * frame.height
    usable = [n for n in numbers if frame[n].count() >= enough and frame[n].drop_nulls().n_unique() > 1]
    if not usable:
        which = "no column is numeric" if not numbers else "no numeric column varies and is filled throughout"
        return UserError(f"{file_name}: no target is set, and {which}. Upload a table with the number to predict.")
    way = {"target": by_likelihood_as_target(usable)[0]}
    if options.date_column is not None or dates:
        way["date_column"] = options.date_column or by_likelihood_as_date(dates)[0]
    return ProposalError(
        f"{file_name}: no target is set. Name the column to predict; the numeric columns are {quote_all(numbers)}.",
        file_name,
        way,
    )


def target_not_numeric(frame: pl.DataFrame, target: str, examples: list[str], file_name: str) -> UserError:
    """The error for a target that is mostly text, with the columns that would do."""
    numbers = [name for name in numeric_columns(frame) if name != target]
    others = f"The numeric columns are {quote_all(numbers)}" if numbers else "No other column is numeric"
    such = f" (for example {quote_all(examples)})" if examples else ""
    return UserError(f"{file_name}: target {quote(target)} is not numeric{such}. {others}.")


def column_not_numeric(column: str, examples: list[str], file_name: str) -> UserError:
    """The error for a column whose role is a number, but that is mostly text."""
    return UserError(
        f"{file_name}, column {quote(column)}: is not numeric (for example {quote_all(examples)}). Write numbers into it, or, if "
        "another column holds them, name that one with the option columns."
    )


def only_date_column(dates: list[str], file_name: str) -> str:
    """The date column where the options name none: the only one that reads as dates.

    Raises:
        UserError: none does, or several do.
    """
    if len(dates) == 1:
        return dates[0]
    if not dates:
        raise UserError(
            f"{file_name}: no date_column is set and no column reads as dates. Add a column with the day of each row, written "
            "as 2024-12-31, or name the one that holds it with date_column and say with date_format how it is written."
        )
    raise ProposalError(
        f"{file_name}: no date_column is set and several columns hold dates: {quote_all(dates)}. Name the one to use.",
        file_name,
        {"date_column": by_likelihood_as_date(dates)[0]},
    )


def _hint(name: str, names: Sequence[str]) -> str:
    by_fold = {other.casefold(): other for other in names}
    close = [by_fold[fold] for fold in get_close_matches(name.casefold().strip(), by_fold, n=1)]
    if close:
        return f"Did you mean {quote(close[0])}?"
    return f"The columns are {quote_all(list(names))}."

"""Holding out the end of a history, so that a model is judged on days that it could not know."""

from datetime import date, timedelta
from itertools import pairwise

import polars as pl

from optiflow.days import periods_spanned
from optiflow.errors import UserError

LARGEST_SHARE = 4
"""At most a quarter of the periods is held out: the rest must tell the seasons apart."""

WORDS = {1: "day", 7: "week"}


def last_days(rows: pl.DataFrame, day: str, periods: int, length: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split into (train, test): the last `periods`, or the last quarter of a history that is shorter than four times them.

    The test rows begin at most `periods` after the last training row: where the day before them is missing, the next one
    that is there is the last to learn from.

    Args:
        rows: Table with the Date column `day`.
        day: Its name; the first day of each period.
        periods: Wanted length of the hold-out.
        length: Days in a period.

    Raises:
        UserError: the history spans under four periods, no two of them follow one another, or the last one lies too far
            behind the others.
    """
    days: list[date] = rows[day].unique().sort().to_list()
    word = WORDS.get(length, "period")
    count = periods_spanned(rows[day], length)
    held_out = min(periods, count // LARGEST_SHARE)
    if held_out < 1:
        raise UserError(
            f"the file spans {count} {word}{'s' * (count > 1)}, which cannot be split into training and test {word}s: add {word}s."
        )
    if all((later - earlier).days > length for earlier, later in pairwise(days)):
        raise UserError(
            f"no two {word}s of the file follow one another, such as {days[0]} and {days[1]}: a row for each {word} is "
            "needed, not for a longer time."
        )
    begin = days[-1] - timedelta(days=held_out * length)
    origin = next(there for there in days if there >= begin)
    if origin == days[-1]:
        raise UserError(
            f"the last {word}, {origin}, comes {(origin - days[-2]).days // length} {word}s after the one before it, "
            f"{days[-2]}, and at most {held_out} can be held out: correct the date, or add the {word}s between."
        )
    return rows.filter(pl.col(day) <= origin), rows.filter(pl.col(day) > origin)


def shorter_than_asked(test: pl.DataFrame, day: str, periods: int, length: int = 1) -> tuple[str, ...]:
    """A note for the report where the hold-out has fewer than `periods`, so that the forecast goes beyond what was judged."""
    held_out, word = periods_spanned(test[day], length), WORDS.get(length, "period")
    if held_out >= periods:
        return ()
    return (
        f"The forecast goes {periods} {word}s ahead, but only {held_out} could be held out to judge it: the {word}s after "
        "those are less sure than the figures say.",
    )


def without_history(test: pl.DataFrame, train: pl.DataFrame, key: str) -> tuple[str, ...]:
    """A note for the report where the hold-out has rows of series that the training rows lack; `key` tells them apart."""
    new = test.join(train, on=key, how="anti")
    if new.is_empty():
        return ()
    series = new[key].n_unique()
    return (
        f"{new.height} held-out rows are of {series} {key}{'s' * (series > 1)} without a row before them: forecast by the "
        f"level of the other {key}s.",
    )

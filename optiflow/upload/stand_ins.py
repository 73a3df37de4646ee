"""Words and impossible dates that stand for no date at all: `not sold`, `0000-00-00`, `9999-12-31`.

What belongs here: telling them in a column that may be empty. What does not: cells in a column that must have a date, which
are faults, and words for nothing in any column (`table`).
"""

from datetime import date

import polars as pl

from optiflow.upload.faults import quote
from optiflow.upload.plausible import EARLIEST, LEEWAY

FEWEST_WORDS, FEWEST_DATES, SHARE = 2, 3, 0.005
"""So often, and in such a share of the rows, comes what stands for nothing; a slip of the keyboard comes once or twice."""


def stand_ins(values: pl.Series, days: pl.Series, today: date) -> list[str]:
    """The values that mean that there is no date.

    A word without a digit that comes again is one. Of values with digits only one can be, by far the most frequent of those
    that are no possible date.

    Args:
        values: The column's text; null where it is empty.
        days: The same as dates; null where the text is none.
        today: A date that lies over a week after it is not possible here, nor one before 1980.
    """
    day = days.cast(pl.Date)
    impossible = day.is_null() | (day < EARLIEST) | (day > today + LEEWAY)
    bad = values.filter(impossible & values.is_not_null()).rename("value")
    counts = bad.value_counts(sort=True, name="n")
    words = counts.filter(~pl.col("value").str.contains(r"\d") & (pl.col("n") >= FEWEST_WORDS))
    dates = counts.filter(pl.col("value").str.contains(r"\d")).head(2)
    found = words["value"].to_list()
    if dates.height:
        (first, times), others = dates.row(0), dates["n"][1] if dates.height > 1 else 0
        if times >= max(FEWEST_DATES, SHARE * len(values), 5 * others):
            found.append(first)
    return found


def in_words(column: str, values: pl.Series, words: list[str]) -> str:
    """What was taken for empty, as a sentence."""
    said = ", ".join(f"{quote(word)} ({(values == word).sum():,} rows)" for word in words)
    return f"{column}: {said} can be no date and is taken for an empty cell."

"""Column roles: which columns of an upload may serve as features, and why the others do not.

What belongs here: recognising identifiers, names, e-mail addresses, phone numbers, free text and later dates from a
column's name and its values. What does not: encoding the columns that stay (`feature_encoding`).
"""

import re

import polars as pl

from optiflow.column_names import names_a_code
from optiflow.report.model import LeftOut

SAMPLE_ROWS = 10_000
ALMOST_ALL = 0.9
MOSTLY = 0.5
LONG_TEXT_WORDS = 4
"""Free text has more words than names of products or regions have."""

DROPPED = "left out by the option drop_columns"
EMPTY, CONSTANT = "empty in every training row", "the same value in every training row"
NEVER_FEATURES = (DROPPED, EMPTY, CONSTANT)
"""Reasons that the option `keep_columns` does not help against."""

_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_PHONE = r"^\+?[\d\s().\-/x]{7,24}$"
_NAME_WORDS = r"(?:customer|client|buyer|contact|first|last|full|family|given|sur|user|person|employee|recipient)"
_PERSON_NAME = re.compile(rf"^(?:{_NAME_WORDS}[ _\-]?)+(?:name)?s?$|^{_NAME_WORDS}[ _\-]?name$", re.IGNORECASE)
_PHONE_NAME = re.compile(r"phone|mobile|telephone|^tel$|fax", re.IGNORECASE)

MAX_LEVELS, ROWS_PER_LEVEL = 1_000, 20
"""Whole numbers with few values, each in many rows, may be names of things, whatever their column is called."""


def may_name_things(values: pl.Series) -> bool:
    """Whether a column's whole numbers may stand for things, such as stores: three to 1,000 values, 20 rows each or more.

    Amounts such as quantities may look alike: they are to be kept as numbers too. Row numbers have too many values.
    """
    known = values.drop_nulls()
    return are_whole(values) and 3 <= known.n_unique() <= min(MAX_LEVELS, known.len() / ROWS_PER_LEVEL)


def are_whole(values: pl.Series) -> bool:
    """Whether a column holds whole numbers alone, whatever its type; never a column of text or of yes and no."""
    known = values.drop_nulls()
    if known.dtype.is_float():
        return bool((known.is_finite() & (known == known.round())).all())
    return known.dtype.is_integer()


def choose_features(
    train: pl.DataFrame,
    *,
    target: str,
    date_column: str,
    reserved: tuple[str, ...],
    drop: tuple[str, ...],
    keep: tuple[str, ...],
) -> tuple[list[str], list[LeftOut]]:
    """Split the columns of the training rows into features and columns left out with a reason.

    Only training rows are looked at, so that nothing is learned from rows that the model is judged on.

    Args:
        train: Training rows.
        target: The column to predict; never a feature.
        date_column: The order date; used through its calendar parts, so it is not listed as left out.
        reserved: Columns of ours that are no features.
        drop: Columns that the user leaves out.
        keep: Columns that the user wants although they look like something to leave out.
    """
    features: list[str] = []
    left_out: list[LeftOut] = []
    for column in train.columns:
        if column in (target, date_column) or column in reserved:
            continue
        reason = DROPPED if column in drop else None
        if reason is None:
            reason = _constant(train[column]) or (None if column in keep else _looks_like(train[column], column))
        if reason is None:
            features.append(column)
        else:
            left_out.append(LeftOut(column, reason))
    return features, left_out


def _constant(values: pl.Series) -> str | None:
    distinct = values.drop_nulls().n_unique()
    if distinct == 0:
        return EMPTY
    return CONSTANT if distinct == 1 and values.null_count() == 0 else None


def _looks_like(values: pl.Series, name: str) -> str | None:
    if values.dtype.is_temporal():
        return "a second date: it may not be known yet on the order date"
    if values.dtype == pl.String:
        return _looks_like_text(values, name)
    if values.dtype.is_integer() and names_a_code(name) and _distinct_share(values) >= MOSTLY:
        return f"an identifier: {_distinct_share(values):.0%} of its values are distinct"
    return None


def _looks_like_text(values: pl.Series, name: str) -> str | None:
    known = values.drop_nulls()
    sample = known.sample(min(SAMPLE_ROWS, known.len()), seed=0) if known.len() > SAMPLE_ROWS else known
    if sample.str.contains(_EMAIL).mean() >= MOSTLY:  # pyright: ignore[reportOperatorIssue]
        return "e-mail addresses: personal data, and no help for orders of new customers"
    digits = sample.str.count_matches(r"\d")
    phone_like = (sample.str.contains(_PHONE) & (digits >= 7)).mean()
    if phone_like >= ALMOST_ALL or (phone_like >= MOSTLY and _PHONE_NAME.search(name)):  # pyright: ignore[reportOperatorIssue]
        return "phone numbers: personal data, and no help for orders of new customers"
    if _PERSON_NAME.search(name):
        return "names of persons: personal data, and no help for orders of new customers"
    share = _distinct_share(known)
    words = sample.str.count_matches(r"\S+").mean()
    if isinstance(words, float) and words >= LONG_TEXT_WORDS and share >= MOSTLY:
        return f"free text: {words:.0f} words on average and {share:.0%} of its values are distinct"
    if share >= ALMOST_ALL or (share >= MOSTLY and names_a_code(name)):
        return f"an identifier: {share:.0%} of its values are distinct"
    return None


def _distinct_share(values: pl.Series) -> float:
    known = values.drop_nulls()
    return known.n_unique() / known.len() if known.len() else 0.0

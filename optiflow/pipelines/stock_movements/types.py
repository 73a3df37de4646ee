"""The type of each movement: by the user's word, by words of the trade, by the direction or by the quantity's sign.

What belongs here: the order in which these count. What does not: the words (`words`), and what else an export lacks
(`completion`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from optiflow.errors import UserError
from optiflow.pipelines.stock_movements.words import BY_DIRECTION, DEBIT_CREDIT, DIRECTION_WORDS, type_of_word
from optiflow.roles import plain_word

TYPES = ("in", "out", "adjust", "transfer")
OWN_WORD = 0.01
"""An unknown word of a smaller share of the rows is a slip of the pen, and no word of the system's own."""

SHOWN = 12


@dataclass(frozen=True)
class Typed:
    """`types` (String): one of `TYPES`, or the file's own word where it is not known. `notes` say how they came about."""

    types: pl.Series
    notes: tuple[str, ...]


def assign_types(rows: pl.DataFrame, given: Mapping[str, str]) -> Typed:
    """The types of movements.

    Args:
        rows: `quantity`, and `transaction_type` and `direction` if there are such columns.
        given: What words mean, by the option `movement_types`.

    Raises:
        UserError: the file has neither a type nor a direction, and no quantity is below 0.
    """
    direction, by = _directions(rows)
    if "transaction_type" not in rows.columns:
        if direction is None:
            raise UserError(
                "no column for transaction_type or direction, and no quantity is below 0: nothing says which movements come "
                "in and which go out. Say which column it is, with --option columns.transaction_type=<your column>."
            )
        return Typed(direction.fill_null("adjust"), (f"No column is the transaction_type: it is told by {by}.",))
    words = rows["transaction_type"].str.strip_chars()
    said = {plain_word(word): kind for word, kind in given.items()}
    counts = words.drop_nulls().value_counts()
    meaning = {word: said.get(plain_word(word)) or type_of_word(word) for word in counts[words.name]}
    own = {word for word, count in counts.iter_rows() if meaning[word] is None and count >= OWN_WORD * len(words)}
    by_column = "direction" in rows.columns
    types, how = [], {}
    for word, way in zip(words, direction if direction is not None else [None] * len(words), strict=True):
        kind = meaning.get(word)
        if kind == BY_DIRECTION:
            kind, told = way or "in", f"by {by}" if direction is not None else "in, as one of a customer"
        elif kind is None and way is not None and (by_column or word in own):
            kind, told = way, f"by {by}"
        else:
            told = kind
        if kind is not None:
            how[word] = told
        types.append(kind or word)
    return Typed(pl.Series("transaction_type", types, pl.String), _in_words(how))


def _directions(rows: pl.DataFrame) -> tuple[pl.Series | None, str]:
    """`in` or `out` of each row, null where it is not known, and what says so."""
    if "direction" in rows.columns:
        words = {word: plain_word(word) or word for word in rows["direction"].drop_nulls().unique()}
        known = {**DIRECTION_WORDS, **(DEBIT_CREDIT if "h" in words.values() else {})}
        plain = {word: known.get(told) for word, told in words.items()}
        return rows["direction"].replace_strict(plain, default=None, return_dtype=pl.String), "the direction"
    quantity = rows["quantity"]
    if not ((quantity < 0).any() and (quantity > 0).any()):
        return None, ""
    signed = rows.select(
        pl.when(pl.col("quantity") > 0).then(pl.lit("in")).when(pl.col("quantity") < 0).then(pl.lit("out"))
    )
    return signed.to_series(), "the sign of the quantity"


def _in_words(how: Mapping[str, str]) -> tuple[str, ...]:
    told = {word: kind for word, kind in how.items() if plain_word(word) != kind}
    if not told:
        return ()
    named = ", ".join(
        f"{word} is {kind}" if kind in TYPES else f"{word} is told {kind}" for word, kind in list(told.items())[:SHOWN]
    )
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return (f"Types of movements: {named}{more}. The option `movement_types` says it otherwise.",)

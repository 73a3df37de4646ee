"""Refusing an upload of which too many rows have faults, with what mends it and does no harm.

A limit is no mend where what it lets through is chosen: of items that are not sold yet, of orders without their number.
What does not belong here: finding faults.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from optiflow.errors import UserError
from optiflow.proposals import ProposalError
from optiflow.split import ROW
from optiflow.upload.faults import quote, quote_all
from optiflow.upload.validation import EMPTY

MOST_LEFT_OUT = 0.2
"""Of a file with more faults than that the rest is not what the file was."""
REPEATED = "more than once"
WORDS_SHOWN = 3


@dataclass(frozen=True)
class Mends:
    """What is known of a table whose rows have faults.

    `nullable` are its columns of dates that may be missing, `numbers` those whose role is a number, `adds_up` says that equal
    keys could be added up, `target` and `date_column` are those of a table without roles.
    """

    nullable: Sequence[str] = ()
    numbers: Sequence[str] = ()
    adds_up: bool = False
    target: str | None = None
    date_column: str | None = None


def refuse_over_limit(
    file_name: str, rejected: pl.DataFrame, rows_in: int, limit: float, mends: Mends = Mends()
) -> None:
    """Refuse the whole upload when more than `limit` (a fraction of 1) of its rows have faults.

    Raises:
        UserError: too many rows have faults; shows the counts, the first three, and what mends the most frequent one.
    """
    bad = rejected[ROW].n_unique()
    if bad <= limit * rows_in:
        return
    first = "; ".join(
        f"row {fault['row']}"
        + (f", column {quote(fault['column'])}" if fault["column"] is not None else "")
        + f": {fault['reason']} ({quote(fault['value'])})"
        for fault in rejected.sort(ROW, maintain_order=True).head(3).iter_rows(named=True)
    )
    said = (
        f"{file_name}: {bad:,} of {rows_in:,} rows ({bad / rows_in:.1%}) have faults; max_rejected_fraction allows "
        f"{limit:.1%}. The first: {first}."
    )
    raise _with_advice(said, file_name, rejected, bad / rows_in, mends)


def _with_advice(said: str, file_name: str, rejected: pl.DataFrame, share: float, mends: Mends) -> UserError:
    rules = rejected.group_by("column", "reason").agg(pl.col(ROW).n_unique().alias("n")).sort("n", descending=True)
    column, reason, _ = rules.row(0)
    if column in mends.nullable:
        values = rejected.filter(pl.col("column") == column)["value"].drop_nulls()
        counts = values.rename("value").value_counts(sort=True, name="n")
        words = counts.filter(pl.col("n") > 1).head(WORDS_SHOWN)["value"].to_list()
        if words:
            return ProposalError(
                f"{said} Do not leave these rows out: what is left would be one-sided. If {quote_all(words)} "
                f"in {column} {'means' if len(words) == 1 else 'mean'} that there is no date yet, say so.",
                file_name,
                {"null_values": words},
            )
        return UserError(f"{said} Mend these dates; leaving the rows out would make the rest one-sided.")
    parts = rules.filter(pl.col("reason").str.contains(REPEATED) & ~pl.col("reason").str.contains("alike"))
    if mends.adds_up and parts.height and (REPEATED in reason or "below 0" in reason):
        return ProposalError(
            f"{said} If they are parts of one sum, such as departments, bookings or returns, have them added up.",
            file_name,
            {"duplicates": "sum"},
        )
    if REPEATED in reason:
        return UserError(f"{said} Take the repeated rows out of the file.")
    if "below 0" in reason:
        return UserError(
            f"{said} They are returns: net them with the sales of their day or week, and write 0 where none is left."
        )
    if mends.target is not None and column == mends.target:
        return UserError(
            f"{said} Mend them. Where the number is not known yet, as of orders on their way, end the file before the first "
            "such day instead: what is known already of the newest is not like the rest."
        )
    if reason == EMPTY and share > MOST_LEFT_OUT:
        often = rules.filter(pl.col("reason") == EMPTY, pl.col("n") * 2 >= rules["n"][0])["column"].sort().to_list()
        labels = [name for name in often if name not in mends.numbers]
        if not labels:
            return UserError(
                f"{said} Nobody but you can know these numbers: write 0 where none was sold or moved, leave out the rows that say "
                "nothing, or mend the export."
            )
        return ProposalError(
            f"{said} If an empty cell means what stands above it, as where a label stands only in the first row of its group, "
            "say so.",
            file_name,
            {"fill_down": labels},
        )
    if share > MOST_LEFT_OUT:
        return UserError(f"{said} Mend the file: what is left of it would not be what it was.")
    way: dict[str, Any] = {"max_rejected_fraction": math.ceil(share * 100) / 100}
    if mends.date_column is not None:
        way["date_column"] = mends.date_column
    return ProposalError(
        f"{said} Mend the rows. If they are no special ones, so that nothing is lost with them, allow them to be left out.",
        file_name,
        way,
    )

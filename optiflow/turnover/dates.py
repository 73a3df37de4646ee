"""The dates of items: which cannot be, how long an item was watched, and what that lets us know of it.

What belongs here: rules on `created`, `sold` and `as_of`, the day of the export. What does not: cells that are no dates
(`optiflow.upload`).
"""

import math
from datetime import date

import polars as pl

from optiflow.errors import UserError
from optiflow.learners.turnover.parameters import HORIZON
from optiflow.split import ROW
from optiflow.upload.faults import cell_faults, no_faults

FEWEST_JUDGED = 40
"""Items watched for 30 days that a split needs."""

WATCHED = (pl.col("as_of") - pl.col("created")).dt.total_days()
"""Days between creation and the export."""


def date_faults(rows: pl.DataFrame, today: date) -> pl.DataFrame:
    """Items sold before they were created, and dates after the export or, without its day in the file, after today."""
    limit = pl.col("as_of").cast(pl.Date) if "as_of" in rows.columns else pl.lit(today)
    word = "the export (as_of)" if "as_of" in rows.columns else f"today ({today})"
    days = rows.with_columns(pl.col("created", "sold").cast(pl.Date), limit=limit)
    rules = [
        ("sold", pl.col("sold") < pl.col("created"), "is before the date of creation"),
        ("created", pl.col("created") > pl.col("limit"), f"is after {word}"),
        ("sold", pl.col("sold") > pl.col("limit"), f"is after {word}"),
    ]
    if "as_of" in rows.columns:
        rules.append(("as_of", pl.col("limit") > today, f"is after today ({today})"))
    found = [(name, days.select(rule.fill_null(False)).to_series(), reason) for name, rule, reason in rules]
    return pl.concat([no_faults(), *(cell_faults(rows, name, bad, reason) for name, bad, reason in found if bad.any())])


def with_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `as_of`, if the file has none the last date of all, and `days`, the target: how long a sale took.

    `days` is null for an item that is not sold, and for one that was watched for less than 30 days: of such young items
    only the quick ones are sold yet, and judging by them would flatter a model that says too little.
    """
    rows = rows.with_columns(pl.col("created", "sold").cast(pl.Date))
    if "as_of" in rows.columns:
        rows = rows.with_columns(pl.col("as_of").cast(pl.Date))
    else:
        rows = rows.with_columns(as_of=pl.max_horizontal(pl.col("created").max(), pl.col("sold").max()))
    took = (pl.col("sold") - pl.col("created")).dt.total_days().cast(pl.Float64)
    return rows.with_columns(days=pl.when(WATCHED >= HORIZON).then(took))


def hold_out_newest(rows: pl.DataFrame, fraction: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split by date of creation so that the newest `fraction` of the items watched for 30 days is held out.

    Items younger than that come after them, and are held out too, although nothing can be said of them yet.

    Raises:
        UserError: fewer than 40 items were watched for 30 days.
    """
    ordered = rows.sort("created", ROW)
    judged = ordered.select((WATCHED >= HORIZON).arg_true()).to_series()
    if len(judged) < FEWEST_JUDGED:
        raise UserError(
            f"{len(judged)} of {rows.height} items were put on sale {HORIZON} days or more before the export, at least "
            f"{FEWEST_JUDGED} are needed: upload older items too."
        )
    cut = judged[-math.ceil(len(judged) * fraction)]
    return ordered.head(cut), ordered.slice(cut)


def unsold(rows: pl.DataFrame) -> pl.DataFrame:
    """The items in stock, with `age_days` on the day of the export."""
    return rows.filter(pl.col("sold").is_null()).with_columns(age_days=WATCHED.cast(pl.Float64))

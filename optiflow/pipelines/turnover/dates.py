"""The dates of items: which cannot be, how long an item was watched, and what that lets us know of it.

What belongs here: rules on `created`, `sold` and `as_of`, the day of the export. What does not: cells that are no dates
(`optiflow.upload`).
"""

import math
from datetime import date

import polars as pl

from optiflow.errors import UserError
from optiflow.learners.turnover.parameters import SALE_DAYS
from optiflow.options import SplitOptions
from optiflow.split import ROW, split_rows
from optiflow.upload.faults import cell_faults, no_faults

FEWEST_JUDGED = 40
"""Items watched for 30 days that a file needs."""

SHORTER = (21, 14, 7)
"""Days within which items are judged where too few were watched for 30."""

HELD_OUT_IF_YOUNG = 0.1
"""Share of the items of a young file that is held out at least."""

WATCHED = (pl.col("as_of") - pl.col("created")).dt.total_days()
"""Days between creation and the export."""


def watched_for(days: int | pl.Expr) -> pl.Expr:
    """Whether an item was watched for so many days or more, sold or not."""
    return WATCHED.ge(days)


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


def with_days(rows: pl.DataFrame, fraction: float) -> pl.DataFrame:
    """Add `as_of`, if the file has none the last date of all, `horizon`, and `days`, the target: how long a sale took.

    `horizon` (Int64, the same in every row) is the number of days within which held-out items are judged: see
    `judging_horizon`. `days` is null for an item that is not sold, and for one that was watched for less than the
    horizon: of such young items only the quick ones are sold yet, and judging by them would flatter a model that says
    too little.

    Args:
        rows: `created`, `sold`, and perhaps `as_of`.
        fraction: The share of the items that will be held out.
    """
    rows = rows.with_columns(pl.col("created", "sold").cast(pl.Date))
    if "as_of" in rows.columns:
        rows = rows.with_columns(pl.col("as_of").cast(pl.Date))
    else:
        rows = rows.with_columns(as_of=pl.max_horizontal(pl.col("created").max(), pl.col("sold").max()))
    took = (pl.col("sold") - pl.col("created")).dt.total_days().cast(pl.Float64)
    horizon = judging_horizon(rows.select(WATCHED).to_series(), fraction)
    return rows.with_columns(days=pl.when(watched_for(horizon)).then(took), horizon=pl.lit(horizon, pl.Int64))


def judging_horizon(watched: pl.Series, fraction: float) -> int:
    """30 days; in a young file the longest of 21, 14 and 7 for which two of three items were watched, or 7.

    A file is young if fewer than half of its items were watched for 30 days, and fewer than four times as many as are to be
    held out: as many watch the training, and half is to be left to learn from. An item that was watched for less than
    the horizon is censored within it, and counting such items by what is known of them would count the quick ones only.
    The horizon looks at dates of creation alone, never at sales.
    """
    share = {horizon: (watched >= horizon).sum() / len(watched) for horizon in (SALE_DAYS, *SHORTER)}
    if share[SALE_DAYS] >= min(4 * fraction, 0.5):
        return SALE_DAYS
    return next((horizon for horizon in SHORTER if share[horizon] >= 2 / 3), SHORTER[-1])


def hold_out_newest(rows: pl.DataFrame, fraction: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split so that of the items watched for the horizon the newest by date of creation are held out.

    They are `fraction` of all items (in a young file a tenth at least), as long as that leaves half of the watched ones to
    learn from. Younger items cannot be judged yet. They are learned from, as what they are: not sold so far, or sold after so many
    days. That they are newer than the held-out items tells nothing of these, since no feature counts the days on.
    """
    judged = rows.filter(watched_for(pl.col("horizon"))).sort("created", ROW)
    held = judged.tail(_held_out(rows, judged, fraction))
    return rows.join(held.select(ROW), on=ROW, how="anti").sort("created", ROW), held


def hold_out_drawn(rows: pl.DataFrame, split: SplitOptions) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split so that as many items as in `hold_out_newest` are held out, drawn at random with the seed of the options."""
    judged = rows.filter(watched_for(pl.col("horizon")))
    share = _held_out(rows, judged, split.test_fraction) / judged.height
    held = split_rows(judged, "created", split.model_copy(update={"test_fraction": share}))[1]
    return rows.join(held.select(ROW), on=ROW, how="anti").sort(ROW), held


def _held_out(rows: pl.DataFrame, judged: pl.DataFrame, fraction: float) -> int:
    # The items of a young file were put on sale on few days and hardly differ yet: it takes more of them to see a gain.
    least = HELD_OUT_IF_YOUNG if rows["horizon"][0] < SALE_DAYS else 0.0
    wanted = math.ceil(min(rows.height * max(fraction, least), judged.height * max(fraction, 0.5)))
    # Two are left even of a fraction of 0.99: one to watch the training, one to learn from.
    return max(min(wanted, judged.height - 2), 1)


def require_watched(rows: pl.DataFrame) -> None:
    """Refuse a file with too few old items. Of the whole file only: part of it is held out before the training splits again.

    Raises:
        UserError: fewer than 40 items were watched for 30 days.
    """
    old = rows.filter(WATCHED >= SALE_DAYS).height
    if old < FEWEST_JUDGED:
        raise UserError(
            f"{old} of {rows.height} items {'was' if old == 1 else 'were'} put on sale {SALE_DAYS} days or more before the export, at least "
            f"{FEWEST_JUDGED} are needed: upload older items too."
        )


def unsold(rows: pl.DataFrame) -> pl.DataFrame:
    """The items in stock, with `age_days` on the day of the export."""
    return rows.filter(pl.col("sold").is_null()).with_columns(age_days=WATCHED.cast(pl.Float64))

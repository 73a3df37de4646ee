"""First and last periods that a file holds only a part of: an export at noon ends with a morning, not with a bad day.

What belongs here: telling such periods by what they sold. What does not: weeks that lack days (`store_sales.days`), and
what becomes of them.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from optiflow.split import ROW
from optiflow.upload.faults import SCHEMA, no_faults
from optiflow.upload.left_out import REASON

WEEKS_AROUND, FEWEST = 8, 4
"""A period is set beside the nearest eight of its weekday, of which four must be there."""

LOW = {1: 0.75, 7: 0.65}
"""Days in a period -> the share of what is usual below which it may be unfinished. Weeks fall by a third after Christmas."""

SPREADS, MAD = 4.0, 1.4826
"""It is also below what is usual by so many times the spread, which is told by the median absolute deviation."""

YEAR = timedelta(days=364)


def unfinished_edges(
    rows: pl.DataFrame, keys: Sequence[str], date_column: str, value: str, period: int
) -> pl.DataFrame:
    """The rows of the first and of the last period, each if it is unfinished, as `optiflow.upload.faults.SCHEMA`.

    A period is unfinished if it sold far less than the same weekday's around it, more than chance explains, at most of
    the stores alike (of the items, where there is one store), and was not as low a year before.

    Args:
        rows: `row`, `keys`, `date_column` (Date), `value`.
        keys: What tells the series apart; the first with two or more values tells what must be low alike.
        date_column: A day that names the period, the same weekday for all weeks.
        value: What is sold.
        period: Days in a period: 7 or 1.
    """
    group = next((key for key in keys if rows[key].n_unique() > 1), keys[0])
    by_group = rows.group_by(group, date_column).agg(pl.col(value).sum())
    totals = dict(by_group.group_by(date_column).agg(pl.col(value).sum()).iter_rows())
    found = [no_faults()]
    for edge, direction, word in ((max(totals), -1, "last"), (min(totals), 1, "first")):
        share = _share_of_usual(totals, edge, direction)
        if share is None or not _is_low(totals, edge, direction, share, period):
            continue
        if not _low_alike(by_group, group, date_column, value, edge, direction, LOW[period]):
            continue
        what = "day" if period == 1 else "week"
        reason = (
            f"{REASON}the {word} {what} of the file, {edge}, is not whole: it sold {share:.0%} of what is usual. If it is "
            "whole, say so: `unfinished: keep`"
        )
        found.append(
            rows.filter(pl.col(date_column) == edge).select(
                pl.col(ROW).cast(pl.Int64),
                column=pl.lit(None, pl.String),
                reason=pl.lit(reason),
                value=pl.col(value).cast(pl.String),
            )
        )
    return pl.concat([faults.select(*SCHEMA) for faults in found]).unique(ROW, keep="first", maintain_order=True)


def _usual(totals: dict[date, float], day: date, direction: int) -> float | None:
    """The median of the nearest periods of the same weekday on one side; None where too few are there."""
    around = [totals.get(day + direction * timedelta(weeks=week)) for week in range(1, WEEKS_AROUND + 1)]
    known = sorted(total for total in around if total is not None)
    if len(known) < FEWEST:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2


def _share_of_usual(totals: dict[date, float], day: date, direction: int) -> float | None:
    usual = _usual(totals, day, direction)
    return totals[day] / usual if usual else None


def _is_low(totals: dict[date, float], edge: date, direction: int, share: float, period: int) -> bool:
    shares = {day: of_usual for day in totals if (of_usual := _share_of_usual(totals, day, direction)) is not None}
    others = pl.Series([of_usual for day, of_usual in shares.items() if day != edge], dtype=pl.Float64)
    if len(others) < FEWEST:
        return False
    spread = MAD * float((others - others.median()).abs().median())  # pyright: ignore[reportArgumentType, reportOperatorIssue]
    limit = min(LOW[period], 1 - SPREADS * spread)
    # Where the one beside it is low too, sales are rising or falling.
    beside = shares.get(edge + direction * timedelta(weeks=1))
    if beside is not None and beside < limit:
        return False
    # What was as low at the same time of another year is a holiday; days by the weekday or by the date.
    other_years = {edge + sign * YEAR + timedelta(days=off) for sign in (-1, 1) for off in (-7, -2, -1, 0, 1, 2, 7)}
    return share < limit and not any(shares[day] < limit for day in other_years & shares.keys())


def _low_alike(
    by_group: pl.DataFrame, group: str, date_column: str, value: str, edge: date, direction: int, low: float
) -> bool:
    """Whether most groups that usually sell on such a day sold little then, or have no row."""
    days = [edge + direction * timedelta(weeks=week) for week in range(1, WEEKS_AROUND + 1)]
    usual = (
        by_group.filter(pl.col(date_column).is_in(days))
        .group_by(group)
        .agg(usual=pl.col(value).median(), times=pl.len())
        .filter(pl.col("usual") > 0, pl.col("times") >= FEWEST)
    )
    there = by_group.filter(pl.col(date_column) == edge).select(group, there=pl.col(value))
    shares = usual.join(there, on=group, how="left").select(pl.col("there").fill_null(0) / pl.col("usual")).to_series()
    return len(shares) > 0 and float((shares < low).mean()) > 0.5  # pyright: ignore[reportArgumentType]

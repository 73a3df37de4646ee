"""What a shop knows without a model: how items have sold so far, of all, of the newest, and per group.

What belongs here: Kaplan-Meier curves of training items, and the choice of the group inside them. What does not: the
model, and setting it beside these (`judging`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import polars as pl

from optiflow.learners.turnover.measures import log_loss
from optiflow.pipelines.turnover.dates import WATCHED, watched_for
from optiflow.pipelines.turnover.kaplan_meier import Curve
from optiflow.split import ROW

if TYPE_CHECKING:
    import numpy as np

MONTH = "month of creation"
GROUPS = ("category", "brand", MONTH)
INNER_HOLD_OUT = 0.2
NEWEST, FEWEST_NEWEST = 0.1, 100
SHRUNK_BY = 10
"""So many items of the overall share are added to each group: one of two items tells little, and an item that sells in
spite of a chance of 0 would cost the baseline everything."""

MIN_ITEMS_PER_GROUP = 3


@dataclass(frozen=True)
class Pace:
    """How items sell: each group's share sold within the horizon, and its median days, cut at the horizon.

    `groups` has the columns of `by`, `share` and `median`, a row a group; a group never seen gets `share` and `median`
    of all.
    """

    name: str
    by: tuple[str, ...]
    share: float
    median: float
    groups: pl.DataFrame | None = None

    def shares(self, rows: pl.DataFrame) -> pl.Series:
        """The chance of a sale within the horizon: Float64, 0 to 1, one a row of `rows` with `created`, `category`, `brand`."""
        return self._look_up(rows, "share", self.share)

    def medians(self, rows: pl.DataFrame) -> pl.Series:
        """The days until sale, at most the horizon: Float64, one a row."""
        return self._look_up(rows, "median", self.median)

    def _look_up(self, rows: pl.DataFrame, column: str, otherwise: float) -> pl.Series:
        if self.groups is None:
            return pl.repeat(otherwise, rows.height, dtype=pl.Float64, eager=True)
        keys = _with_month(rows).select(self.by)
        found = keys.join(self.groups, on=list(self.by), how="left", nulls_equal=True, maintain_order="left")
        return found[column].fill_null(otherwise)


def fit_paces(train: pl.DataFrame, horizon: int, *, by_time: bool) -> list[Pace]:
    """The paces of all items, of the newest, and of the group that foretells best inside the training items.

    The group, a column or a pair of category, brand and month of creation, is chosen by its log-loss on a fifth of the
    items watched for the horizon: the newest with `by_time`, else every fifth. The others, older ones, make the curves.

    Args:
        train: `row`, `created`, `sold`, `as_of`, `category`, `brand`.
        horizon: Days.
        by_time: Whether the held-out items are the newest.
    """
    rows = _with_month(train).sort("created", ROW)
    known = rows.filter(watched_for(horizon))
    fitted = [_pace("Kaplan-Meier curve of all items", rows, horizon)]
    if by_time and known.height > 2 * FEWEST_NEWEST:
        newest = known.tail(max(round(known.height * NEWEST), FEWEST_NEWEST))
        fitted.append(_pace("Kaplan-Meier curve of the newest items", newest, horizon))
    by = _best_group(known, horizon, by_time=by_time)
    if by:
        fitted.append(_pace(f"Kaplan-Meier curve per {' and '.join(by)}", rows, horizon, by))
    return fitted


def _best_group(known: pl.DataFrame, horizon: int, *, by_time: bool) -> tuple[str, ...]:
    late = max(round(known.height * INNER_HOLD_OUT), 1)
    position = pl.int_range(pl.len())
    is_late = position >= known.height - late if by_time else position % round(1 / INNER_HOLD_OUT) == 0
    early, late_rows = known.filter(~is_late), known.filter(is_late)
    singles = [(name,) for name in GROUPS if _is_group(early, (name,))]
    pairs = [pair for pair in combinations([name for (name,) in singles], 2) if _is_group(early, pair)]
    quick = _quick(late_rows, horizon)
    scores = {
        by: log_loss(quick, _pace("", early, horizon, by).shares(late_rows).to_numpy()) for by in (*singles, *pairs)
    }
    return min(scores, key=lambda by: scores[by], default=())


def _pace(name: str, rows: pl.DataFrame, horizon: int, by: Sequence[str] = ()) -> Pace:
    share, median = _of_curve(rows, horizon)
    if not by:
        return Pace(name, (), share, median)
    found = []
    for part in rows.partition_by(by, maintain_order=True):
        own_share, own_median = _of_curve(part, horizon)
        shrunk = (part.height * own_share + SHRUNK_BY * share) / (part.height + SHRUNK_BY)
        found.append(
            part.head(1).select(
                *by,
                share=pl.lit(shrunk, pl.Float64),
                median=pl.lit(own_median if part.height >= SHRUNK_BY else median, pl.Float64),
            )
        )
    return Pace(name, tuple(by), share, median, pl.concat(found))


def _of_curve(rows: pl.DataFrame, horizon: int) -> tuple[float, float]:
    took = (pl.col("sold") - pl.col("created")).dt.total_days()
    days = rows.select(pl.coalesce(took, WATCHED).cast(pl.Float64)).to_series().to_numpy()
    curve = Curve.of(days, rows["sold"].is_not_null().to_numpy())
    return curve.share_sold(horizon), min(curve.median(), float(horizon))


def _quick(rows: pl.DataFrame, horizon: int) -> "np.ndarray":
    took = (pl.col("sold") - pl.col("created")).dt.total_days()
    return rows.select((took <= horizon).fill_null(False)).to_series().to_numpy()


def _is_group(rows: pl.DataFrame, by: Sequence[str]) -> bool:
    return 2 <= rows.select(pl.struct(by).n_unique()).item() <= rows.height / MIN_ITEMS_PER_GROUP


def _with_month(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("created").dt.month().alias(MONTH))

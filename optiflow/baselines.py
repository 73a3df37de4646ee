"""The naive predictors that every model is set beside: the mean, and the mean per group.

What belongs here: predictors that need no learning library. They see training rows only, also when the group is
chosen. What does not: error figures, and which of the baselines a report calls the best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, Self

import polars as pl

from optiflow.errors import UserError

PREDICTED = "predicted"
GROUP_MEAN = "__group_mean__"
"""The column of means; a name that no upload has, because a group column may be called `predicted`."""
INNER_HOLD_OUT = 0.2
SELECTION_ROWS = 200_000
"""Rows that the choice of the group looks at; 28 pairs over 5 million rows would cost more than the training."""
MIN_ROWS_PER_GROUP = 3
"""Columns with fewer training rows per group than this on average are no groups, but labels."""
MAX_PAIRED = 8


class Baseline(Protocol):
    """A predictor fitted on training rows."""

    @property
    def name(self) -> str:
        """What it is, for humans: `mean of quantity per product`."""
        ...

    def predict(self, frame: pl.DataFrame) -> pl.Series:
        """One Float64 per row of `frame`, in its order, never missing."""
        ...


@dataclass(frozen=True)
class MeanBaseline:
    """Predicts the mean of the training target for every row."""

    target: str
    mean: float

    @classmethod
    def fit(cls, train: pl.DataFrame, target: str) -> Self:
        """Take the mean of the training rows that have a target.

        Raises:
            UserError: no row has one.
        """
        return cls(target, _mean(_known(train, target), target))

    @property
    def name(self) -> str:
        """`mean of <target>`."""
        return f"mean of {self.target}"

    def predict(self, frame: pl.DataFrame) -> pl.Series:
        """The mean, once per row: Float64 of `frame.height`."""
        return pl.repeat(self.mean, frame.height, dtype=pl.Float64, eager=True).alias(PREDICTED)


@dataclass(frozen=True)
class GroupMeanBaseline:
    """Predicts the training mean of the row's group, or the mean of all for a group never seen in training.

    `means` has the group columns and `__group_mean__` (Float64), one row per group.
    """

    target: str
    groups: tuple[str, ...]
    means: pl.DataFrame
    mean: float

    @classmethod
    def fit(
        cls,
        train: pl.DataFrame,
        target: str,
        candidates: Sequence[str],
        *,
        date_column: str | None = None,
        seed: int = 42,
    ) -> Self | None:
        """Choose the column, or pair of columns, whose group means predict best, then take its means over all of `train`.

        The choice is made inside `train`: means of its first part predict the rest. With `date_column` the rest is the
        last fifth by date, as the test set will be; without, it is drawn with `seed`. A pair must beat every single
        column. Columns with one value, or with fewer than three rows per value, are no groups.

        Returns:
            The baseline, or None if no candidate is a group.

        Raises:
            UserError: no training row has a target.
        """
        columns = [c for c in dict.fromkeys(candidates) if c not in (target, date_column)]
        known = _known(train.select(*columns, target, *([date_column] if date_column else [])), target)
        mean = _mean(known, target)
        rows = known.sample(min(known.height, SELECTION_ROWS), shuffle=True, seed=seed)
        pool = [c for c in columns if _is_group(rows, [c])]
        if not pool:
            return None
        early, late = _inner_split(rows, date_column)
        scores: dict[tuple[str, ...], float] = {(c,): _inner_mse(early, late, target, (c,)) for c in pool}
        best = min(scores, key=lambda groups: scores[groups])
        leaders = sorted(pool, key=lambda c: scores[(c,)])[:MAX_PAIRED]
        for pair in combinations(sorted(leaders, key=pool.index), 2):
            if _is_group(rows, pair):
                scores[pair] = _inner_mse(early, late, target, pair)
                best = min(best, pair, key=lambda groups: scores[groups])
        return cls(target, best, _group_means(known, target, best), mean)

    @property
    def name(self) -> str:
        """`mean of <target> per <column>`, or `… per <column> and <column>`."""
        return f"mean of {self.target} per {' and '.join(self.groups)}"

    def predict(self, frame: pl.DataFrame) -> pl.Series:
        """The mean of each row's group: Float64 of `frame.height`.

        Raises:
            polars.exceptions.ColumnNotFoundError: `frame` lacks a group column.
        """
        return _look_up(frame, self.means, self.groups).fill_null(self.mean).alias(PREDICTED)


def fit_baselines(
    train: pl.DataFrame, target: str, candidates: Sequence[str], *, date_column: str | None = None, seed: int = 42
) -> list[Baseline]:
    """The mean, and the group mean if a candidate is a group; see `GroupMeanBaseline.fit`.

    Raises:
        UserError: no training row has a target.
    """
    group_mean = GroupMeanBaseline.fit(train, target, candidates, date_column=date_column, seed=seed)
    mean = MeanBaseline.fit(train, target)
    return [mean] if group_mean is None else [mean, group_mean]


def _known(train: pl.DataFrame, target: str) -> pl.DataFrame:
    return train.with_columns(pl.col(target).cast(pl.Float64)).filter(pl.col(target).is_finite())


def _mean(known: pl.DataFrame, target: str) -> float:
    if known.is_empty():
        raise UserError(f"No training row has a number in the target column {target!r}: upload rows that have one.")
    return float(known[target].to_numpy().mean())


def _is_group(rows: pl.DataFrame, columns: Sequence[str]) -> bool:
    if any(rows.schema[c].is_nested() for c in columns):
        return False
    distinct = rows.select(pl.struct(columns).n_unique()).item()
    return 2 <= distinct <= rows.height / MIN_ROWS_PER_GROUP


def _inner_split(rows: pl.DataFrame, date_column: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    if date_column is not None:
        rows = rows.sort(date_column, maintain_order=True)
    held = max(1, round(rows.height * INNER_HOLD_OUT))
    return rows.head(rows.height - held), rows.tail(held)


def _inner_mse(early: pl.DataFrame, late: pl.DataFrame, target: str, groups: Sequence[str]) -> float:
    guess = _look_up(late, _group_means(early, target, groups), groups).fill_null(_mean(early, target))
    return float(((guess - late[target]) ** 2).to_numpy().mean())


def _group_means(rows: pl.DataFrame, target: str, groups: Sequence[str]) -> pl.DataFrame:
    return rows.group_by(groups, maintain_order=True).agg(pl.col(target).mean().alias(GROUP_MEAN))


def _look_up(frame: pl.DataFrame, means: pl.DataFrame, groups: Sequence[str]) -> pl.Series:
    keys = frame.select(pl.col(c).cast(means.schema[c], strict=False) for c in groups)
    return keys.join(means, on=list(groups), how="left", nulls_equal=True, maintain_order="left")[GROUP_MEAN]

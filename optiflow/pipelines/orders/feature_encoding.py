"""The feature encoder: from a table of orders to the numbers that a learner takes. Fitted on training rows only.

What belongs here: calendar parts, one-hot and mean encoding, and their frozen form as JSON. What does not: deciding
which columns are features (`columns`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from optiflow.pipelines.orders.features import may_name_things, names_a_code
from optiflow.split import ROW

MAX_ONE_HOT = 32
"""More categories than this are encoded by the mean of the target instead: one column each would drown the rest."""

FOLDS = 5
SMOOTHING_ROWS = 20
"""A category's mean is pulled towards the overall mean as if it had this many more rows of it."""


@dataclass(frozen=True)
class Categories:
    """A categorical column: its levels in training, and their smoothed target means where it is mean-encoded."""

    levels: list[str]
    means: list[float] | None = None


@dataclass(frozen=True)
class FeatureEncoder:
    """What was learned from the training rows; equal for training, validation and test rows.

    Encoded tables have one Float32 column a feature, in the order of `names`; missing values stay null, which XGBoost
    takes as missing.
    """

    date_column: str
    target: str
    start: date
    with_hour: bool
    overall_mean: float
    numeric: list[str] = field(default_factory=list)
    categorical: dict[str, Categories] = field(default_factory=dict)
    leveled: dict[str, Categories] = field(default_factory=dict)
    """Numeric columns that may name things: their mean of the target stands beside the number."""

    @property
    def names(self) -> list[str]:
        """The encoded features, in order."""
        names = [f"{self.date_column}: {part}" for part in self._calendar()]
        names += self.numeric
        for column, categories in self.categorical.items():
            if categories.means is None:
                names += [f"{column} = {level}" for level in categories.levels]
            else:
                names.append(f"{column}: mean {self.target}")
        return names + [f"{column}: mean {self.target}" for column in self.leveled]

    @classmethod
    def fit(
        cls,
        train: pl.DataFrame,
        *,
        target: str,
        date_column: str,
        features: list[str],
        amounts: Collection[str] = (),
    ) -> "FeatureEncoder":
        """Learn levels, means and the first date.

        Args:
            train: Training rows with `row`, the target, the date column and the features.
            target: Numeric column, no nulls.
            date_column: Date or Datetime column, no nulls.
            features: Columns to encode; strings and integer codes (`StoreID`) become categories. Other whole numbers with
                few values stay numbers, with the mean of the target per value beside them.
            amounts: Features whose numbers name nothing, such as FRED series.
        """
        categorical: dict[str, Categories] = {}
        leveled: dict[str, Categories] = {}
        numeric: list[str] = []
        overall = _mean(train[target])
        for column in features:
            if not _is_categorical(train[column], column):
                numeric.append(column)
                if column not in amounts and may_name_things(train[column]):
                    text = _as_text(train, column)
                    levels = text[column].drop_nulls().unique().sort().to_list()
                    table = _level_means(text, column, target, overall)
                    leveled[column] = Categories(levels, [table[level] for level in levels])
                continue
            text = _as_text(train, column)
            levels = text[column].drop_nulls().unique().sort().to_list()
            means = None
            if len(levels) > MAX_ONE_HOT:
                table = _level_means(text, column, target, overall)
                means = [table[level] for level in levels]
            categorical[column] = Categories(levels, means)
        first = train[date_column].min()
        start = first.date() if isinstance(first, datetime) else first
        assert isinstance(start, date)
        return cls(
            date_column=date_column,
            target=target,
            start=start,
            with_hour=train.schema[date_column] != pl.Date,
            overall_mean=overall,
            numeric=numeric,
            categorical=categorical,
            leveled=leveled,
        )

    def transform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Encode rows (one Float32 column a feature). A category never seen in training is no category at all."""
        means = {c: self._frozen_means(c, k) for c, k in self._mean_encoded().items()}
        return self._encode(rows, _as_text(rows, *self.categorical, *self.leveled), means)

    def transform_train(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Encode the rows that the encoder was fitted on.

        Mean-encoded columns take the mean of the other folds, so that no row sees its own target: a learner would
        otherwise trust the column far more than it deserves on new rows (Micci-Barreca 2001, with cross fitting).
        """
        text = _as_text(rows, *self.categorical, *self.leveled)
        return self._encode(rows, text, {c: self._out_of_fold(text, c) for c in self._mean_encoded()})

    def unseen(self, rows: pl.DataFrame) -> dict[str, int]:
        """Rows per categorical column whose category was never seen in training; only columns that have some."""
        text = _as_text(rows, *self.categorical)
        counts = {
            column: text.select((pl.col(column).is_not_null() & ~pl.col(column).is_in(k.levels)).sum()).item()
            for column, k in self.categorical.items()
        }
        return {column: count for column, count in counts.items() if count}

    def _calendar(self) -> dict[str, pl.Expr]:
        day = pl.col(self.date_column)
        parts = {
            "month": day.dt.month(),
            "day of month": day.dt.day(),
            "weekday": day.dt.weekday(),
            "days since start": (day.cast(pl.Date) - pl.lit(self.start)).dt.total_days(),
        }
        return parts | {"hour": day.dt.hour()} if self.with_hour else parts

    def _mean_encoded(self) -> dict[str, Categories]:
        return {c: k for c, k in self.categorical.items() if k.means is not None} | self.leveled

    def _frozen_means(self, column: str, categories: Categories) -> pl.Expr:
        assert categories.means is not None
        known = dict(zip(categories.levels, categories.means, strict=True))
        return _look_up(pl.col(column), known, self.overall_mean)

    def _out_of_fold(self, text: pl.DataFrame, column: str) -> pl.Expr:
        fold = text.select((pl.col(ROW).rank("ordinal") % FOLDS).alias("fold")).to_series()
        values = pl.Series(column, [None] * text.height, dtype=pl.Float64)
        for k in range(FOLDS):
            rest = text.filter(fold != k)
            overall = _mean(rest[self.target])
            table = _level_means(rest, column, self.target, overall)
            encoded = text.select(_look_up(pl.col(column), table, overall)).to_series()
            values = encoded.zip_with(fold == k, values)
        return pl.lit(values)

    def _encode(self, rows: pl.DataFrame, text: pl.DataFrame, means: Mapping[str, pl.Expr]) -> pl.DataFrame:
        columns = [e.alias(f"{self.date_column}: {part}") for part, e in self._calendar().items()]
        numbers = rows.select(self.numeric)
        encoded: list[pl.Expr] = []
        for column, categories in self.categorical.items():
            if column in means:
                encoded.append(means[column].alias(f"{column}: mean {self.target}"))
            else:
                encoded += [
                    pl.col(column).eq_missing(pl.lit(level)).alias(f"{column} = {level}") for level in categories.levels
                ]
        encoded += [means[column].alias(f"{column}: mean {self.target}") for column in self.leveled]
        tables = (text.select(columns), numbers, text.select(encoded))
        return pl.concat([table for table in tables if table.width], how="horizontal").cast(pl.Float32)

    def to_json(self) -> str:
        """The frozen form."""
        return json.dumps(asdict(self) | {"start": self.start.isoformat()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "FeatureEncoder":
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        categorical, leveled = (
            {c: Categories(**k) for c, k in data.pop(name, {}).items()} for name in ("categorical", "leveled")
        )
        start = date.fromisoformat(data.pop("start"))
        return cls(**data, start=start, categorical=categorical, leveled=leveled)


def _is_categorical(values: pl.Series, name: str) -> bool:
    return values.dtype in (pl.String, pl.Categorical) or (values.dtype.is_integer() and names_a_code(name))


def _as_text(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Codes and categoricals as text, so that levels have one type, 7.0 as 7 and 7.5 as 7.5; other columns as they are."""
    return rows.with_columns(_text(c) if rows.schema[c].is_float() else pl.col(c).cast(pl.String) for c in columns)


def _text(column: str) -> pl.Expr:
    number = pl.col(column)
    whole = number.round().cast(pl.Int64, strict=False)
    return pl.when(number.is_finite()).then(
        pl.when(whole == number).then(whole.cast(pl.String)).otherwise(number.cast(pl.String))
    )


def _look_up(values: pl.Expr, means: dict[str, float], unseen: float) -> pl.Expr:
    found = values.replace_strict(list(means), list(means.values()), default=unseen, return_dtype=pl.Float64)
    return pl.when(values.is_not_null()).then(found)


def _mean(values: pl.Series) -> float:
    mean = values.mean()
    assert isinstance(mean, float)
    return mean


def _level_means(rows: pl.DataFrame, column: str, target: str, overall: float) -> dict[str, float]:
    table = rows.drop_nulls(column).group_by(column).agg(total=pl.col(target).sum(), n=pl.len())
    smoothed = (table["total"] + overall * SMOOTHING_ROWS) / (table["n"] + SMOOTHING_ROWS)
    return dict(zip(table[column].to_list(), smoothed.to_list(), strict=True))

"""From split tables to what a learner's job takes: encoded channels.

What belongs here: preparing channels. What does not: running anything (`learners`, `container`).
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from optiflow.errors import UserError
from optiflow.options import DatasetOptions, SplitOptions
from optiflow.pipelines.finished import EXPLAINED_ROWS
from optiflow.pipelines.orders.feature_encoding import FeatureEncoder
from optiflow.pipelines.orders.features import NEVER_FEATURES, choose_features
from optiflow.report.model import LeftOut
from optiflow.split import ROW, split_rows

VALIDATION_FRACTION = 0.15
"""Share of the training rows that early stopping watches; chosen like the test rows, never among them."""


@dataclass(frozen=True)
class TrainingData:
    """The channels of a training job: the target first, then one Float32 column a feature."""

    train: pl.DataFrame
    validation: pl.DataFrame
    encoder: FeatureEncoder
    left_out: list[LeftOut]


def prepare_training(rows: pl.DataFrame, *, target: str, date_column: str, options: DatasetOptions) -> TrainingData:
    """Choose features, fit the encoder and cut off the rows that early stopping watches.

    Everything is learned from the rows that the trees are grown on, so that the validation rows are new to the
    encoder as the test rows will be.

    Args:
        rows: The training table: `row`, target, date column, and everything else of the upload and FRED.
        target: Numeric column to predict.
        date_column: The order date.
        options: The dataset's options.

    Raises:
        UserError: no column is left that could serve as a feature.
    """
    watched = SplitOptions(strategy=options.split.strategy, test_fraction=VALIDATION_FRACTION, seed=options.split.seed)
    grown, validation = split_rows(rows, date_column, watched)
    features, left_out = choose_features(
        grown,
        target=target,
        date_column=date_column,
        reserved=(ROW,),
        drop=options.drop_columns,
        keep=options.keep_columns,
    )
    encoder = FeatureEncoder.fit(
        grown, target=target, date_column=date_column, features=features, amounts=options.fred_series
    )
    if not encoder.names:
        raise UserError(f"No column is left to learn from. {_what_to_keep(left_out)}")
    return TrainingData(
        train=_with_target(grown, target, encoder.transform_train(grown)),
        validation=_with_target(validation, target, encoder.transform(validation)),
        encoder=encoder,
        left_out=left_out,
    )


def _what_to_keep(left_out: list[LeftOut]) -> str:
    kept = [column.column for column in left_out if column.reason not in NEVER_FEATURES]
    if not kept:
        return "Upload a table with more about each row than its date and the number to predict."
    return f"Those that were left out may be kept: name one of {', '.join(kept)} in the option keep_columns."


def _with_target(rows: pl.DataFrame, target: str, encoded: pl.DataFrame) -> pl.DataFrame:
    # Jobs know the target by its position; its name must only be another than every feature's.
    name = "target"
    while name in encoded.columns:
        name += "_"
    return encoded.insert_column(0, rows[target].cast(pl.Float32).alias(name))


def mean_contributions(model_file: Path, encoder: FeatureEncoder, rows: pl.DataFrame) -> dict[str, float]:
    """How far each feature moves a prediction on average: mean |SHAP| over at most 1,000 rows, in target units.

    Args:
        model_file: The `xgboost-model` out of a training job's artifact.
        encoder: The encoder that the model was trained with.
        rows: Rows to explain; a seeded sample of them is taken when there are more.
    """
    from optiflow.learners import xgboost as learner

    sample = rows.sample(min(rows.height, EXPLAINED_ROWS), seed=0)
    values = learner.contributions(learner.load(model_file), encoder.transform(sample).to_numpy())
    return dict(zip(encoder.names, abs(values[:, :-1]).mean(axis=0).tolist(), strict=True))

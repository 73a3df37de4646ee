"""The XGBoost learner, by the contract of SageMaker's built-in algorithm.

Equal hyperparameters and data give the same trees as a plain `xgboost.train`. What does not belong here: reading
files (`optiflow.container`) and the hyperparameters' ranges (`hyperparameters`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optiflow.artifact import MODEL_FILE
from optiflow.errors import JobFailedError, UserError
from optiflow.learners.booster_file import load, reason_of, save
from optiflow.learners.hyperparameters import NOT_FOR_BOOSTER, Value, validate_hyperparameters
from optiflow.learners.matrix import Matrix

if TYPE_CHECKING:
    import numpy as np
    from xgboost import Booster, DMatrix

__all__ = ["MODEL_FILE", "History", "contributions", "load", "predict", "save", "train", "validate_hyperparameters"]

DEFAULT_SEED = 0
OnRound = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class History:
    """How training went.

    `scores` maps `train:rmse`, `validation:rmse`, … to one value for each round that ran. `best_iteration` is the last
    round that the kept model holds: the best one under early stopping, otherwise the last.
    """

    scores: Mapping[str, list[float]]
    best_iteration: int

    @property
    def rounds(self) -> int:
        """Rounds that ran."""
        return max((len(values) for values in self.scores.values()), default=0)

    def final(self) -> dict[str, float]:
        """Each score of the model that was kept."""
        return {name: values[self.best_iteration] for name, values in self.scores.items()}


def train(
    params: Mapping[str, Value], train: Matrix, validation: Matrix | None = None, on_round: OnRound | None = None
) -> "tuple[Booster, History]":
    """Fit a booster.

    With `early_stopping_rounds` and validation data, training stops when the last `eval_metric` has not improved on
    the validation data for so many rounds, and the model of the best round is kept (not for gblinear, whose rounds
    cannot be told apart afterwards). Without validation data early stopping is ignored, as SageMaker does.

    Args:
        params: What `validate_hyperparameters` returned.
        train: Rows with a target.
        validation: Rows with a target and as many columns as `train`.
        on_round: Called after each round with its number, from 0, and its scores.

    Raises:
        UserError: the validation data has another number of columns.
        JobFailedError: XGBoost refused the data or the parameters; carries its reason.
    """
    import xgboost
    from xgboost.callback import EarlyStopping

    evals = [(_training_data(train), "train")]
    if validation is not None:
        if validation.columns != train.columns:
            raise UserError(
                f"channel validation has {validation.columns} feature columns, channel train {train.columns}: "
                "write both from the same table."
            )
        evals.append((_training_data(validation), "validation"))

    metrics = str(params["eval_metric"]).split(",") if "eval_metric" in params else []
    booster_params: dict[str, Any] = {"seed": DEFAULT_SEED, **params}
    booster_params = {name: value for name, value in booster_params.items() if name not in NOT_FOR_BOOSTER}
    if metrics:
        booster_params["eval_metric"] = metrics
    callbacks: list[Any] = [] if on_round is None else [_round_reporter(on_round)]
    stopping = "early_stopping_rounds" in params and validation is not None
    if stopping:
        callbacks.append(
            EarlyStopping(
                rounds=int(params["early_stopping_rounds"]),
                data_name="validation",
                metric_name=metrics[-1] if metrics else None,
                save_best=params.get("booster") != "gblinear",
            )
        )
    log: dict[str, dict[str, list[float]]] = {}
    try:
        booster = xgboost.train(
            booster_params,
            evals[0][0],
            num_boost_round=int(params["num_round"]),
            evals=evals,
            callbacks=callbacks,
            evals_result=log,  # pyright: ignore[reportArgumentType]
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise JobFailedError(f"XGBoost refused to train: {reason_of(error)}") from error
    scores = {f"{data}:{metric}": values for data, by_metric in log.items() for metric, values in by_metric.items()}
    kept = (
        booster.best_iteration if stopping and params.get("booster") != "gblinear" else booster.num_boosted_rounds() - 1
    )
    return booster, History(scores, kept)


def predict(booster: "Booster", features: "np.ndarray") -> "np.ndarray":
    """One float32 a row; rows x classes for multi:softprob.

    Raises:
        UserError: the model was trained on another number of columns.
    """
    return booster.predict(_scoring_data(booster, features))


def contributions(booster: "Booster", features: "np.ndarray") -> "np.ndarray":
    """SHAP values, rows x (columns + 1), the last column being the bias; each row sums to the raw prediction.

    Raises:
        UserError: the model was trained on another number of columns.
    """
    # One thread: with more, XGBoost's threads spin while they wait for each other, and beside other work on the machine
    # that made 2,000 rows take 7 s instead of 1.5 s.
    one_thread = booster.copy()
    one_thread.set_param({"nthread": 1})
    return one_thread.predict(_scoring_data(booster, features), pred_contribs=True)


def _training_data(matrix: Matrix) -> "DMatrix":
    import xgboost

    return xgboost.DMatrix(matrix.features, label=matrix.target, weight=matrix.weight)


def _scoring_data(booster: "Booster", features: "np.ndarray") -> "DMatrix":
    import xgboost

    if features.ndim != 2 or features.shape[1] != booster.num_features():
        raise UserError(
            f"the model was trained on {booster.num_features()} feature columns, the data has {features.shape[-1]}: "
            "score with the columns of the training data, without the target."
        )
    return xgboost.DMatrix(features)


def _round_reporter(on_round: OnRound) -> Any:
    from xgboost.callback import TrainingCallback

    class Reporter(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            on_round(
                epoch, {f"{data}:{name}": log[-1] for data, logs in evals_log.items() for name, log in logs.items()}
            )
            return False

    return Reporter()

"""The two boosters: one for the days, which knows that unsold items are censored, and one for a sale within 30 days.

What belongs here: the calls of XGBoost. What does not: features, labels, and making the answers honest (`calibration`).
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optiflow.errors import JobFailedError
from optiflow.learners.hyperparameters import Value
from optiflow.learners.turnover.features import Encoder
from optiflow.learners.turnover.labels import Labels

if TYPE_CHECKING:
    import numpy as np
    from xgboost import Booster, DMatrix

TREE_PARAMETERS = ("eta", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "lambda", "seed")
MANY = 100_000
"""Rows from which a second thread pays. With fewer, XGBoost's threads wait for each other with full load, and on a machine
that has other work 3,000 items took 84 s instead of 4 s."""

OnRound = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Rows:
    """The features (rows x columns, float32) and labels of one channel."""

    features: "np.ndarray"
    labels: Labels

    @property
    def rows(self) -> int:
        """How many items."""
        return len(self.features)


def fit_days(
    train: Rows, validation: Rows, encoder: Encoder, params: Mapping[str, Value], spread: float, on_round: OnRound
) -> "Booster":
    """Trees whose margin is ln(days): XGBoost's accelerated failure time model with a log-normal of this spread.

    Source: Barnwal, Cho and Hocking, "Survival regression with accelerated failure time model in XGBoost", Journal of
    Computational and Graphical Statistics 31 (2022).
    """
    import numpy as np

    def data(rows: Rows) -> "DMatrix":
        matrix = matrix_of(rows.features, encoder)
        matrix.set_float_info("label_lower_bound", rows.labels.days)
        matrix.set_float_info("label_upper_bound", np.where(rows.labels.sold, rows.labels.days, np.inf))
        return matrix

    aim = {
        "objective": "survival:aft",
        "eval_metric": "aft-nloglik",
        "aft_loss_distribution": "normal",
        "aft_loss_distribution_scale": spread,
        "base_score": float(np.exp(np.log(train.labels.days).mean())),
    }
    return _boost(aim, data(train), data(validation), encoder, params, slower=1, on_round=on_round)


def fit_chance(train: Rows, validation: Rows, encoder: Encoder, params: Mapping[str, Value]) -> "Booster":
    """Trees for a sale within 30 days, on the items whose answer is known; both answers weigh the same in total."""
    import numpy as np

    quick = train.labels.quick[train.labels.judged]
    weight = np.where([False, True], 0.5 / max(quick.mean(), 1e-9), 0.5 / max(1 - quick.mean(), 1e-9))

    def data(rows: Rows) -> "DMatrix":
        judged = rows.labels.judged
        label = rows.labels.quick[judged]
        matrix = matrix_of(rows.features[judged], encoder)
        matrix.set_label(label.astype(np.float32))
        matrix.set_weight(weight[label.astype(np.int64)])
        return matrix

    aim = {"objective": "binary:logistic", "eval_metric": "logloss", "base_score": 0.5}
    return _boost(aim, data(train), data(validation), encoder, params, slower=-1, on_round=lambda *_: None)


def matrix_of(features: "np.ndarray", encoder: Encoder) -> "DMatrix":
    """What a booster takes for scoring."""
    import xgboost

    return xgboost.DMatrix(features, feature_types=encoder.types, nthread=threads(len(features)))


def threads(rows: int) -> int:
    """How many threads so many rows are worth."""
    return 1 if rows < MANY else min(os.cpu_count() or 1, 2)


def _boost(
    aim: Mapping[str, Any],
    train: "DMatrix",
    validation: "DMatrix",
    encoder: Encoder,
    params: Mapping[str, Value],
    *,
    slower: int,
    on_round: OnRound,
) -> "Booster":
    import xgboost
    from xgboost.callback import EarlyStopping, TrainingCallback

    class Reporter(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            on_round(
                epoch, {f"{data}-{name}": log[-1] for data, logs in evals_log.items() for name, log in logs.items()}
            )
            return False

    settings = {name: params[name] for name in TREE_PARAMETERS if name in params}
    settings |= {"tree_method": "hist", "nthread": params.get("nthread", threads(train.num_row())), **aim}
    if params.get("price_slows") == "yes":
        settings["monotone_constraints"] = encoder.price_slows(slower)
    stop = EarlyStopping(rounds=int(params["early_stopping_rounds"]), data_name="validation", save_best=True)
    try:
        return xgboost.train(
            settings,
            train,
            num_boost_round=int(params["num_round"]),
            evals=[(train, "train"), (validation, "validation")],
            callbacks=[stop, Reporter()],
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise JobFailedError(f"XGBoost refused to train: {str(error).split('Stack trace:')[0].strip()}") from error

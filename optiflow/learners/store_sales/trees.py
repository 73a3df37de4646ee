"""Random forest and XGBoost, averaged, on mlforecast's features: lags, the calendar and the store.

They learn growth over the year before (a difference of logarithms), step by step from each store's own newest weeks, in
the order of dates, at training and at serving alike. Both are XGBoost models, so that they are kept as UBJ.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.misses import mean_miss
from optiflow.learners.store_sales.names import YEAR
from optiflow.learners.store_sales.seasonal_growth import last_years

if TYPE_CHECKING:
    import pandas as pd
    from mlforecast import MLForecast

FOREST_FILE, BOOSTED_FILE = "forest.ubj", "boosted.ubj"
LAGS = (1, 2, 4, 8)
MEANS = (4, 13)
SEEN, RECENT_WEEKS = (0.01, 0.99), 8
"""Quantiles of the growth in training that bound what the trees know, and the weeks that tell a store's own growth."""


@dataclass(frozen=True)
class Shape:
    """What optuna chooses: the forest's and the boosted trees' depth, how fast these learn, and the share of columns."""

    forest_depth: int = 6
    boosted_depth: int = 3
    learning_rate: float = 0.05
    columns: float = 0.7
    calendar: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Trees:
    """Both ensembles, and how they are fed."""

    def __init__(self, shape: Shape, most_trees: int, seed: int) -> None:
        self.shape, self.most_trees, self.seed = shape, most_trees, seed
        self.models: dict[str, Any] = {}
        self.seen = (-100.0, 100.0)  # wider than any difference of logarithms

    def fit(self, history: History) -> "Trees":
        """Learn from every week of the history that has its lags."""
        from xgboost import XGBRegressor, XGBRFRegressor

        features = self._features()
        table: Any = features.preprocess(_long(history), static_features=["code"], validate_data=False)
        inputs, target = table.drop(columns=["unique_id", "ds", "y"]), table["y"]
        self.seen = (float(np.quantile(target, SEEN[0])), float(np.quantile(target, SEEN[1])))
        # One thread: a few thousand rows take half a second, and 30 with two threads that wait for each other on a busy
        # machine.
        shared = {"colsample_bynode": self.shape.columns, "random_state": self.seed, "n_jobs": 1}
        forest = XGBRFRegressor(n_estimators=self.most_trees, max_depth=self.shape.forest_depth, **shared)
        boosted = XGBRegressor(
            n_estimators=self.most_trees,
            max_depth=self.shape.boosted_depth,
            learning_rate=self.shape.learning_rate,
            subsample=0.8,
            **shared,
        )
        self.models = {"forest": forest.fit(inputs, target), "boosted": boosted.fit(inputs, target)}
        return self

    def forecast(self, history: History) -> np.ndarray:
        """Steps x stores: growth over the year before, a difference of logarithms."""
        # Trees know no growth beyond what they learned from: a store that has left that range is moved back to its edge
        # before, and out again after.
        recent = np.nanmedian(_growth(history)[-RECENT_WEEKS:], axis=0)
        moved = recent - np.clip(recent, self.seen[0], self.seen[1])
        table = _long(history)
        table["y"] -= moved[table["code"]]
        features = self._features()
        features.preprocess(table, static_features=["code"], validate_data=False)
        features.models_ = self.models
        made = features.predict(history.steps)
        return made[["forest", "boosted"]].mean(axis=1).to_numpy().reshape(-1, history.steps).T + moved

    def save(self, folder: Path) -> None:
        """Write both, as UBJ."""
        self.models["forest"].save_model(folder / FOREST_FILE)
        self.models["boosted"].save_model(folder / BOOSTED_FILE)

    def load(self, folder: Path) -> "Trees":
        """Read what `save` wrote."""
        from xgboost import XGBRegressor, XGBRFRegressor

        self.models = {"forest": XGBRFRegressor(), "boosted": XGBRegressor()}
        self.models["forest"].load_model(folder / FOREST_FILE)
        self.models["boosted"].load_model(folder / BOOSTED_FILE)
        return self

    def _features(self) -> "MLForecast":
        from mlforecast import MLForecast
        from mlforecast.lag_transforms import RollingMean

        means: Any = [RollingMean(weeks, min_samples=1) for weeks in MEANS]
        return MLForecast(
            models=[],
            freq="7D",
            lags=list(LAGS),
            lag_transforms={1: means},
            date_features=["month", "week"] if self.shape.calendar else None,
            num_threads=1,
        )


def tune(
    pasts: Sequence[tuple[History, np.ndarray]],
    older: float,
    trials: int,
    most_trees: int,
    seed: int,
    say: Callable[[str], None],
) -> Shape:
    """The shape with the lowest mean MAPE over past origins.

    Args:
        pasts: Each with the actual logarithms, steps x stores, NaN where none is known.
        older: Weight of the year before last in what growth is added to.
        trials: Shapes to try, the default one first; 0 takes it untried.
        most_trees: Trees of each ensemble.
        seed: Of the sampler and the trees.
        say: Prints a line of progress.
    """
    import optuna

    if trials == 0 or not pasts:
        return Shape()

    def loss(trial: optuna.Trial) -> float:
        trees = Trees(_suggest(trial), most_trees, seed)
        errors = []
        for past, actual in pasts:
            made = last_years(past, older) + trees.fit(past).forecast(past) + past.ahead[:, None]
            errors.append(mean_miss(made - actual))
        return float(np.mean(errors))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(Shape().to_json())
    study.optimize(loss, n_trials=trials)
    say(f"trees: best of {trials} shapes has MAPE {study.best_value:.2%} over the past origins")
    return Shape(**study.best_params)


def _suggest(trial: Any) -> Shape:
    return Shape(
        forest_depth=trial.suggest_int("forest_depth", 3, 10),
        boosted_depth=trial.suggest_int("boosted_depth", 2, 6),
        learning_rate=trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
        columns=trial.suggest_float("columns", 0.4, 1.0),
        calendar=trial.suggest_categorical("calendar", [True, False]),
    )


def _growth(history: History) -> np.ndarray:
    return history.pooled[YEAR:] - history.pooled[:-YEAR]


def _long(history: History) -> "pd.DataFrame":
    """One row per store and week that has a week of last year, in mlforecast's form; stores by their place."""
    import pandas as pd

    growth = _growth(history)
    store, week = np.nonzero(~np.isnan(growth.T))
    days = np.datetime64(history.panel.day(YEAR), "ns") + week * np.timedelta64(7, "D")
    return pd.DataFrame({"unique_id": store, "ds": days, "y": growth[week, store], "code": store})

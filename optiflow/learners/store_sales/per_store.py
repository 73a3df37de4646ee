"""The candidates of statsforecast, fitted to each store by itself: AutoARIMA, DynamicOptimizedTheta, MSTL + AutoARIMA.

Some see a store's own sales and some the form that was cleared with the other stores' help: their errors differ, which is
what a mean of candidates lives by.

What belongs here: how they are set up and run over the stores. What does not: what they are given (`history`).
"""

import os
import warnings
from typing import Any

import numpy as np

from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.names import YEAR

POOLED = ("auto_arima", "mstl_arima")
OWN = ("own_mstl_arima", "theta")
NAMES = (*POOLED, *OWN)

THETA_WEEKS = 2 * YEAR
"""With less than two whole seasons Theta knows none, and is off by a tenth."""

PARALLEL_FROM = 8
"""Fewer stores take less time than a second process needs to start."""


def forecast(history: History, names: tuple[str, ...], at_once: int) -> dict[str, np.ndarray]:
    """Steps x stores for each of the names that can be fitted, logarithms.

    Those of `POOLED` are without the calendar's effects, those of `OWN` as the store's own sales have them.

    Args:
        history: The stores.
        names: Of `NAMES`; Theta is left out where no store has two seasons.
        at_once: At most so many processes.
    """
    from joblib import Parallel, delayed

    series: list[dict[str, np.ndarray]] = [
        {**dict.fromkeys(POOLED, pooled[~np.isnan(pooled)]), **dict.fromkeys(OWN, own[~np.isnan(own)])}
        for pooled, own in zip(history.pooled.T, history.panel.logs.T, strict=True)
    ]
    if max(len(of_store["theta"]) for of_store in series) < THETA_WEEKS:
        names = tuple(name for name in names if name != "theta")
    if not names:
        return {}
    at_once = at_once if len(series) >= PARALLEL_FROM else 1
    tasks = (delayed(_one_store)({n: of_store[n] for n in names}, history.steps) for of_store in series)
    made: list[Any] = list(Parallel(n_jobs=at_once)(tasks))
    return {name: np.column_stack([of_store[name] for of_store in made]) for name in names}


def processes(asked: int) -> int:
    """How many processes to use where `asked` may be 0: two, or one on a machine with one core."""
    return asked or min(2, os.cpu_count() or 1)


def _one_store(series: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    made = {}
    with warnings.catch_warnings():
        # One line per store and candidate order: "possible convergence problem".
        warnings.simplefilter("ignore")
        for name, logs in series.items():
            last_year = logs[[len(logs) - YEAR + step % YEAR for step in range(steps)]]
            if np.ptp(logs) < 1e-9:  # ARIMA has nothing to fit in a flat line
                made[name] = last_year
                continue
            values = _theta(logs, steps) if name == "theta" else _arima(name, logs, steps)
            # No sane forecast is more than e times off the year before: a search that ran away.
            sane = np.isfinite(values) & (np.abs(values - last_year) < 1)
            made[name] = np.where(sane, values, last_year)
    return made


def _theta(logs: np.ndarray, steps: int) -> np.ndarray:
    from statsforecast.models import DynamicOptimizedTheta

    # Its season multiplies, so it takes sales rather than their logarithms.
    values = DynamicOptimizedTheta(season_length=YEAR).forecast(y=np.exp(logs), h=steps)["mean"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def _arima(name: str, logs: np.ndarray, steps: int) -> np.ndarray:
    from statsforecast.models import MSTL, AutoARIMA

    # Orders that two or three years of weeks can tell apart; a wider search takes ten times as long.
    trend: Any = AutoARIMA(season_length=1, max_p=2, max_q=2)  # typed as AutoETS, though any model will do
    seasonal = AutoARIMA(season_length=YEAR, D=1, max_p=2, max_q=2, max_P=1, max_Q=0, approximation=True)
    model = seasonal if name == "auto_arima" else MSTL(season_length=YEAR, trend_forecaster=trend)
    return np.asarray(model.forecast(y=logs, h=steps)["mean"], dtype=np.float64)

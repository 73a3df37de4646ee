"""The candidates of statsforecast, fitted to each store by itself: AutoARIMA, DynamicOptimizedTheta, MSTL + AutoARIMA.

What belongs here: how they are set up and run over the stores. What does not: what they are given (`history`).
"""

import os
import warnings

import numpy as np

from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.names import YEAR

NAMES = ("auto_arima", "theta", "mstl_arima")

PARALLEL_FROM = 8
"""Fewer stores take less time than a second process needs to start."""


def forecast(history: History, names: tuple[str, ...], at_once: int) -> dict[str, np.ndarray]:
    """Steps x stores for each of the names, logarithms without the calendar's effects.

    Args:
        history: The stores; they see the pooled form.
        names: Of `NAMES`.
        at_once: At most so many processes.
    """
    from joblib import Parallel, delayed

    if not names:
        return {}
    series = [column[~np.isnan(column)] for column in history.pooled.T]
    at_once = at_once if len(series) >= PARALLEL_FROM else 1
    made = Parallel(n_jobs=at_once)(delayed(_one_store)(values, history.steps, names) for values in series)
    return {name: np.column_stack([of_store[name] for of_store in made]) for name in names}


def processes(asked: int) -> int:
    """How many processes to use where `asked` may be 0: two, or one on a machine with one core."""
    return asked or min(2, os.cpu_count() or 1)


def _one_store(series: np.ndarray, steps: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    from statsforecast.models import MSTL, AutoARIMA, DynamicOptimizedTheta

    models = {
        # Orders that two or three years of weeks can tell apart; a wider search takes ten times as long.
        "auto_arima": lambda: AutoARIMA(
            season_length=YEAR, D=1, max_p=2, max_q=2, max_P=1, max_Q=0, approximation=True
        ),
        "theta": lambda: DynamicOptimizedTheta(season_length=YEAR),
        "mstl_arima": lambda: MSTL(season_length=YEAR, trend_forecaster=AutoARIMA(season_length=1, max_p=2, max_q=2)),
    }
    last_year = series[[len(series) - YEAR + step % YEAR for step in range(steps)]]
    if np.ptp(series) < 1e-9:  # ARIMA has nothing to fit in a flat line
        return dict.fromkeys(names, last_year)
    made = {}
    with warnings.catch_warnings():
        # One line per store and candidate order: "possible convergence problem".
        warnings.simplefilter("ignore")
        for name in names:
            values = np.asarray(models[name]().forecast(y=series, h=steps)["mean"], dtype=np.float64)
            # No sane forecast is more than e times off the year before: a search that ran away.
            sane = np.isfinite(values) & (np.abs(values - last_year) < 1)
            made[name] = np.where(sane, values, last_year)
    return made

"""Rolling origins within the training rows: where they lie, how the candidates did, and which one is the champion.

What belongs here: judging. What does not: the candidates, and any row after the training rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optiflow.learners.store_sales.candidates import MEAN, NAIVE, Fitted, mean, run
from optiflow.learners.store_sales.history import History, prepare, seasonal
from optiflow.learners.store_sales.misses import mean_miss
from optiflow.learners.store_sales.names import SHORT_WEEKS
from optiflow.learners.store_sales.panel import Panel

STEP, DENSE_STEP, DENSE_ORIGINS = 13, 4, 12
"""Weeks between origins: a quarter for all candidates, a month for what costs milliseconds."""

LATELY_WEEKS = 8
"""As the naive forecast of that name has it."""

MARGIN = 0.05
"""The lowest of seven scores at three origins is partly luck; a mean errs less than its members where they disagree."""


@dataclass(frozen=True)
class Past:
    """A past origin: the stores that had a season by then, and what really came (steps x stores, NaN if not known)."""

    origin: int
    history: History
    actual: np.ndarray

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores, in the order of the columns."""
        return self.history.panel.stores


def past_origins(panel: Panel, horizon: int, count: int, step: int, date_is: str) -> list[Past]:
    """The newest `count` origins with `horizon` weeks after them and stores with a season before them, newest first."""
    pasts = []
    for turn in range(count):
        origin = panel.weeks - horizon - turn * min(step, horizon)
        if origin < SHORT_WEEKS:
            break
        before = panel.until(origin)
        chosen = seasonal(before)
        if not chosen.any():
            break
        before = before.columns(chosen)
        columns = [panel.stores.index(store) for store in before.stores]
        after = slice(origin, origin + horizon)
        actual = np.where(panel.known[after], panel.logs[after], np.nan)[:, columns]
        pasts.append(Past(origin, prepare(before, horizon, date_is), actual))
    return pasts


def judge(
    pasts: Sequence[Past], fitted_at: Sequence[Fitted], names: Sequence[str], at_once: int
) -> dict[str, list[np.ndarray]]:
    """For each candidate and the mean of the useful ones, what it forecast at each origin (steps x stores).

    The mean is of those with a lower MAPE than the seasonal naive, if two or more have one. What could not be fitted at
    the older origins, for want of a second season, has forecasts for the newest ones only.
    """
    made = [run(names, past.history, fitted, at_once) for past, fitted in zip(pasts, fitted_at, strict=True)]
    forecasts = {name: [at_origin[name] for at_origin in made if name in at_origin] for name in made[0]}
    members = useful(pasts, forecasts)
    if len(members) > 1:
        forecasts[MEAN] = [mean(at_origin, members) for at_origin in made]
    return forecasts


def useful(pasts: Sequence[Past], forecasts: Mapping[str, Sequence[np.ndarray]]) -> list[str]:
    """The candidates that beat the seasonal naive at the origins where they could be fitted, best first."""
    scores = {name: mape(pasts, values) for name, values in forecasts.items() if name not in (NAIVE, MEAN)}
    naive = {name: mape(pasts, forecasts[NAIVE][: len(forecasts[name])]) for name in scores}
    return sorted((name for name in scores if scores[name] < naive[name]), key=lambda name: scores[name] / naive[name])


def choose(pasts: Sequence[Past], forecasts: Mapping[str, Sequence[np.ndarray]]) -> str:
    """The champion: the mean of the useful ones, unless the best candidate's MAPE is lower by `MARGIN` of it.

    Only what was judged at every origin can be champion by itself.
    """
    scores = {name: mape(pasts, values) for name, values in forecasts.items() if len(values) == len(pasts)}
    best = min(scores, key=scores.__getitem__)
    return MEAN if MEAN in scores and scores[best] > (1 - MARGIN) * scores[MEAN] else best


def mape(pasts: Sequence[Past], forecasts: Sequence[np.ndarray]) -> float:
    """Mean over the newest origins, as many as there are forecasts, of the mean absolute error as a share of sales."""
    return float(np.mean([mape_at(past, values) for past, values in zip(pasts, forecasts, strict=False)]))


def mape_at(past: Past, forecast: np.ndarray) -> float:
    """Mean absolute error as a share of the actual sales, at one origin, as `mean_miss` has it."""
    return mean_miss(forecast - past.actual)


def past_skills(
    pasts: Sequence[Past], forecasts: Mapping[str, Sequence[np.ndarray]], champion: str
) -> dict[str, list[float]]:
    """The share of each naive forecast's squared error that the champion takes away, at origins that are windows apart.

    Returns:
        `year_before` (last year's same week), `lately` (a store's mean of the last 8 weeks) and `usual` (its mean of all
        weeks) -> a number an origin, the newest first. Windows that overlap are left out: their skills are much alike.
    """
    skills: dict[str, list[float]] = {"year_before": [], "lately": [], "usual": []}
    begun = None
    for past, made, last_year in zip(pasts, forecasts[champion], forecasts[NAIVE], strict=True):
        if begun is not None and past.origin + past.history.steps > begun:
            continue
        begun = past.origin
        sales = np.exp(past.history.panel.logs)
        naive = {
            "year_before": last_year,
            "lately": np.log(np.nanmean(sales[-LATELY_WEEKS:], axis=0)),
            "usual": np.log(np.nanmean(sales, axis=0)),
        }
        for name, forecast in naive.items():
            error = squared_error(past, forecast)
            skills[name] += [1 - squared_error(past, made) / error] if error > 0 else []
    return skills


def squared_error(past: Past, forecast: np.ndarray) -> float:
    """Mean squared error of sales, not of their logarithms, at one origin."""
    return float(np.nanmean((np.exp(forecast) - np.exp(past.actual)) ** 2))


def past_errors(pasts: Sequence[Past], forecasts: Sequence[np.ndarray], stores: Sequence[str]) -> np.ndarray:
    """Origins x steps x stores: actual minus forecast, in logarithms; NaN where there is neither."""
    errors = np.full((len(pasts), len(forecasts[0]), len(stores)), np.nan)
    for turn, (past, forecast) in enumerate(zip(pasts, forecasts, strict=True)):
        columns = [list(stores).index(store) for store in past.stores]
        errors[turn][:, columns] = past.actual - forecast
    return errors

"""LightGBM that corrects the multiplicative model's rates, learned from many earlier origins.

What belongs here: which origins and rows it learns from, early stopping, the trees. What does not: who is champion.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optiflow.learners.item_demand.features import CATEGORIES, FEATURES, features
from optiflow.learners.item_demand.grid import Array, Grid
from optiflow.learners.item_demand.multiplicative import fit_multiplicative

if TYPE_CHECKING:
    from lightgbm import Booster

ORIGINS = 12
APART = 28
"""Up to 12 origins, 28 days apart: each weekday and each season, a year back."""

LEAST_HISTORY = 28
LEAST_ROWS = 500
THREADS = 2


@dataclass(frozen=True)
class Sample:
    """Rows to learn from: features, units sold, and the log of the multiplicative model's rate."""

    features: Array
    sold: Array
    offset: Array


def learn(
    grid: Grid, growth: str, horizon: int, parameters: Mapping[str, Any], rounds: int | None = None
) -> "tuple[Booster, int] | None":
    """Fit trees on the days up to the grid's end; they start from the multiplicative model, so none may be needed.

    Every origin has its own multiplicative model and features, fitted on what was known then. Without `rounds`, the
    last days stop the training early: origins before them learn from targets before them only.

    Args:
        grid: What is known at the origin.
        growth: The multiplicative model's kind of growth.
        horizon: Days ahead.
        parameters: The learner's, complete.
        rounds: Number of trees, if it is known.

    Returns:
        The trees and their number, or None where the history is too short to learn from earlier origins.
    """
    held = 0 if rounds else min(horizon, grid.days // 5)
    end = grid.days - held
    train = _sample(grid.until(end), growth, horizon, parameters)
    if train is None:
        return None
    watch = None
    if held:
        watch = _at_origin(grid, growth, end, held)
        if len(watch.sold) == 0:
            return None
    booster = _boost(train, watch, parameters, rounds or int(parameters["num_round"]))
    return booster, rounds or max(booster.best_iteration, 1)


def corrected(booster: "Booster", made: Array, rate: Array) -> Array:
    """The trees' rates: series x steps."""
    flat = made.reshape(-1, made.shape[-1])
    raw = booster.predict(flat, raw_score=True, num_threads=THREADS)
    return rate * np.exp(np.asarray(raw)).reshape(rate.shape)


def _sample(grid: Grid, growth: str, horizon: int, parameters: Mapping[str, Any]) -> Sample | None:
    """Rows of several origins, whose targets all lie within the grid."""
    reach = min(horizon, grid.days // 3)
    first = max(LEAST_HISTORY, grid.days // 3)
    origins = range(grid.days - max(reach // 2, 7), first, -APART)[:ORIGINS]
    parts = [_at_origin(grid, growth, origin, min(horizon, grid.days - origin)) for origin in origins]
    rows = sum(len(part.sold) for part in parts)
    if rows < LEAST_ROWS:
        return None
    joined = Sample(*(np.concatenate([getattr(part, name) for part in parts]) for name in Sample.__annotations__))
    most = int(parameters["max_rows"])
    if rows <= most:
        return joined
    chosen = np.sort(np.random.default_rng(int(parameters["seed"])).choice(rows, most, replace=False))
    return Sample(joined.features[chosen], joined.sold[chosen], joined.offset[chosen])


def _at_origin(grid: Grid, growth: str, origin: int, steps: int) -> Sample:
    known = grid.until(origin)
    made, rate = features(known, fit_multiplicative(known, growth), steps)
    span = slice(origin, origin + steps)
    usable = (grid.seen[:, span] > 0) & (rate > 0) & (known.sales.sum(axis=1) > 0)[:, None]
    return Sample(made[usable], grid.sales[:, span][usable], np.log(rate[usable]))


def _boost(train: Sample, watch: Sample | None, parameters: Mapping[str, Any], rounds: int) -> "Booster":
    import lightgbm

    settings = {
        "objective": "poisson",
        "learning_rate": float(parameters["learning_rate"]),
        "num_leaves": int(parameters["num_leaves"]),
        "min_data_in_leaf": int(np.clip(len(train.sold) // 200, 20, 500)),
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "cat_smooth": 50.0,
        "max_bin": 127,
        "seed": int(parameters["seed"]),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": int(parameters["nthread"]) or min(THREADS, os.cpu_count() or 1),
        "verbosity": -1,
    }
    data = _data(train)
    callbacks: list[Any] = []
    if watch is not None:
        callbacks.append(lightgbm.early_stopping(int(parameters["early_stopping_rounds"]), verbose=False))
    return lightgbm.train(
        settings,
        data,
        num_boost_round=rounds,
        valid_sets=[] if watch is None else [_data(watch, data)],
        callbacks=callbacks,
    )


def _data(sample: Sample, reference: Any = None) -> Any:
    import lightgbm

    return lightgbm.Dataset(
        sample.features,
        label=sample.sold,
        init_score=sample.offset,
        reference=reference,
        feature_name=[name.replace(" ", "_") for name in FEATURES],
        categorical_feature=list(CATEGORIES),
        free_raw_data=True,
    )

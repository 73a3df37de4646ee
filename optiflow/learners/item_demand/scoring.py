"""Scoring: forecasts from a model and a history that may be newer than the one it was trained on.

What belongs here: from a table to a table of forecasts. What does not: how rates and bands come about.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optiflow.errors import UserError
from optiflow.learners.item_demand.boosting import corrected
from optiflow.learners.item_demand.features import features
from optiflow.learners.item_demand.grid import Array, Grid, read_grid, to_days
from optiflow.learners.item_demand.intervals import bands
from optiflow.learners.item_demand.kinds import CLOSED, DISCONTINUED, NEW, SHORT, kinds
from optiflow.learners.item_demand.multiplicative import fit_multiplicative
from optiflow.learners.item_demand.training import LIGHTGBM, MODEL_FILE, TREES_FILE, give_up

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("predicted", "lo_95", "lo_80", "hi_80", "hi_95")
METHODS = {NEW: "store and item level", SHORT: "short history", DISCONTINUED: "discontinued: 0", CLOSED: "closed: 0"}


def forecast(folder: Path, rows: "pa.Table") -> "pa.Table":
    """See `optiflow.learners.item_demand.score`."""
    import pyarrow as pa

    model = json.loads((folder / MODEL_FILE).read_text())
    grid, series = read_grid(rows, model["gaps"])
    wanted = ~np.isfinite(rows["sales"].to_numpy().astype(float))
    step = (to_days(rows) - grid.first - grid.days)[wanted]
    asked = rows.filter(pa.array(wanted))
    _check_steps(step, asked, int(model["horizon"]))
    kind = kinds(grid, model["closed_after"], model["min_history"])
    steps = int(step.max()) + 1 if len(step) else 1
    made = _bands(folder, model, grid, kind, steps)
    at = (series[wanted], step)
    usual = model["champion"] if model["champion"] == LIGHTGBM else f"multiplicative, {model['growth']}"
    methods = np.array([METHODS.get(int(one), usual) for one in kind], dtype=object)
    number = asked["row"].cast(pa.int64()) if "row" in rows.column_names else pa.nulls(len(step), pa.int64())
    columns: dict[str, Any] = {"row": number, "store": asked["store"], "item": asked["item"], "date": asked["date"]}
    columns |= {name: pa.array(made[name][at], pa.float64()) for name in COLUMNS}
    return pa.table({**columns, "method": pa.array(methods[series[wanted]], pa.string())})


def _bands(folder: Path, model: dict[str, Any], grid: Grid, kind: Array, steps: int) -> dict[str, Array]:
    """Forecasts of each series: series x steps each."""
    base = fit_multiplicative(grid, model["growth"])
    rate = base.rate(grid, grid.days, grid.days + steps)
    if model["champion"] == LIGHTGBM:
        import lightgbm

        booster = lightgbm.Booster(model_str=(folder / TREES_FILE).read_text())
        made, _ = features(grid, base, steps)
        made[:, :, 0] = _codes_of(model["stores"], grid.stores)[grid.store][:, None]
        made[:, :, 1] = _codes_of(model["items"], grid.items)[grid.item][:, None]
        plain = (kind == NEW) | (kind == SHORT)
        rate = np.where(plain[:, None], rate, corrected(booster, made, rate))
    return bands(give_up(rate, kind), base.dispersion, kind, model["quantiles"])


def _codes_of(trained: list[str], labels: tuple[str, ...]) -> Array:
    """The training's code of each label; NaN, which LightGBM takes for missing, for those that it did not see."""
    place = {label: code for code, label in enumerate(trained)}
    return np.array([place.get(label, np.nan) for label in labels])


def _check_steps(step: Array, asked: "pa.Table", horizon: int) -> None:
    for bad, reason in (
        (step < 0, "which is not after the last day of the history: forecast later days, or add its sales"),
        (step >= horizon, f"but the model forecasts {horizon} days: train with a longer horizon"),
    ):
        if bad.any():
            place = int(bad.argmax())
            store, item, day = (asked[name][place].as_py() for name in ("store", "item", "date"))
            raise UserError(f"store {store!r}, item {item!r}: a forecast is asked for {day}, {reason}.")

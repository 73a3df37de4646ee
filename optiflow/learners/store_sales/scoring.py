"""Scoring: the weeks ahead of each store, from its own newest rows, with the champion that training chose.

What belongs here: from rows to rows. What does not: the forecasts themselves.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from optiflow.errors import UserError
from optiflow.learners.store_sales import fallback
from optiflow.learners.store_sales.all_stores import ahead
from optiflow.learners.store_sales.candidates import Fitted, mean, run
from optiflow.learners.store_sales.history import History
from optiflow.learners.store_sales.model import Model, load
from optiflow.learners.store_sales.odd_weeks import closed_every_year, given_up
from optiflow.learners.store_sales.panel import Panel, read_panel, week_of
from optiflow.learners.store_sales.per_store import processes

MOST_STEPS = 104
OTHERS = "level_of_other_stores"
"""For a store without any sales: what half of the others sell more than, in bands as wide as they differ."""

STRANGER = -1
CLOSED = "closed"
FILLED = "last_year_same_week"
"""For weeks in which other stores have rows already, but this one not any more."""


def forecast(folder: Path, rows: pa.Table) -> pa.Table:
    """See `store_sales.score`."""
    panel, wanted = read_panel(rows), rows.filter(rows["sales"].is_null())
    model = load(folder)
    stores = wanted["store"].cast(pa.string()).to_pylist()
    days = wanted["date"].cast(pa.date32()).to_pylist()
    place = {store: column for column, store in enumerate(panel.stores)}
    column = np.array([place.get(store, STRANGER) for store in stores], dtype=int)
    stranger = column == STRANGER
    week = np.array([week_of(panel, day) for day in days], dtype=int)
    newest, row = (np.array([np.flatnonzero(of)[-1] for of in cells.T]) for cells in (panel.known, panel.rows))
    beyond = np.maximum(week - panel.weeks + 1, 1)
    _check_steps(stores, days, np.where(stranger, beyond, week - row[column]))
    steps = np.where(stranger, beyond, week - newest[column])

    horizon = max(int(week.max(initial=0)) - panel.weeks + 1, 1)
    coming, with_season = _ahead(panel, model, horizon)
    matrix = np.concatenate([panel.logs, coming])
    usual = np.nanmedian(matrix, axis=1)
    logs = np.where(stranger, usual[week], matrix[week, column])
    seasonal_row = with_season[column] & ~stranger
    simple = fallback.method(int(with_season.sum()))
    method = np.where(seasonal_row, model.champion, simple)
    method = np.where(week < panel.weeks, FILLED, method)
    method = np.where(stranger, OTHERS, method)
    shut = _closed(panel, stores, column, week)
    method = np.where(shut, CLOSED, method)
    open_ = np.where(shut, 0.0, 1.0)
    out = {
        "row": wanted["row"].cast(pa.int64()) if "row" in wanted.column_names else pa.nulls(len(stores), pa.int64()),
        "store": pa.array(stores, pa.string()),
        "date": pa.array(days, pa.date32()),
        "predicted": open_ * np.exp(logs),
    }
    half = {
        coverage: np.where(
            seasonal_row,
            model.bands.half_width(coverage, stores, steps),
            model.simple.half_width(coverage, stores, steps),
        )
        + np.where(stranger, np.nanquantile(np.abs(matrix - usual[:, None]), int(coverage) / 100, axis=1)[week], 0)
        for coverage in ("80", "95")
    }
    out |= {"lo_95": open_ * np.exp(logs - half["95"]), "lo_80": open_ * np.exp(logs - half["80"])}
    out |= {"hi_80": open_ * np.exp(logs + half["80"]), "hi_95": open_ * np.exp(logs + half["95"])}
    return pa.table({**out, "method": pa.array(method.tolist(), pa.string())})


def _ahead(panel: Panel, model: Model, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The weeks after the panel (steps x stores, logarithms), and which stores were forecast by their own season."""
    if model.growth is None:
        return ahead(panel, horizon, model.date_is, None)
    fitted = Fitted(model.growth, model.trees)

    def by_season(history: History) -> np.ndarray:
        return mean(run(model.members, history, fitted, processes(0)), model.members)

    return ahead(panel, horizon, model.date_is, by_season)


def _closed(panel: Panel, stores: list[str], column: np.ndarray, week: np.ndarray) -> np.ndarray:
    """Which rows are of a store that is closed: for good as far as the history tells, or in that week of every year."""
    gone = given_up(panel.odd, panel.known)
    yearly = {int(one): closed_every_year(panel.odd.closed, panel.rows, int(one)) for one in np.unique(week)}
    return np.array(
        [
            store in panel.never or (at != STRANGER and bool(gone[at] or yearly[int(one)][at]))
            for store, at, one in zip(stores, column, week, strict=True)
        ],
        dtype=bool,
    )


def _check_steps(stores: list[str], days: list, steps: np.ndarray) -> None:
    wrong = np.flatnonzero((steps < 1) | (steps > MOST_STEPS))
    if not len(wrong):
        return
    store, day = stores[wrong[0]], days[wrong[0]]
    if steps[wrong[0]] < 1:
        raise UserError(
            f"store {store!r}, week of {day}: a row to forecast must come after the store's last week with sales. "
            "Give it its sales, or leave it out."
        )
    raise UserError(f"store {store!r}, week of {day}: at most {MOST_STEPS} weeks after the last sales are forecast.")

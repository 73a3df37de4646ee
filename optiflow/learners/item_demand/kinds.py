"""What kind of series each is: new, short, closed, discontinued, or one that sells, and how regularly.

What belongs here: telling them apart on a grid. What does not: what is forecast for each kind.
"""

import numpy as np

from optiflow.learners.item_demand.grid import YEAR, Array, Grid

KINDS = ("smooth", "erratic", "intermittent", "lumpy", "short", "new", "discontinued", "closed")
SMOOTH, ERRATIC, INTERMITTENT, LUMPY, SHORT, NEW, DISCONTINUED, CLOSED = range(8)

MEANINGS = {
    "smooth": "sells nearly every day, in similar amounts",
    "erratic": "sells nearly every day, in very different amounts",
    "intermittent": "sells on some days, in similar amounts",
    "lumpy": "sells on some days, in very different amounts",
    "short": "too short a history: level of its own few days, pulled to that of its store and item",
    "new": "no history at all: level of its store and item",
    "discontinued": "no sale of the item in the store for a long time: forecast 0",
    "closed": "no sale of anything in the store for a long time: forecast 0",
}

INTERVAL_LIMIT, VARIATION_LIMIT = 1.32, 0.49
"""Days per sale and squared coefficient of variation that part the four kinds.

Source: Syntetos, Boylan and Croston, "On the categorization of demand patterns", J. Oper. Res. Soc. 56 (2005).
"""

QUIET_INTERVALS = 4
"""An item that sells every n days is not given up before 4 n days without a sale."""


def kinds(grid: Grid, closed_after: int, min_history: int) -> Array:
    """The kind of each series at the end of the grid, a place in `KINDS`.

    A store or an item that was as quiet at the same time a year ago, and sold before that, is seasonal and not given up.

    Args:
        grid: What is known at the origin.
        closed_after: Days without a sale after which a store, or an item in it, counts as given up.
        min_history: Days since the first row below which a series is short.
    """
    known = grid.seen.sum(axis=1)
    sold = grid.sales > 0
    sales_days = sold.sum(axis=1)
    age = grid.days - np.argmax(grid.seen > 0, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = known / sales_days
        mean = grid.sales.sum(axis=1) / sales_days
        variation = (grid.sales**2).sum(axis=1) / sales_days / mean**2 - 1
    variation = np.nan_to_num(variation)
    rare, uneven = interval >= INTERVAL_LIMIT, variation >= VARIATION_LIMIT
    found = np.where(rare, np.where(uneven, LUMPY, INTERMITTENT), np.where(uneven, ERRATIC, SMOOTH))
    found[age < min_history] = SHORT
    patience = np.maximum(closed_after, QUIET_INTERVALS * np.nan_to_num(interval, posinf=closed_after))
    found[_given_up(sold, patience)] = DISCONTINUED
    in_store = np.zeros((len(grid.stores), grid.days), dtype=bool)
    np.logical_or.at(in_store, grid.store, sold)
    found[_given_up(in_store, np.full(len(in_store), closed_after))[grid.store]] = CLOSED
    found[known == 0] = NEW
    return found


def _given_up(sold: Array, patience: Array) -> Array:
    """For each row: no sale in its last `patience` days, and not so a year ago after a sale before that."""
    days = sold.shape[1]
    running = np.concatenate([np.zeros((len(sold), 1), dtype=np.int64), sold.cumsum(axis=1)], axis=1)
    row, span = np.arange(len(sold)), np.minimum(patience.astype(int), days)
    quiet = (running[:, days] == running[row, days - span]) & (patience <= days)
    then = days - YEAR
    if then <= 0:
        return quiet
    start = np.maximum(then - span, 0)
    return quiet & ~((running[:, then] == running[row, start]) & (running[row, start] > 0))

"""The weeks ahead of all stores of a panel: those with a season of their own by a candidate, the others by the fallback."""

from collections.abc import Callable

import numpy as np

from optiflow.learners.store_sales.fallback import recent_level
from optiflow.learners.store_sales.history import History, prepare, seasonal
from optiflow.learners.store_sales.panel import Panel


def ahead(
    panel: Panel, steps: int, date_is: str, by_season: Callable[[History], np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Forecast every store of the panel.

    Args:
        panel: The history.
        steps: Weeks ahead.
        date_is: `week_end` or `week_start`.
        by_season: Steps x stores (logarithms) of a history of stores with a season; None where no store is forecast by it.

    Returns:
        Steps x stores (logarithms), and which stores were forecast by their own season.
    """
    chosen = seasonal(panel) if by_season else np.zeros(len(panel.stores), bool)
    made = np.empty((steps, len(panel.stores)))
    if by_season and chosen.any():
        made[:, chosen] = by_season(prepare(panel.columns(chosen), steps, date_is))
    if not chosen.all():
        made[:, ~chosen] = recent_level(panel.columns(~chosen), steps, panel.logs[:, chosen], made[:, chosen])
    return made, chosen

"""The simpler model for a store whose history is too short for a season of its own.

Its level is the median of its last weeks. Where other stores have a season, their common movement from those weeks to
the weeks ahead is added; where none has, the level stays as it is.
"""

import numpy as np

from optiflow.learners.store_sales.panel import Panel

LEVEL_WEEKS = 8
LEVEL, LEVEL_AND_SEASON = "recent_level", "recent_level_and_season_of_other_stores"


def method(others: int) -> str:
    """What the fallback is called where `others` stores have a season."""
    return LEVEL_AND_SEASON if others else LEVEL


def recent_level(panel: Panel, steps: int, others: np.ndarray, others_ahead: np.ndarray) -> np.ndarray:
    """Forecast each store of the panel.

    Args:
        panel: The stores with a short history.
        steps: Weeks ahead.
        others: Weeks x other stores, the logarithms of stores with a season; may have no column.
        others_ahead: Steps x other stores, their forecasts.

    Returns:
        Steps x stores, logarithms.
    """
    recent = panel.logs[-LEVEL_WEEKS:]
    if not others.shape[1]:
        return np.repeat(np.nanmedian(recent, axis=0)[None], steps, axis=0)
    # Each store's own weeks are set beside the same weeks of the others: a store that opened in a good month has no
    # better level for it.
    season = np.nanmedian(others[-LEVEL_WEEKS:], axis=1)
    level = np.nanmedian(recent - season[:, None], axis=0)
    return np.nanmedian(others_ahead, axis=1)[:, None] + level

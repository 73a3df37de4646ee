"""The history as the candidates see it: cleared of the calendar's effects, and half pooled over the stores.

What belongs here: what is done to the panel before any forecast, and undone after it. What does not: forecasts.
"""

from dataclasses import dataclass

import numpy as np

from optiflow.learners.store_sales.calendar_effects import effects
from optiflow.learners.store_sales.names import SHORT_WEEKS, YEAR
from optiflow.learners.store_sales.panel import Panel

PATTERNS = 5
OWN_SHARE = 0.5
"""The pooled part is what the stores' five strongest common patterns say of a store; the rest counts half, since half
of what sets a store-week apart is chance."""

LARGEST_SWING = 4.0
"""A store counts in the common patterns as if it swung at most so many times as far as the middle one."""


@dataclass(frozen=True)
class History:
    """Stores with a season of their own.

    `cleared` (weeks x stores, NaN before a store's first week) has no calendar effects; `pooled` is the same, half
    of it seen through the common patterns. `ahead` is the calendar's effect in each week of the horizon.
    """

    panel: Panel
    cleared: np.ndarray
    pooled: np.ndarray
    ahead: np.ndarray

    @property
    def steps(self) -> int:
        """Weeks ahead."""
        return len(self.ahead)

    def same_week(self, matrix: np.ndarray, years: int = 1) -> np.ndarray:
        """Steps x stores: the weeks of `matrix` that lie `years` years before the horizon (repeating the last year)."""
        return matrix[[len(matrix) - years * YEAR + step % YEAR for step in range(self.steps)]]

    def yearly(self) -> np.ndarray:
        """Growth over the year before, (weeks - 52) x stores, as a difference of logarithms."""
        return self.cleared[YEAR:] - self.cleared[:-YEAR]


def seasonal(panel: Panel) -> np.ndarray:
    """Which stores have history enough for a season of their own."""
    return panel.lengths() >= SHORT_WEEKS


def prepare(panel: Panel, steps: int, date_is: str) -> History:
    """The history of stores that are all `seasonal`."""
    added = effects(panel, steps, date_is)
    cleared = panel.logs - added[: panel.weeks, None]
    return History(panel, cleared, _pool(cleared), added[panel.weeks :])


def _pool(matrix: np.ndarray) -> np.ndarray:
    whole = ~np.isnan(matrix).any(axis=0)
    if whole.sum() <= PATTERNS:
        return matrix
    means = matrix[:, whole].mean(axis=0)
    around = matrix[:, whole] - means
    # Patterns are least squares, and a store that swings ten times as far as the others would be one by itself.
    swings = around.std(axis=0)
    weights = np.minimum(1.0, LARGEST_SWING * np.median(swings) / np.maximum(swings, 1e-12))
    left, sizes, right = np.linalg.svd(around * weights, full_matrices=False)
    patterns = means + (left[:, :PATTERNS] * sizes[:PATTERNS]) @ right[:PATTERNS] / np.maximum(weights, 1e-12)
    pooled = matrix.copy()
    pooled[:, whole] = OWN_SHARE * matrix[:, whole] + (1 - OWN_SHARE) * patterns
    return pooled

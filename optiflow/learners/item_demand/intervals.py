"""Intervals around a rate, by split conformal prediction on the validation window.

What belongs here: scores, their quantiles, bands. What does not: where the rate comes from.
"""

from collections.abc import Mapping

import numpy as np

from optiflow.learners.item_demand.grid import Array
from optiflow.learners.item_demand.kinds import ERRATIC, SMOOTH

LEVELS = {"lo_95": 0.025, "lo_80": 0.10, "hi_80": 0.90, "hi_95": 0.975}
NORMAL = {"lo_95": -1.960, "lo_80": -1.282, "hi_80": 1.282, "hi_95": 1.960}
"""The standard normal's quantiles, for histories without enough validation days."""

LEAST_SCORES = 200
REGULAR, RARE = "regular", "rare"
Quantiles = Mapping[str, float]


def scale(rate: Array, dispersion: Array) -> Array:
    """The standard deviation of a day's sales: the root of dispersion x rate, series x days."""
    return np.sqrt(dispersion[:, None] * rate)


def is_regular(kind: Array) -> Array:
    """Which series sell nearly every day; they and the others are calibrated apart."""
    return (kind == SMOOTH) | (kind == ERRATIC)


def calibrate(sold: Array, rate: Array, seen: Array, dispersion: Array, kind: Array) -> dict[str, Quantiles]:
    """Quantiles of (sold - rate) / scale for regular and for rare sellers, all series x days of the window.

    Each is the ⌈(n + 1) q⌉-th smallest score for an upper bound, the ⌊(n + 1) q⌋-th for a lower one, so that coverage holds for
    finite n. A group with fewer than 200 scores takes those of all series, and the normal's if these are too few.

    Source: Lei et al., "Distribution-free predictive inference for regression", J. Am. Stat. Assoc. 113 (2018).
    """
    scores, usable = (sold - rate) / np.maximum(scale(rate, dispersion), 1e-3), seen > 0
    regular = is_regular(kind)[:, None] & usable
    every = np.sort(scores[usable])
    found = {}
    for name, rows in ((REGULAR, regular), (RARE, usable & ~regular)):
        own = np.sort(scores[rows])
        found[name] = _quantiles(own if len(own) >= LEAST_SCORES else every)
    return found


def bands(rate: Array, dispersion: Array, kind: Array, quantiles: Mapping[str, Quantiles]) -> dict[str, Array]:
    """`predicted` and the bounds `lo_95`, `lo_80`, `hi_80`, `hi_95`: units a day, none below 0, in order.

    `predicted` is the rate itself, the mean: sums of means are the expected sum, while those of medians fall short of it, by
    all of it for what sells on fewer than half of the days.
    """
    spread, regular = scale(rate, dispersion), is_regular(kind)[:, None]
    made = {}
    for name in LEVELS:
        shift = np.where(regular, quantiles[REGULAR][name], quantiles[RARE][name])
        made[name] = np.maximum(rate + shift * spread, 0.0)
    made["predicted"] = rate
    for low, high in (("lo_80", "hi_80"), ("lo_95", "hi_95")):
        made[low] = np.minimum(made[low], made["predicted"])
        made[high] = np.maximum(made[high], made["predicted"])
    return made


def _quantiles(scores: Array) -> dict[str, float]:
    n = len(scores)
    if n < LEAST_SCORES:
        return dict(NORMAL)
    found = {}
    for name, level in LEVELS.items():
        place = np.floor((n + 1) * level) if level < 0.5 else np.ceil((n + 1) * level)
        found[name] = float(scores[int(np.clip(place, 1, n)) - 1])
    return found

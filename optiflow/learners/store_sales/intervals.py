"""Intervals by conformal prediction: how far past forecasts were off, at past origins.

A band's half width is a quantile of the past errors (of logarithms), each divided by its store's usual error, times the
usual error of the store that is forecast. Method: Lei et al., "Distribution-Free Predictive Inference for Regression" (2018),
section 5.2, with the store's mean error as the spread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

COVERAGES = {"80": 0.80, "95": 0.95}
SHRINK = 12.0
"""A store's usual error is a mean of its own errors and this many of the average store."""

SPREADING = 4
"""Weeks ahead are taken together in blocks of so many, each with those before it: an interval never narrows."""


@dataclass(frozen=True)
class Bands:
    """`usual` is each store's usual error, `other` that of a store never seen; `widths` one factor per week ahead."""

    usual: Mapping[str, float]
    other: float
    widths: Mapping[str, Sequence[float]]

    def half_width(self, coverage: str, stores: Sequence[str], steps: np.ndarray) -> np.ndarray:
        """Half the band, in logarithms, for stores and numbers of weeks ahead (from 1)."""
        factors = np.asarray(self.widths[coverage])
        # Beyond the weeks that were tried, errors grow about as those of a random walk.
        last = len(factors)
        beyond = np.sqrt(np.maximum(steps, last) / last)
        usual = np.array([self.usual.get(store, self.other) for store in stores])
        return usual * factors[np.minimum(steps, last) - 1] * beyond

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"usual": dict(self.usual), "other": self.other, "widths": {k: list(v) for k, v in self.widths.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Bands":
        """What `to_json` made."""
        return cls(data["usual"], data["other"], data["widths"])


def learn_bands(errors: np.ndarray, stores: Sequence[str]) -> Bands:
    """Bands from past errors.

    Args:
        errors: Origins x steps x stores, differences of logarithms, NaN where there was no actual.
        stores: Their names.
    """
    sizes = np.abs(errors)
    counts = (~np.isnan(sizes)).sum(axis=(0, 1))
    average = max(float(np.nanmean(sizes)), 1e-6)
    usual = (np.nansum(sizes, axis=(0, 1)) + SHRINK * average) / (counts + SHRINK)
    relative = sizes / usual
    steps = sizes.shape[1]
    widths = {}
    for name, coverage in COVERAGES.items():
        factors = [
            _quantile(relative[:, : min(steps, (s // SPREADING + 1) * SPREADING)], coverage) for s in range(steps)
        ]
        widths[name] = np.maximum.accumulate(factors).tolist()
    return Bands(dict(zip(stores, usual.tolist(), strict=True)), average, widths)


def _quantile(values: np.ndarray, coverage: float) -> float:
    """With the correction for few errors: the ceil((n + 1) coverage)-th smallest, or the largest."""
    found = np.sort(values[~np.isnan(values)])
    place = int(np.ceil((len(found) + 1) * coverage))
    return float(found[min(place, len(found)) - 1])

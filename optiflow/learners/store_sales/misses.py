"""How far off forecasts of many stores are, in one number by which something is chosen for all of them."""

import numpy as np

LARGEST_MISS = 1.0
"""A forecast of the double, which is a miss of 100 %, is as wrong as any."""


def mean_miss(errors: np.ndarray) -> float:
    """The mean of |exp(error) - 1|, each at most `LARGEST_MISS`.

    One store that halves for a reason of its own is not to choose the model of all the others.

    Args:
        errors: Forecast less actual, logarithms, NaN where there is no actual.
    """
    return float(np.nanmean(np.minimum(np.abs(np.expm1(errors)), LARGEST_MISS)))

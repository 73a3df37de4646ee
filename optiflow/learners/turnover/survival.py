"""The log-normal distribution of days until sale: its chances, and what is left of it for an item in stock.

Everything is in closed form: ln T is normal with mean ln(`middle`) and standard deviation `spread`. What does not belong
here: where the two come from (`training`). Source: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" 1
(1994), chapter 14.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Days = np.ndarray

FARTHEST = 37.0
"""Standard deviations from the middle beyond which a tail is 0 in floats."""

HALF_DAY = 0.5
"""A sale on day 30 is within 30 days, and whole days stand for their middle."""


def chance_within(days: float, middle: "Days", spread: float) -> "Days":
    """P(T <= days), 0 to 1, for an item that has just been put on sale."""
    import numpy as np
    from scipy.special import ndtr

    return ndtr((np.log(days + HALF_DAY) - np.log(middle)) / spread)


def remaining_days(age: "Days", middle: "Days", spread: float) -> "Days":
    """The days in which half of the items sell that are unsold after `age` days: the middle of T - age, given T > age."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    now = (np.log(np.maximum(age, HALF_DAY)) - np.log(middle)) / spread
    then = -ndtri(0.5 * ndtr(-np.minimum(now, FARTHEST)))
    return np.maximum(np.exp(np.log(middle) + spread * then) - age, 0.0)


def chance_next(days: float, age: "Days", middle: "Days", spread: float) -> "Days":
    """P(T <= age + days | T > age), 0 to 1."""
    import numpy as np
    from scipy.special import log_ndtr

    now = (np.log(np.maximum(age, HALF_DAY)) - np.log(middle)) / spread
    then = (np.log(age + days + HALF_DAY) - np.log(middle)) / spread
    return -np.expm1(log_ndtr(-then) - log_ndtr(-now))

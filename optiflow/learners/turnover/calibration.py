"""Making scores honest: the spread of days around the trees' answer, and chances that come true as often as they say.

What belongs here: small fits on rows that the trees did not learn from. What does not: the trees (`boosting`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from optiflow.learners.turnover.labels import Labels

SHIFT_PRIOR, SPREAD_PRIOR, SLOPE_PRIOR = 0.3, 0.3, 0.5
"""Standard deviations of what a calibration may change, so that a handful of validation rows changes next to nothing."""


@dataclass(frozen=True)
class Spread:
    """ln T is normal around the trees' margin + `shift` with standard deviation `spread`."""

    shift: float
    spread: float

    def middle(self, margin: "np.ndarray") -> "np.ndarray":
        """The day by which half of such items have sold, at most 10,000 years."""
        import numpy as np

        return np.exp(np.minimum(margin.astype(np.float64) + self.shift, 15.0))


@dataclass(frozen=True)
class Platt:
    """chance = 1 / (1 + exp(-(slope · score + shift))).

    Source: Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin Classifiers (1999).
    """

    slope: float
    shift: float

    def chance(self, score: "np.ndarray") -> "np.ndarray":
        """Chances from scores on the scale of log-odds."""
        from scipy.special import expit

        return expit(self.slope * score.astype("float64") + self.shift)


def fit_spread(margin: "np.ndarray", labels: "Labels", spread: float) -> Spread:
    """The likeliest shift and spread; an unsold item counts with the chance that it takes longer.

    Args:
        margin: The trees' ln(days), one a row.
        labels: Of the same rows.
        spread: Where to start, and what few rows stay close to.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    log_days = np.log(labels.days)

    def loss(values: "np.ndarray") -> float:
        shift, scale = values[0], spread * np.exp(values[1])
        z = (log_days - margin - shift) / scale
        likelihood = np.where(labels.sold, -0.5 * z**2 - np.log(scale), log_ndtr(-z))
        return float(-likelihood.sum() + 0.5 * ((shift / SHIFT_PRIOR) ** 2 + (values[1] / SPREAD_PRIOR) ** 2))

    shift, log_scale = minimize(loss, [0.0, 0.0], method="Nelder-Mead").x
    return Spread(float(shift), float(spread * np.exp(log_scale)))


def fit_platt(score: "np.ndarray", quick: "np.ndarray") -> Platt:
    """The likeliest slope and shift, from slope 1 and shift 0, which few rows stay close to."""
    import numpy as np
    from scipy.optimize import minimize

    score, sign = score.astype(np.float64), np.where(quick, 1.0, -1.0)

    def loss(values: "np.ndarray") -> float:
        margin = sign * (values[0] * score + values[1])
        prior = ((values[0] - 1) / SLOPE_PRIOR) ** 2 + (values[1] / SHIFT_PRIOR) ** 2
        return float(np.logaddexp(0.0, -margin).sum() + 0.5 * prior)

    slope, shift = minimize(loss, [1.0, 0.0], method="Nelder-Mead").x
    return Platt(max(float(slope), 0.0), float(shift))


def cross_fitted(
    rows: int, fit_and_score: "Callable[[np.ndarray, np.ndarray], np.ndarray]", folds: int = 5
) -> "np.ndarray":
    """Chances of each row by a calibration that has not seen it: `fit_and_score(fitted rows, scored rows)` per fold."""
    import numpy as np

    chance = np.empty(rows)
    for fold in range(folds):
        held = np.arange(rows) % folds == fold
        if held.any():
            chance[held] = fit_and_score(np.flatnonzero(~held), np.flatnonzero(held))
    return chance

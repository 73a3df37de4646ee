"""The chance of a sale within 30 days: from the distribution of days, or from a classifier where that is better.

What belongs here: fitting both ways and choosing by the validation rows. What does not: the days (`training`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiflow.learners.hyperparameters import Value
from optiflow.learners.turnover import boosting, survival
from optiflow.learners.turnover.boosting import Rows
from optiflow.learners.turnover.calibration import Platt, Spread, cross_fitted, fit_platt, fit_spread
from optiflow.learners.turnover.features import Encoder
from optiflow.learners.turnover.measures import log_loss, log_losses
from optiflow.learners.turnover.parameters import SALE_DAYS

if TYPE_CHECKING:
    import numpy as np
    from xgboost import Booster

FEWEST_OF_EACH = 10


@dataclass(frozen=True)
class Chance:
    """Which way to the chance validation prefers, and its cross-fitted chances of the validation rows judged."""

    chosen: str
    validated: "np.ndarray"
    candidates: Mapping[str, float]
    booster: "Booster | None" = None
    platt: Platt | None = None
    notes: tuple[str, ...] = ()


def fit_chance(
    fit: Rows, watched: Rows, encoder: Encoder, parameters: Mapping[str, Value], days: "Booster", spread: Spread
) -> Chance:
    """Take the distribution of days, unless a classifier has a lower log-loss by more than its standard error.

    Each is calibrated on other validation rows than it is judged on.
    """
    import numpy as np

    matrix = boosting.matrix_of(watched.features, encoder)
    margin = days.predict(matrix, output_margin=True)
    judged = np.flatnonzero(watched.labels.judged)
    quick = watched.labels.quick[judged]

    def by_days(fitted: "np.ndarray", held: "np.ndarray") -> "np.ndarray":
        again = fit_spread(margin[judged[fitted]], watched.labels.take(judged[fitted]), spread.spread)
        return survival.chance_within(SALE_DAYS, again.middle(margin[judged[held]]), again.spread)

    chance = cross_fitted(len(judged), by_days)
    fewest = [min(int(q.sum()), int((~q).sum())) for q in (fit.labels.quick[fit.labels.judged], quick)]
    if min(fewest) < FEWEST_OF_EACH:
        note = (
            f"Of the items watched for {SALE_DAYS} days, fewer than {FEWEST_OF_EACH} sold within them, or fewer than "
            f"{FEWEST_OF_EACH} did not, in the training or the validation rows: the chance comes from the days alone."
        )
        return Chance("days", chance, {}, notes=(note,))

    booster = boosting.fit_chance(fit, watched, encoder, parameters)
    share = float(fit.labels.quick[fit.labels.judged].mean())
    # With equal class weights the trees' log-odds are too high by the log-odds of the true share.
    true_odds = float(np.log(share / (1 - share)))
    score = booster.predict(matrix, output_margin=True)[judged] + true_odds

    def by_classifier(fitted: "np.ndarray", held: "np.ndarray") -> "np.ndarray":
        return fit_platt(score[fitted], quick[fitted]).chance(score[held])

    other = cross_fitted(len(judged), by_classifier)
    candidates = {"days": log_loss(quick, chance), "classifier": log_loss(quick, other)}
    gain = log_losses(quick, chance) - log_losses(quick, other)
    # A lead within its standard error is luck; then one model that says both, days and chance, is the better one.
    if gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return Chance("days", chance, candidates)
    platt = fit_platt(score, quick)
    whole = Platt(platt.slope, platt.shift + platt.slope * true_odds)
    return Chance("classifier", other, candidates, booster, whole)

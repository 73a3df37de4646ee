"""Training: the days, their spread, the chance, and which of two ways to the chance validation prefers.

What belongs here: the order of the steps and the summary. What does not: each step.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import Value
from optiflow.learners.turnover import boosting, survival
from optiflow.learners.turnover.boosting import Rows
from optiflow.learners.turnover.calibration import Platt, Spread, cross_fitted, fit_platt, fit_spread
from optiflow.learners.turnover.features import Encoder
from optiflow.learners.turnover.labels import Labels
from optiflow.learners.turnover.measures import (
    calibration_bins,
    chance_figures,
    concordance,
    day_errors,
    log_loss,
    log_losses,
)
from optiflow.learners.turnover.model import Model, save
from optiflow.learners.turnover.parameters import FEWEST_SOLD, HORIZON

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from xgboost import Booster

FIRST_SPREAD = 1.0
FEWEST_OF_EACH = 10

Say = Callable[[str], None]


def train(
    channels: "Mapping[str, pa.Table]", parameters: Mapping[str, Value], folder: Path, say: Say
) -> dict[str, Any]:
    """Fit one retailer's model on the channel `train`; `validation` stops the boosting and makes the answers honest.

    Args:
        channels: `train` and `validation` with `created`, `sold` (null = unsold), `as_of` (day of the export), `price`,
            `description`, `category`, `brand`.
        parameters: All of `DEFAULTS`, and whose model it is.
        folder: Gets the model's files.
        say: Prints progress.

    Returns:
        `metrics` on the validation rows, `counts` by channel, `candidates` (log-loss of both ways to the chance, `days` and `classifier`),
        `chosen`, `best_iteration`, `calibration`, `features`, `spread`, `threshold`, `retailer`, `notes`.

    Raises:
        UserError: no validation row, or too few items were sold to learn from.
    """
    for name in ("train", "validation"):
        if name not in channels or not channels[name].num_rows:
            raise UserError(f"channel {name} has no row: add items to the upload.")
    encoder = Encoder.fit(
        channels["train"], max_terms=int(parameters["max_terms"]), min_items=int(parameters["min_items"])
    )
    fit, watched = (
        Rows(encoder.transform(channels[name]), Labels.of(channels[name], name)) for name in ("train", "validation")
    )
    counts = {"train": fit.labels.counts(), "validation": watched.labels.counts()}
    if (sold := int(fit.labels.sold.sum())) < FEWEST_SOLD:
        raise UserError(f"{sold} of {fit.rows} training items were sold, at least {FEWEST_SOLD} are needed: add items.")
    say(f"Train has {fit.rows} items, {counts['train']['censored']} of them unsold (censored)")

    days, spread = _fit_days(fit, watched, encoder, parameters, say)
    chance = _fit_chance(fit, watched, encoder, parameters, days, spread)
    say(f"Chance of a sale within {HORIZON} days: from the {chance.chosen} {chance.candidates or ''}".rstrip())
    model = Model(
        retailer=str(parameters["retailer"]) if "retailer" in parameters else None,
        encoder=encoder,
        days=days,
        spread=spread,
        classifier=chance.booster,
        platt=chance.platt,
        threshold=counts["train"]["sold_within_30_days"] / max(counts["train"]["judged"], 1),
        digest="",
    )
    model = replace(model, digest=_digest(model))
    save(model, folder)
    return _summary(model, watched, channels["validation"], chance, counts)


@dataclass(frozen=True)
class _Chance:
    """Which way to the chance validation prefers, and its cross-fitted chances of the validation rows judged."""

    chosen: str
    validated: "np.ndarray"
    candidates: Mapping[str, float]
    booster: "Booster | None" = None
    platt: Platt | None = None
    notes: tuple[str, ...] = ()


def _fit_days(
    fit: Rows, watched: Rows, encoder: Encoder, parameters: Mapping[str, Value], say: Say
) -> "tuple[Booster, Spread]":
    """Twice, because the trees need the spread beforehand, and it is known only from their errors."""

    def boost(spread: float, on_round: boosting.OnRound) -> "tuple[Booster, Spread]":
        booster = boosting.fit_days(fit, watched, encoder, parameters, spread, on_round)
        margin = booster.predict(boosting.matrix_of(watched.features, encoder), output_margin=True)
        return booster, fit_spread(margin, watched.labels, spread)

    def show(number: int, scores: Mapping[str, float]) -> None:
        # The form of XGBoost's own monitor, which the learning curve is read from.
        say(f"[{number}]" + "".join(f"\t{name}:{value:.5f}" for name, value in scores.items()))

    first = boost(FIRST_SPREAD, lambda *_: None)[1]
    return boost(first.spread, show)


def _fit_chance(
    fit: Rows, watched: Rows, encoder: Encoder, parameters: Mapping[str, Value], days: "Booster", spread: Spread
) -> _Chance:
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
        return survival.chance_within(HORIZON, again.middle(margin[judged[held]]), again.spread)

    chance = cross_fitted(len(judged), by_days)
    fewest = [min(int(q.sum()), int((~q).sum())) for q in (fit.labels.quick[fit.labels.judged], quick)]
    if min(fewest) < FEWEST_OF_EACH:
        note = (
            f"Of the items watched for {HORIZON} days, fewer than {FEWEST_OF_EACH} sold within them, or fewer than "
            f"{FEWEST_OF_EACH} did not, in the training or the validation rows: the chance comes from the days alone."
        )
        return _Chance("days", chance, {}, notes=(note,))

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
        return _Chance("days", chance, candidates)
    platt = fit_platt(score, quick)
    whole = Platt(platt.slope, platt.shift + platt.slope * true_odds)
    return _Chance("classifier", other, candidates, booster, whole)


def _digest(model: Model) -> str:
    digest = hashlib.sha256(json.dumps(model.encoder.to_json(), sort_keys=True).encode())
    for booster in (model.days, model.classifier):
        digest.update(booster.save_raw("ubj") if booster is not None else b"")
    digest.update(repr((model.spread, model.platt, model.retailer)).encode())
    return digest.hexdigest()[:12]


def _summary(
    model: Model, watched: Rows, validation: "pa.Table", chance: _Chance, counts: Mapping[str, Any]
) -> dict[str, Any]:
    labels, answers = watched.labels, model.answer(validation)
    quick = labels.quick[labels.judged]
    figures = {
        **day_errors(labels.days[labels.sold], answers.days[labels.sold]),
        **chance_figures(quick, chance.validated, model.threshold),
        "concordance": concordance(labels.days, labels.sold, answers.days),
    }
    return {
        "metrics": {f"validation:{name}": value for name, value in figures.items() if value is not None},
        "counts": counts,
        "candidates": dict(chance.candidates),
        "chosen": chance.chosen,
        "best_iteration": model.days.best_iteration,
        "calibration": calibration_bins(quick, chance.validated),
        "features": model.encoder.names,
        "spread": model.spread.spread,
        "threshold": model.threshold,
        "retailer": model.retailer,
        "digest": model.digest,
        "notes": list(chance.notes),
    }

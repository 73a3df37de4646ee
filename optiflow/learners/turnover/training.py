"""Training: the days, their spread, and the chance of a quick sale.

What belongs here: the order of the steps and the summary. What does not: each step.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import Value
from optiflow.learners.turnover import boosting
from optiflow.learners.turnover.boosting import Rows
from optiflow.learners.turnover.calibration import Spread, fit_spread
from optiflow.learners.turnover.chance import Chance, fit_chance
from optiflow.learners.turnover.concordance import concordance
from optiflow.learners.turnover.features import Encoder
from optiflow.learners.turnover.labels import Labels
from optiflow.learners.turnover.measures import (
    calibration_bins,
    chance_figures,
    day_errors,
)
from optiflow.learners.turnover.model import Model, save
from optiflow.learners.turnover.parameters import FEWEST_SOLD, SALE_DAYS

if TYPE_CHECKING:
    import pyarrow as pa
    from xgboost import Booster

FIRST_SPREAD = 1.0

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
    chance = fit_chance(fit, watched, encoder, parameters, days, spread)
    say(f"Chance of a sale within {SALE_DAYS} days: from the {chance.chosen} {chance.candidates or ''}".rstrip())
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


def _digest(model: Model) -> str:
    digest = hashlib.sha256(json.dumps(model.encoder.to_json(), sort_keys=True).encode())
    for booster in (model.days, model.classifier):
        digest.update(booster.save_raw("ubj") if booster is not None else b"")
    digest.update(repr((model.spread, model.platt, model.retailer)).encode())
    return digest.hexdigest()[:12]


def _summary(
    model: Model, watched: Rows, validation: "pa.Table", chance: Chance, counts: Mapping[str, Any]
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

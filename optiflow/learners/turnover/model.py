"""The finished model of one retailer: its files, and what it says of items.

What belongs here: loading, saving and scoring. What does not: fitting (`training`) and requests (`serving`).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.booster_file import load as load_booster
from optiflow.learners.booster_file import save as save_booster
from optiflow.learners.turnover import survival
from optiflow.learners.turnover.boosting import matrix_of
from optiflow.learners.turnover.calibration import Platt, Spread
from optiflow.learners.turnover.features import Encoder
from optiflow.learners.turnover.parameters import SALE_DAYS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from xgboost import Booster

MODEL_FILE = "turnover.json"
DAYS_FILE, CHANCE_FILE = "days.ubj", "chance.ubj"
MODEL_FILES = (MODEL_FILE, DAYS_FILE, CHANCE_FILE)
AGE = "age_days"
COLUMNS = ("price", "description", "category", "brand", "created")
"""What features are made of."""

STOCK_HORIZONS = (30, 60, 90)


@dataclass(frozen=True)
class Answers:
    """One entry a row: the days by which half of such items have sold, and the chance of a sale within 30 days (0 to 1)."""

    days: "np.ndarray"
    chance: "np.ndarray"


@dataclass(frozen=True)
class Model:
    """The boosters with everything that turns their margins into days and chances.

    `classifier` is None where the chance comes from the distribution of days. `threshold` is the share of the training
    items that sold within 30 days: from this chance on an item is called quick, which is where a classifier with equal
    class weights has 0.5. `digest` names the model.
    """

    retailer: str | None
    encoder: Encoder
    days: "Booster"
    spread: Spread
    classifier: "Booster | None"
    platt: Platt | None
    threshold: float
    digest: str

    def answer(self, rows: "pa.Table") -> Answers:
        """Score rows with `price`, `description`, `category`, `brand`, `created`."""
        matrix = matrix_of(self.encoder.transform(rows), self.encoder)
        days = self.spread.middle(self.days.predict(matrix, output_margin=True))
        if self.classifier is None or self.platt is None:
            chance = survival.chance_within(SALE_DAYS, days, self.spread.spread)
        else:
            chance = self.platt.chance(self.classifier.predict(matrix, output_margin=True))
        return Answers(days, chance)


def score(folder: Path, rows: "pa.Table") -> "pa.Table":
    """Score items.

    Args:
        folder: The model's files.
        rows: `price`, `description`, `category`, `brand`, `created`; for items in stock also `age_days` (whole days
            since creation). Any other column, such as `row`, goes through as it is.

    Returns:
        The columns that are no features, and of a new item `expected_days`, by which half of such items have sold (a mean would hang on the few that
        take years), and `chance_30_days`. With `age_days` also what is left for an item unsold so far: `remaining_days`,
        in which half of such items sell, and `next_30_days`, `next_60_days`, `next_90_days`, the chances of a sale.
    """
    import numpy as np
    import pyarrow as pa

    model = load(folder)
    answers = model.answer(rows)
    spread = model.spread.spread
    columns: dict[str, Any] = {
        **{name: rows[name] for name in rows.column_names if name not in COLUMNS},
        "expected_days": answers.days,
        "chance_30_days": answers.chance,
    }
    if AGE in rows.column_names:
        age = rows[AGE].to_numpy().astype(np.float64)
        columns["remaining_days"] = survival.remaining_days(age, answers.days, spread)
        for horizon in STOCK_HORIZONS:
            columns[f"next_{horizon}_days"] = survival.chance_next(horizon, age, answers.days, spread)
    return pa.table(columns)


def contributions(folder: Path, rows: "pa.Table") -> dict[str, float]:
    """How far each feature moves the expected days on average: mean |SHAP of ln(days)| x expected days, in days."""
    model = load(folder)
    matrix = matrix_of(model.encoder.transform(rows), model.encoder)
    shap = model.days.predict(matrix, pred_contribs=True)[:, :-1]
    days = model.spread.middle(model.days.predict(matrix, output_margin=True))
    return dict(zip(model.encoder.names, (abs(shap) * days[:, None]).mean(axis=0).tolist(), strict=True))


def save(model: Model, folder: Path) -> None:
    """Write the model's files, all of them JSON or UBJ."""
    save_booster(model.days, folder / DAYS_FILE)
    if model.classifier is not None:
        save_booster(model.classifier, folder / CHANCE_FILE)
    said = {
        "retailer": model.retailer,
        "encoder": model.encoder.to_json(),
        "spread": asdict(model.spread),
        "platt": asdict(model.platt) if model.platt else None,
        "threshold": model.threshold,
        "digest": model.digest,
    }
    (folder / MODEL_FILE).write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> Model:
    """Read what `save` wrote.

    Raises:
        UserError: the folder holds no such model.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        raise UserError(f"the model folder has no file {MODEL_FILE}: give the model.tar.gz of a turnover training job.")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        platt = Platt(**said["platt"]) if said["platt"] else None
        encoder, spread = Encoder.from_json(said["encoder"]), Spread(**said["spread"])
        retailer, threshold, digest = said["retailer"], float(said["threshold"]), said["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{MODEL_FILE} is not a turnover model ({error}): train again.") from error
    days = load_booster(folder / DAYS_FILE)
    classifier = load_booster(folder / CHANCE_FILE) if platt else None
    for booster in filter(None, (days, classifier)):
        booster.set_param({"nthread": 1})  # see boosting.MANY
    return Model(retailer, encoder, days, spread, classifier, platt, threshold, digest)

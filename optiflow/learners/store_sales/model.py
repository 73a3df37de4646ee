"""The model's files: `model.json`, and the trees as UBJ where the champion has them. Never a pickle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiflow.errors import UserError
from optiflow.learners.store_sales.candidates import TREES
from optiflow.learners.store_sales.intervals import Bands
from optiflow.learners.store_sales.seasonal_growth import Growth
from optiflow.learners.store_sales.trees import Shape, Trees

FILE = "model.json"


@dataclass(frozen=True)
class Model:
    """The champion by name, the candidates it is the mean of, and what scoring needs of training.

    `growth` and `trees` are None where no store had a season. `simple` are the bands of the fallback.
    """

    champion: str
    members: tuple[str, ...]
    growth: Growth | None
    trees: Trees | None
    date_is: str
    bands: Bands
    simple: Bands

    def save(self, folder: Path) -> None:
        """Write `model.json`; the trees are saved by themselves."""
        data: dict[str, Any] = {
            "champion": self.champion,
            "members": self.members,
            "growth": self.growth and self.growth.to_json(),
            "trees": self.trees
            and {"shape": self.trees.shape.to_json(), "seed": self.trees.seed, "seen": self.trees.seen},
            "date_is": self.date_is,
            "bands": self.bands.to_json(),
            "simple": self.simple.to_json(),
        }
        (folder / FILE).write_text(json.dumps(data, indent=1))


def load(folder: Path) -> Model:
    """Read what `Model.save` wrote.

    Raises:
        UserError: the folder holds no such model.
    """
    if not (folder / FILE).is_file():
        raise UserError(f"{FILE} is missing in the model: train again.")
    data = json.loads((folder / FILE).read_text())
    trees = data["trees"] and Trees(Shape(**data["trees"]["shape"]), 1, data["trees"]["seed"])
    if trees and TREES in data["members"]:
        low, high = data["trees"]["seen"]
        trees.seen = (low, high)
        trees.load(folder)
    return Model(
        data["champion"],
        tuple(data["members"]),
        data["growth"] and Growth(**data["growth"]),
        trees,
        data["date_is"],
        Bands.from_json(data["bands"]),
        Bands.from_json(data["simple"]),
    )

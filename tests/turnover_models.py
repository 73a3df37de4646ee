"""Small models of `turnover` for tests of serving: trained by the real learner, packed as its job packs them.

What does not belong here: how good they are (`test_turnover_learner`).
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from optiflow.artifact import SUMMARY_FILE, pack_model
from optiflow.learners import turnover as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.pipelines.turnover.sample import EXPORT_DAY, turnover
from resources.endpoints.contract import ServedModel
from resources.storage import Storage

QUICK = {"num_round": "15", "eta": "0.3", "max_terms": "10"}
ITEM = {
    "price": 240.0,
    "description": "used, well kept",
    "category": "Tents",
    "brand": "Campo",
    "created": "2016-07-01",
}
REQUEST = json.dumps({"instances": [ITEM, {**ITEM, "price": 120.0, "brand": None}]}).encode()


def trained_model(storage: Storage, retailer: str, name: str, *, pace: float = 1.0, seed: int = 11) -> ServedModel:
    """A model that a job of this name might have trained, in its place in the storage.

    `pace` multiplies the days that the retailer's items take.
    """
    rows = (
        turnover(400, seed, pace=pace, bad_rows=False)
        .rename({"item_created_date": "created", "item_sold_date": "sold"})
        .with_row_index("row", 2)
        .with_columns(as_of=pl.lit(EXPORT_DAY))
        .cast({"row": pl.Int64})
    )
    parameters = parse_hyperparameters(learner.PARAMETERS, {**learner.DEFAULTS, **QUICK, "retailer": retailer})
    channels = {"train": rows[:-80].to_arrow(), "validation": rows[-80:].to_arrow()}
    key = f"lake/turnover/model/{retailer}/{name}/model.tar.gz"
    with TemporaryDirectory() as folder:
        files = Path(folder, "model")
        files.mkdir()
        summary = learner.train(channels, parameters, files, lambda _: None)
        (files / SUMMARY_FILE).write_text(json.dumps({"learner": "turnover", **summary}, default=str))
        pack_model(files, Path(folder, "model.tar.gz"))
        storage.put_file(key, Path(folder, "model.tar.gz"))
    return ServedModel(name, retailer, key)


def answer_of(body: bytes) -> tuple[str, list[float]]:
    """Whose model answered, and the days that it expects."""
    said: dict[str, Any] = json.loads(body)
    return said["retailer"], [one["expected_days"] for one in said["predictions"]]

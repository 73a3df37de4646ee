"""`transform`: from a model and a folder of files with features to one `.out` file of predictions each."""

from pathlib import Path
from typing import TYPE_CHECKING

from optiflow.artifact import MODEL_FILE, SUMMARY_FILE
from optiflow.container.channels import channel_files, read_file
from optiflow.container.layout import Layout, put_in_place
from optiflow.container.tables import score_tables
from optiflow.errors import UserError

if TYPE_CHECKING:
    import numpy as np

CHANNEL = "transform"
MODEL_FILES = (SUMMARY_FILE, MODEL_FILE)


def run_transform(layout: Layout) -> None:
    """Score the files of the channel `transform` into `output/data`.

    Raises:
        UserError: no model, or as `score_files`.
    """
    model = next((path for name in MODEL_FILES if (path := layout.model / name).is_file()), None)
    if model is None:
        raise UserError(
            f"the model folder has none of {', '.join(MODEL_FILES)}: give the model.tar.gz of a training job."
        )
    score_files(model, layout.channel(CHANNEL), layout.output_data, layout.content_types().get(CHANNEL))


def score_files(model: Path, folder: Path, output: Path, content_type: str | None) -> None:
    """Write `<output>/<file>.out` for each file of features in `folder`: one line a row, as Batch Transform does.

    Raises:
        UserError: no file, a cell that is no number, or not the columns that the model was trained on.
    """
    if model.name == SUMMARY_FILE:
        score_tables(model.parent, folder, output)
        return
    from optiflow.learners import xgboost as learner

    booster = learner.load(model)
    for path in channel_files(folder):
        features = read_file(path, content_type)
        predictions = learner.predict(booster, features)
        relative = path.relative_to(folder)
        with put_in_place(output / relative.with_name(f"{relative.name}.out")) as target:
            write_predictions(predictions, target)
        print(f"{relative}: {len(predictions)} predictions", flush=True)


def write_predictions(predictions: "np.ndarray", path: Path) -> None:
    """Write float32 predictions as text, one row a line, with commas between classes.

    Each number is written as the float64 that equals it, so that a reader gets the same number whether it parses to
    32 or to 64 bits.
    """
    rows = predictions.astype("float64").tolist()
    lines = (",".join(map(repr, row)) for row in rows) if predictions.ndim > 1 else map(repr, rows)
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)

"""`train` and `transform` for the learners of ours: Arrow tables in, files and Arrow tables out.

What belongs here: what surrounds a learner in its job. What does not: SageMaker's built-in XGBoost, whose channels are
matrices without names (`training`, `scoring`).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.artifact import SUMMARY_FILE
from optiflow.container import sklearn
from optiflow.container.channels import channel_files
from optiflow.container.layout import Layout, put_in_place
from optiflow.errors import UserError
from optiflow.learners import LEARNER_PARAMETER, learner_named
from optiflow.learners.hyperparameters import parse_hyperparameters

if TYPE_CHECKING:
    import pyarrow as pa


def train_learner(layout: Layout, name: str) -> dict[str, Any]:
    """Train the learner of this name; its summary is put beside its files last, so that no half model has one.

    Raises:
        UserError: unknown learner, or hyperparameters or channels that it cannot use.
    """
    learner = _prepared(name)
    raw = {key: value for key, value in layout.hyperparameters().items() if key != LEARNER_PARAMETER}
    parameters = parse_hyperparameters(learner.PARAMETERS, {**learner.DEFAULTS, **raw})
    channels = {channel: read_tables(layout.channel(channel)) for channel in layout.content_types()}
    for channel, table in channels.items():
        _say(f"Channel {channel} has {table.num_rows} rows and {table.num_columns} columns")
    layout.model.mkdir(parents=True, exist_ok=True)
    summary = learner.train(channels, parameters, layout.model, _say)
    with put_in_place(layout.model / SUMMARY_FILE) as path:
        path.write_text(json.dumps({"learner": name, **summary}, ensure_ascii=False))
    return summary


def score_tables(model: Path, folder: Path, output: Path) -> None:
    """Write `<output>/<file>.out`, Parquet, for each Parquet file of rows in `folder`.

    Raises:
        UserError: no file, or rows that the learner cannot score.
    """
    import pyarrow.parquet as pq

    learner = _prepared(json.loads((model / SUMMARY_FILE).read_text())["learner"])
    for path in channel_files(folder):
        scored = learner.score(model, read_table(path))
        relative = path.relative_to(folder)
        with put_in_place(output / relative.with_name(f"{relative.name}.out")) as target:
            pq.write_table(scored, target, compression="zstd")
        _say(f"{relative}: {scored.num_rows} rows scored")


def read_tables(folder: Path) -> "pa.Table":
    """All Parquet files of a channel as one table.

    Raises:
        UserError: no file, or one that is not Parquet.
    """
    import pyarrow as pa

    return pa.concat_tables([read_table(path) for path in channel_files(folder)])


def read_table(path: Path) -> "pa.Table":
    """One Parquet file.

    Raises:
        UserError: it is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read()
    except pa.ArrowInvalid as error:
        raise UserError(f"{path.name} is not a Parquet file: {error}") from error


def _prepared(name: str) -> Any:
    learner = learner_named(name)
    if getattr(learner, "NEEDS_SKLEARN", False):
        sklearn.allow()
    return learner


def _say(line: str) -> None:
    print(line, flush=True)

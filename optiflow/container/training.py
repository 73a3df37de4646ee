"""`train`: from the channels to `model/` and `output/data/metrics.json`, by XGBoost or a learner of ours."""

import json
from collections.abc import Mapping

from optiflow.container.channels import CSV, read_channel
from optiflow.container.layout import Layout, put_in_place
from optiflow.container.tables import train_learner
from optiflow.errors import UserError
from optiflow.learners import LEARNER_PARAMETER
from optiflow.learners.hyperparameters import validate_hyperparameters

METRICS_FILE = "metrics.json"


def run_training(layout: Layout) -> None:
    """Train, then put metrics and model in place, the model last.

    `metrics.json` holds `metrics` (`train:rmse`, … of the model that was kept), `best_iteration`, `rounds` and
    `history` (one list a metric).

    Raises:
        UserError: the hyperparameters or the channels are wrong.
        JobFailedError: XGBoost refused to train.
    """
    if len(hosts := layout.hosts()) > 1:
        raise UserError(
            f"the job has {len(hosts)} hosts, but this program trains on one: set the instance count to 1, or use "
            "SageMaker's own XGBoost (algorithm mode), which shares the work."
        )
    raw = layout.hyperparameters()
    if LEARNER_PARAMETER in raw:
        summary = train_learner(layout, raw[LEARNER_PARAMETER])
        with put_in_place(layout.output_data / METRICS_FILE) as path:
            path.write_text(json.dumps({"metrics": summary.get("metrics", {})}))
        return
    from optiflow.learners import xgboost as learner

    params = validate_hyperparameters(raw)
    types = layout.content_types()
    weights = params.get("csv_weights") == 1
    if weights and types.get("train") != CSV:
        raise UserError(f"hyperparameter 'csv_weights' is '1': it needs a train channel of content type {CSV}.")
    train = read_channel(layout.channel("train"), types.get("train"), weights=weights)
    _say(f"Train matrix has {train.rows} rows and {train.columns} columns")
    validation = None
    if "validation" in types or layout.channel("validation").is_dir():
        validation = read_channel(layout.channel("validation"), types.get("validation"))
        _say(f"Validation matrix has {validation.rows} rows")
    elif "early_stopping_rounds" in params:
        _say("Hyperparameter early_stopping_rounds is ignored: there is no validation channel")

    booster, history = learner.train(params, train, validation, on_round=_print_round)

    metrics = {
        "metrics": history.final(),
        "best_iteration": history.best_iteration,
        "rounds": history.rounds,
        "history": history.scores,
    }
    with put_in_place(layout.output_data / METRICS_FILE) as path:
        path.write_text(json.dumps(metrics))
    with put_in_place(layout.model / learner.MODEL_FILE) as path:
        learner.save(booster, path)


def _print_round(number: int, scores: Mapping[str, float]) -> None:
    # The form of XGBoost's own monitor, which SageMaker's metric definitions are written for.
    cells = (f"\t{name.replace(':', '-', 1)}:{value:.5f}" for name, value in scores.items())
    _say(f"[{number}]{''.join(cells)}")


def _say(line: str) -> None:
    print(line, flush=True)

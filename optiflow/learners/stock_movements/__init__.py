"""The learner of `stock_movements`: StandardScaler, PCA and KMeans, and a score of how unusual a movement is.

What belongs here: what the chain calls. What does not: encodings (`encodings`), the feature matrix (`features`), the
fit (`components`), the score (`scoring`), its words (`reasons`) and the files (`files`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import MAX_INT, Number, Value

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DEFAULTS", "PARAMETERS", "REQUIREMENTS", "score", "train"]

PARAMETERS: Mapping[str, Number] = {
    "n_clusters": Number(int, 1, 64),
    "explained_variance": Number(float, 0, 1, low_open=True),
    "threshold_quantile": Number(float, 0.5, 1, high_open=True),
    "fit_rows": Number(int, 100, MAX_INT),
    "max_iterations": Number(int, 1, 10_000),
    "seed": Number(int, 0, MAX_INT),
}
"""`fit_rows`: at most so many rows, drawn at random, fit scaler, PCA and clusters. Encodings and threshold use all."""

DEFAULTS: Mapping[str, str] = {
    "n_clusters": "8",
    "explained_variance": "0.8",
    "threshold_quantile": "0.99",
    "fit_rows": "200000",
    "max_iterations": "100",
    "seed": "42",
}

REQUIREMENTS: tuple[str, ...] = ()

MIN_ROWS = 20
"""Fewer rows say nothing of what is usual."""


def check_rows(count: int) -> None:
    """Check that there are movements enough to learn from.

    Raises:
        UserError: there are fewer than 20.
    """
    if count < MIN_ROWS:
        raise UserError(
            f"{count} movements before the hold-out cannot say what is usual: at least {MIN_ROWS} are needed. Add older ones."
        )


def train(
    channels: "Mapping[str, pa.Table]", parameters: Mapping[str, Value], folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Learn what is usual from `channels['train']` and write the model into `folder`.

    Args:
        channels: `train` with the columns of `features.COLUMNS`.
        parameters: Values for all of `PARAMETERS`.
        folder: Gets `encodings.json`, `model.json` and `model.npz`.
        say: Prints a line of progress.

    Returns:
        `metrics` (threshold, share of training rows over it, explained variance), `features`, `clusters` (rows in
        each), `score_quantiles`, and counts.

    Raises:
        UserError: too few rows, or a missing number.
    """
    from optiflow.learners.stock_movements import components, encodings, features, files, scoring

    rows = channels["train"]
    check_rows(rows.num_rows)
    features.refuse_missing_numbers(rows)
    known = encodings.fit(rows)
    say(f"Encodings of {len(known.words['item_id'])} items, {len(known.words['warehouse_id'])} warehouses")
    sample = features.sampled_matrix(rows, known, int(parameters["fit_rows"]), int(parameters["seed"]))
    fitted = components.fit(sample, parameters)
    say(f"{fitted.kept} of {len(features.FEATURES)} components keep {fitted.explained:.3f} of the variance")
    scored = scoring.score_rows(rows, known, fitted)
    threshold = scoring.threshold(scored.scores, float(parameters["threshold_quantile"]))
    files.save(folder, known, fitted, threshold, parameters)
    flagged = int((scored.scores > threshold).sum())
    say(f"Threshold {threshold:.4f}: {flagged} of {rows.num_rows} training rows are above it")
    return {
        "metrics": {
            "threshold": threshold,
            "flagged_share": flagged / rows.num_rows,
            "explained_variance": fitted.explained,
        },
        "features": list(features.FEATURES),
        "rows": rows.num_rows,
        "fit_rows": sample.shape[1],
        "components": fitted.kept,
        "threshold_quantile": float(parameters["threshold_quantile"]),
        "clusters": scoring.cluster_sizes(scored.clusters, fitted),
        "score_quantiles": scoring.quantiles(scored.scores),
    }


def score(folder: Path, rows: "pa.Table") -> "pa.Table":
    """Score movements; a row's result does not depend on the other rows.

    Returns:
        `row` (int64), `date` (timestamp), `anomaly_score` (float32, 1 is the training mean), `cluster_id` (int32),
        `is_anomaly` (bool), `reasons` (string; null unless flagged), in the order of `rows`.

    Raises:
        UserError: the model's files are missing or broken, or a number is missing.
    """
    import pyarrow as pa

    from optiflow.learners.stock_movements import features, files, reasons, scoring

    model = files.load(folder)
    features.refuse_missing_numbers(rows)
    scored = scoring.score_rows(rows, model.known, model.fitted)
    flagged = scored.scores > model.threshold
    return pa.table(
        {
            "row": rows["row"],
            "date": rows["created_at"],
            "anomaly_score": pa.array(scored.scores),
            "cluster_id": pa.array(scored.clusters),
            "is_anomaly": pa.array(flagged),
            "reasons": reasons.for_flagged(rows, flagged, scored.clusters, model.known, model.fitted),
        }
    )

"""Figures of a model: errors in days, and how good chances are.

What belongs here: formulas on columns of numbers, numpy only, so that jobs and reports use the same ones. What does not:
which rows are compared.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CLIP = 1e-6
"""A chance of exactly 0 or 1 that fails would make the log-loss infinite."""


def day_errors(days: "np.ndarray", expected: "np.ndarray") -> dict[str, float]:
    """`rmse` and `mae` in days; empty without rows."""
    import numpy as np

    if not len(days):
        return {}
    error = expected - days
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.abs(error).mean())}


def log_losses(quick: "np.ndarray", chance: "np.ndarray") -> "np.ndarray":
    """-ln(chance of what happened) of each row, in nats."""
    import numpy as np

    p = np.clip(chance, CLIP, 1 - CLIP)
    return -np.where(quick, np.log(p), np.log1p(-p))


def log_loss(quick: "np.ndarray", chance: "np.ndarray") -> float:
    """The mean of `log_losses`."""
    return float(log_losses(quick, chance).mean())


def chance_figures(quick: "np.ndarray", chance: "np.ndarray", threshold: float) -> dict[str, float]:
    """`precision`, `recall`, `f1`, `log_loss`, `brier` and `share_quick`; an item is called quick from `threshold` on.

    Precision without any called item, and recall without any quick one, is 0. Empty without rows.
    """
    import numpy as np

    if not len(quick):
        return {}
    called = chance >= threshold
    hits = int((called & quick).sum())
    precision = hits / max(int(called.sum()), 1)
    recall = hits / max(int(quick.sum()), 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "log_loss": log_loss(quick, chance),
        "brier": brier(quick, chance),
        "share_quick": float(np.mean(quick)),
    }


def brier(quick: "np.ndarray", chance: "np.ndarray") -> float:
    """The mean squared distance of chances from what happened (0 or 1): 0 is perfect, 0.25 is a toss of a coin.

    Source: Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
    """
    import numpy as np

    return float(np.mean((chance - quick) ** 2))


def calibration_bins(quick: "np.ndarray", chance: "np.ndarray", bins: int = 5) -> list[dict[str, float]]:
    """Equal parts of the rows from the lowest chance to the highest: `items`, mean `chance`, `share` that came true."""
    import numpy as np

    parts = np.array_split(np.argsort(chance, kind="stable"), bins)
    return [
        {"items": float(len(part)), "chance": float(chance[part].mean()), "share": float(quick[part].mean())}
        for part in parts
        if len(part)
    ]

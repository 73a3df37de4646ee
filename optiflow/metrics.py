"""The error figures of a regression, and a model's skill against a baseline.

What belongs here: formulas on two equally long columns of numbers. What does not: which rows are compared, or words.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = pl.Series | npt.NDArray[np.number]


def regression_metrics(actual: Numbers, predicted: Numbers) -> dict[str, float | None]:
    """Error figures of predictions; with e = predicted - actual, all means over the rows.

    | key | formula | unit |
    |---|---|---|
    | `mse` | mean(e²) | target², squared |
    | `rmse` | √mse | target |
    | `mae` | mean(\\|e\\|) | target |
    | `wape` | Σ\\|e\\| / Σ\\|actual\\|; None if every actual is 0 | share of 1 |
    | `mape` | mean(\\|e / actual\\|) over the rows with actual ≠ 0; None if there is none | share of 1 |
    | `mape_excluded` | how many rows `mape` leaves out because their actual is 0 | rows |
    | `bias` | mean(e): above 0 is too high | target |
    | `r2` | 1 - Σe² / Σ(actual - mean(actual))²; None if all actuals are equal | share of 1 |

    Sources: Hyndman and Koehler, "Another look at measures of forecast accuracy", Int. J. Forecasting 22 (2006) for
    MSE to MAPE; Kolassa and Schütz, "Advantages of the MAD/MEAN ratio over the MAPE", Foresight 6 (2007) for WAPE.

    Args:
        actual: n numbers, n >= 1.
        predicted: n numbers in the same row order.

    Raises:
        ValueError: different lengths, no rows, or a value that is missing, NaN or infinite.
    """
    truth, guess = _finite("actual", actual), _finite("predicted", predicted)
    if truth.shape != guess.shape:
        raise ValueError(f"actual has {truth.size} rows, predicted has {guess.size}: they must be the same rows.")
    error = guess - truth
    absolute = np.abs(error)
    total = float(np.abs(truth).sum())
    nonzero = truth != 0
    mse = float(np.mean(error**2))
    # Not by a zero sum of squares: the mean of equal floats may differ from them in the last bit.
    varies = truth.min() != truth.max()
    spread = float(np.sum((truth - truth.mean()) ** 2)) if varies else 0.0
    return {
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "mae": float(absolute.mean()),
        "wape": float(absolute.sum()) / total if total else None,
        "mape": float(np.mean(absolute[nonzero] / np.abs(truth[nonzero]))) if nonzero.any() else None,
        "mape_excluded": int(truth.size - nonzero.sum()),
        "bias": float(error.mean()),
        "r2": 1.0 - float(np.sum(error**2)) / spread if spread else None,
    }


def skill(mse: float, baseline_mse: float) -> float | None:
    """The share of a baseline's squared error that the model takes away: 1 - mse / baseline_mse.

    1 is a model without error, 0 is no better than the baseline, below 0 is worse. None if the baseline makes no
    error, because there is nothing to take away.

    Source: Murphy, "Skill scores based on the mean square error", Monthly Weather Review 116 (1988).
    """
    return None if baseline_mse == 0 else 1.0 - mse / baseline_mse


def skill_interval(actual: Numbers, predicted: Numbers, baseline: Numbers) -> tuple[float, float] | None:
    """About 95 % of where `skill` may lie, had other rows of the same kind been held out.

    Skill ± 1.96 standard errors, where 1 - skill is a ratio of two means over the same rows: its standard error is that
    of mean(e_model² - ratio · e_baseline²), over the baseline's MSE. Rows count as independent; sales that hang
    together over days make the true interval wider.

    Source: Cochran, "Sampling Techniques", 3rd ed. (1977), section 2.11, the variance of a ratio.

    Returns:
        (low, high), or None with fewer than two rows or a baseline without error.

    Raises:
        ValueError: as `regression_metrics`.
    """
    truth, guess, naive = _finite("actual", actual), _finite("predicted", predicted), _finite("baseline", baseline)
    if not truth.size == guess.size == naive.size:
        raise ValueError(f"actual, predicted and baseline have {truth.size}, {guess.size} and {naive.size} rows.")
    naive_error, model_error = (naive - truth) ** 2, (guess - truth) ** 2
    unit = float(naive_error.mean())
    if truth.size < 2 or unit == 0:
        return None
    ratio = float(model_error.mean()) / unit
    spread = float((model_error - ratio * naive_error).std(ddof=1))
    margin = 1.96 * spread / (unit * float(np.sqrt(truth.size)))
    return 1.0 - ratio - margin, 1.0 - ratio + margin


def _finite(name: str, values: Numbers) -> npt.NDArray[np.float64]:
    if isinstance(values, pl.Series):
        values = values.cast(pl.Float64).to_numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be one column with at least one row, its shape is {array.shape}.")
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f"{name} has {int(bad.sum())} missing or infinite values, the first at row {int(bad.argmax())}."
        )
    return array

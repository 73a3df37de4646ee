"""The error figures of a regression, and a model's skill against a baseline.

What belongs here: formulas on two equally long columns of numbers. What does not: which rows are compared, or words.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = pl.Series | npt.NDArray[np.number]

FEWEST_SERIES, QUARTERS = 6, 4
LONG_WINDOW = 3 * QUARTERS
"""Periods from which on quarters are taken: of fewer than three periods each, they are no longer than what hangs together."""
FEWEST_WINDOWS = 3
"""Two windows differ by one number, and Student's quantile for that is 12.7."""


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


def skill_interval(
    actual: Numbers,
    predicted: Numbers,
    baseline: Numbers,
    *,
    periods: pl.Series | None = None,
    series: pl.DataFrame | None = None,
) -> tuple[float, float] | None:
    """About 95 % of where `skill` may lie, had other rows of the same kind been held out.

    1 - skill is a ratio of two means over the same rows: its standard error is that of mean(e_model² - ratio ·
    e_baseline²), over the baseline's MSE. Rows of one period, or of one series, err alike, so they do not count as
    independent: the variance is also that of sums per period, per series, and of both ways at once (that per period plus
    that per series less that per period and series). Forecasts from one origin go wrong for weeks on end, so sums over
    quarters of the time are taken too, where there are series and 12 periods or more. Each variance over G sums has the factor G / (G - 1) and
    Student's quantile with G - 1 degrees of freedom; both ways at once, those of the smaller G. The widest limits count.

    Sources: Cochran, "Sampling Techniques", 3rd ed. (1977), section 2.11, the variance of a ratio; Cameron, Gelbach and
    Miller, "Robust inference with multiway clustering", J. Business & Economic Statistics 29 (2011), equation 2.5;
    Ibragimov and Müller, "t-statistic based correlation and heterogeneity robust inference", ibid. 28 (2010), for quarters.

    Args:
        actual: n numbers.
        predicted: The model's, in the same row order.
        baseline: The baseline's.
        periods: The period of each row, of a type with an order; None if rows are of no time.
        series: n rows; columns that say of which series a row is. Each column by itself, and all together, group the rows
            where there are six groups or more: fewer tell too little of how groups differ.

    Returns:
        (low, high), or None with fewer than two rows, rows of a single period, or a baseline without error.

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
    times = None if periods is None else _codes(periods.to_frame())
    if times is not None and times.max() == 0:
        return None
    ratio = float(model_error.mean()) / unit
    parts = (model_error - ratio * naive_error) / (unit * truth.size)
    margin = max(_quantile(groups) * math.sqrt(variance) for variance, groups in _variances(parts, times, series))
    return 1.0 - ratio - margin, 1.0 - ratio + margin


def next_skill_interval(limits: tuple[float, float], past: Sequence[float] = ()) -> tuple[float, float]:
    """About 95 % of where the skill on the next rows, as many and as long a time as these, may lie.

    They have their own chance, so the limits are √2 times as wide. What whole windows have in common, such as a season or
    a change of level, cannot be seen within one of them: with the skill at two or more past origins the limits are at
    least as wide as skills of windows differ, Student's quantile times √2 times their standard deviation.

    Source: Hahn and Meeker, "Statistical Intervals" (1991), section 4.7: the interval for one more observation.

    Args:
        limits: As `skill_interval` gives them.
        past: The model's skill over windows of the same length from earlier origins.
    """
    low, high = limits
    middle, margin = (low + high) / 2, (high - low) / 2 * math.sqrt(2)
    windows = np.array([middle, *past])
    if windows.size >= FEWEST_WINDOWS:
        margin = max(margin, _quantile(windows.size) * math.sqrt(2) * float(windows.std(ddof=1)))
    return middle - margin, middle + margin


def _variances(
    parts: npt.NDArray[np.float64], times: npt.NDArray[np.int64] | None, series: pl.DataFrame | None
) -> Iterator[tuple[float, int]]:
    """Variances of the sum of `parts`, each with how many groups it stands on."""
    alone = _of_sums(parts, np.arange(parts.size))
    yield alone
    by_time = None if times is None else _of_sums(parts, times)
    if by_time is not None:
        yield by_time
    for columns in _kinds(series):
        place = _codes(columns)
        by_place = _of_sums(parts, place)
        if by_place[1] < FEWEST_SERIES:
            continue
        yield by_place
        if by_time is not None and times is not None:
            both = _of_sums(parts, times * by_place[1] + place)
            yield max(by_time[0] + by_place[0] - both[0], 0.0), min(by_time[1], by_place[1])
    if times is not None and series is not None and times.max() + 1 >= LONG_WINDOW:
        yield _of_sums(parts, times * QUARTERS // (times.max() + 1))


def _of_sums(parts: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> tuple[float, int]:
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, parts)
    return float((sums**2).sum()) * sums.size / max(sums.size - 1, 1), sums.size


def _kinds(series: pl.DataFrame | None) -> Iterator[pl.DataFrame]:
    if series is not None and series.width:
        yield series
        if series.width > 1:
            yield from (series.select(name) for name in series.columns)


def _codes(columns: pl.DataFrame) -> npt.NDArray[np.int64]:
    """0, 1, … for the distinct rows, in their order."""
    return columns.select(pl.struct(pl.all()).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _quantile(groups: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(groups - 1, 0.975))


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

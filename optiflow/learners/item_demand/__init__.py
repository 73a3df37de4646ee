"""Daily demand per store and item: LightGBM on top of a closed-form multiplicative model, with conformal intervals.

What belongs here: the learner's parameters and its two doors. What does not: how it works (the package's modules, which
load numpy and LightGBM and are therefore imported by the doors alone).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import MAX_INT, Choice, Number, Pattern, Value

if TYPE_CHECKING:
    import pyarrow as pa

PARAMETERS: Mapping[str, Number | Choice | Pattern] = {
    "horizon": Number(int, 1, 364),
    "gaps": Choice(("auto", "zero", "unknown")),
    "closed_after": Number(int, 7, 3650),
    "min_history": Number(int, 7, 3650),
    "num_round": Number(int, 1, 10_000),
    "early_stopping_rounds": Number(int, 1, 10_000),
    "learning_rate": Number(float, 0, 1, low_open=True),
    "num_leaves": Number(int, 2, 4096),
    "max_rows": Number(int, 1000, MAX_INT),
    "seed": Number(int, 0, MAX_INT),
    "nthread": Number(int, 0, 512),
}
"""`horizon`, `closed_after` and `min_history` are days. `gaps` says what a day without a row means; `auto` takes it for
zero sales where the file has no zero at all and lacks over 5 % of the days. `max_rows` bounds what LightGBM learns
from; `nthread` 0 is two threads, or one on a machine with one core."""

DEFAULTS: Mapping[str, str] = {
    "horizon": "90",
    "gaps": "auto",
    "closed_after": "28",
    "min_history": "56",
    "num_round": "400",
    "early_stopping_rounds": "25",
    "learning_rate": "0.05",
    "num_leaves": "31",
    "max_rows": "300000",
    "seed": "42",
    "nthread": "0",
}

REQUIREMENTS: tuple[str, ...] = ("lightgbm>=4.5,<5",)

LEAST_DAYS = 28

GAPS_MEAN_ZERO = 0.05
"""With more days missing than this share, and no zero anywhere, a file holds only the days that had a sale."""


def gaps_mean_zero(gaps: str, missing: int, days: int, zeros: int) -> bool:
    """Whether days without a row count as days without sales.

    Args:
        gaps: The hyperparameter: `zero`, `unknown` or `auto`.
        missing: Days of series without a row, from each series' first row on.
        days: Those days with and without a row.
        zeros: Rows with zero sales.
    """
    return gaps == "zero" or (gaps == "auto" and zeros == 0 and missing > GAPS_MEAN_ZERO * days)


def check_history(days: int, sold: bool) -> None:
    """Check that there is something to learn from.

    Args:
        days: What the rows to learn from span.
        sold: Whether any of them has a sale.

    Raises:
        UserError: fewer than 28 days, or no sale.
    """
    if days < LEAST_DAYS:
        raise UserError(
            f"the history before the hold-out spans {days} days: item_demand needs at least {LEAST_DAYS}. Add older days."
        )
    if not sold:
        raise UserError(
            "every row before the hold-out has 0 sales: there is nothing to forecast from. Check the export, or add days."
        )


def train(
    channels: Mapping[str, "pa.Table"], parameters: Mapping[str, Value], folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Choose and fit a model, and write it into `folder`.

    Args:
        channels: `train` has `date` (date32), `store` and `item` (string) and `sales` (float64); item-days that come
            twice are added up.
        parameters: Values of `PARAMETERS`; what is missing is taken from `DEFAULTS`.
        folder: Where the model's files go.
        say: Prints a line of progress.

    Returns:
        The summary, see `training.fit`.

    Raises:
        UserError: the history is too short, or nothing was ever sold.
    """
    from optiflow.learners.item_demand.training import fit

    defaults = {name: PARAMETERS[name].parse(text) for name, text in DEFAULTS.items()}
    return fit(channels["train"], {**defaults, **parameters}, folder, say)


def score(folder: Path, rows: "pa.Table") -> "pa.Table":
    """Forecast the rows without sales from those with sales.

    Args:
        folder: Where `train` wrote the model.
        rows: As the channel `train`, and `row` (int64, may be null) if there is one. Rows with null `sales` are the
            ones to forecast; they come after the last day with sales.

    Returns:
        One row per row to forecast, in their order: `row`, `store`, `item`, `date`, `predicted`, `lo_95`, `lo_80`,
        `hi_80`, `hi_95` (units a day, float64), `method` (string).

    Raises:
        UserError: a row lies beyond the horizon or before the end of the history, or there is no history.
    """
    from optiflow.learners.item_demand.scoring import forecast

    return forecast(folder, rows)

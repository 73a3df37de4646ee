"""Weekly sales per store, several weeks ahead: candidates judged on rolling origins, the winner with conformal intervals.

What belongs here: the learner's parameters and its two doors. What does not: how it works (the package's modules, which
load numpy and the forecasting libraries and are therefore imported by the doors alone).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import MAX_INT, Choice, Number, Pattern, Value, parse_hyperparameters
from optiflow.learners.store_sales.names import FEWEST_WEEKS

if TYPE_CHECKING:
    import pyarrow as pa

PARAMETERS: Mapping[str, Number | Choice | Pattern] = {
    "horizon": Number(int, 1, 52),
    "origins": Number(int, 1, 12),
    "date_is": Choice(("week_end", "week_start")),
    "trials": Number(int, 0, 200),
    "trees": Number(int, 1, 2000),
    "seed": Number(int, 0, MAX_INT),
    "nthread": Number(int, 0, 512),
}
"""`horizon` is the weeks ahead that candidates are judged by; `origins` how many times (at most). `date_is` says which
day of its week a row names. `trials` are optuna's, `trees` the most trees of each ensemble; `nthread` is the
processes in which stores are fitted; 0 is two, or one on a machine with one core."""

DEFAULTS: Mapping[str, str] = {
    "horizon": "12",
    "origins": "3",
    "date_is": "week_end",
    "trials": "8",
    "trees": "200",
    "seed": "42",
    "nthread": "0",
}

REQUIREMENTS: tuple[str, ...] = ("statsforecast>=2,<3", "mlforecast>=1,<2", "optuna>=4,<6")
NEEDS_SKLEARN = True


def check_weeks(weeks: int) -> None:
    """Check that there is something to learn from.

    Raises:
        UserError: the rows to learn from span fewer than five weeks.
    """
    if weeks < FEWEST_WEEKS:
        raise UserError(
            f"the history before the hold-out has {weeks} weeks: at least {FEWEST_WEEKS} are needed to forecast. Add older "
            "weeks."
        )


def train(
    channels: Mapping[str, "pa.Table"], parameters: Mapping[str, Value], folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Judge the candidates on rolling origins, fit the champion, and write it into `folder`.

    Args:
        channels: `train` has `store` (string), `date` (date32) and `sales` (float64); further columns are not used,
            since nobody knows them for the weeks ahead.
        parameters: Values of `PARAMETERS`; what is missing is taken from `DEFAULTS`.
        folder: Where the model's files go.
        say: Prints a line of progress.

    Returns:
        The summary, see `training.fit`.

    Raises:
        UserError: a store-week comes twice, or the longest history is too short.
    """
    from optiflow.learners.store_sales.training import fit

    return fit(channels["train"], {**parse_hyperparameters(PARAMETERS, DEFAULTS), **parameters}, folder, say)


def score(folder: Path, rows: "pa.Table") -> "pa.Table":
    """Forecast the rows without sales from those with sales.

    Args:
        folder: Where `train` wrote the model.
        rows: As the channel `train`, and `row` (int64, may be null) if there is one. Rows with null `sales` are the
            ones to forecast; each comes after its store's last week with sales. A store without sales gets the level of
            the others.

    Returns:
        One row per row to forecast, in their order: `row`, `store`, `date`, `predicted`, `lo_95`, `lo_80`, `hi_80`,
        `hi_95` (float64, in units of sales), `method` (string).

    Raises:
        UserError: no row has sales, or a row to forecast does not come after its store's last week with sales.
    """
    from optiflow.learners.store_sales.scoring import forecast

    return forecast(folder, rows)

"""Columns that tell the target too well: computed from it, or what it is computed from.

A model that is given them looks excellent and is of no use, since they are not known when one predicts. What belongs here:
finding them among the training rows. What does not: columns that serve as no features for other reasons (`features`).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

import numpy as np
import polars as pl

from optiflow.column_names import by_likelihood_as_target
from optiflow.proposals import option_line
from optiflow.report.wording import MINUS, number

ALONE = 0.9
"""A column that explains so much of the target's variation alone, by size or by rank, is asked about."""

EXACT, RELATIVE, ROUNDED = 0.95, 1e-3, 0.0051
"""In so many rows a reckoning gives the target, up to a thousandth or a cent."""

ROWS, PAIRS_OF, TRIPLES_OF, SHOWN = 5_000, 40, 12, 3

Reckoning = Callable[..., np.ndarray]
OF_TWO: dict[str, Reckoning] = {
    "{} times {}": lambda a, b: a * b,
    "{} plus {}": lambda a, b: a + b,
}
OF_TWO_IN_ORDER: dict[str, Reckoning] = {"{} ÷ {}": lambda a, b: a / b, "{} less {}": lambda a, b: a - b}
OF_THREE: dict[str, Reckoning] = {
    "{} times {} less {}": lambda a, b, c: a * b - c,
    "{} times {} plus {}": lambda a, b, c: a * b + c,
    f"{{}} times {{}} times (1 {MINUS} {{}})": lambda a, b, c: a * b * (1 - c),
}


def leaks(rows: pl.DataFrame, columns: Sequence[str], target: str) -> tuple[list[str], list[str]]:
    """What tells the target, in words, and the columns concerned.

    Args:
        rows: Rows to learn from.
        columns: The number columns among the features.
        target: The column to predict.

    Returns:
        Phrases such as `Forecast alone (R² 0.98)` or `Price times Quantity`, the clearest first; and the columns to leave out.
    """
    known = rows.select(target, *(name for name in columns if name != target)).cast(pl.Float64)
    known = known.filter(pl.col(target).is_finite())
    sample = known.sample(min(known.height, ROWS), seed=0)
    actual = sample[target].to_numpy()
    if len(actual) < 20 or np.ptp(actual) == 0:
        return [], []
    values = {name: sample[name].to_numpy() for name in sample.columns[1:]}
    alone = {name: _explained(column, actual) for name, column in values.items()}
    clear = sorted((name for name in alone if alone[name] >= ALONE), key=lambda name: -alone[name])
    said, concerned = [f"{name} alone (R² {number(min(alone[name], 0.9999))})" for name in clear], list(clear)
    for phrase, names in _reckonings({n: v for n, v in values.items() if n not in clear}, actual):
        said.append(phrase)
        # One is enough, and the amount rather than the price.
        if not set(names) & set(concerned):
            concerned.append(by_likelihood_as_target(names)[0])
    return said, concerned


def caution(rows: pl.DataFrame, columns: Sequence[str], target: str) -> str | None:
    """A sentence for wherever the model is praised; None where no column tells the target."""
    said, concerned = leaks(rows, columns, target)
    if not said:
        return None
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return (
        f"But {target} can be told from {', '.join(said[:SHOWN])}{more}. If that is not known when you predict, such as what "
        f"is computed from {target}, these figures are worth nothing: leave it out by "
        f"`{option_line('drop_columns', concerned[: 2 * SHOWN])}`."
    )


def _explained(column: np.ndarray, actual: np.ndarray) -> float:
    known = np.isfinite(column)
    x, y = column[known], actual[known]
    if known.mean() < EXACT or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x_rank, y_rank = (pl.Series(part).rank().to_numpy() for part in (x, y))
    return float(max(np.corrcoef(x, y)[0, 1] ** 2, np.corrcoef(x_rank, y_rank)[0, 1] ** 2))


def _reckonings(values: dict[str, np.ndarray], actual: np.ndarray) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What gives the target; of three columns only where no two do."""
    names = [name for name, column in values.items() if np.unique(column[np.isfinite(column)]).size > 1]
    tried = [(OF_TWO, combinations(names[:PAIRS_OF], 2)), (OF_TWO_IN_ORDER, permutations(names[:PAIRS_OF], 2))]
    found = False
    for reckonings, groups in tried:
        for group in groups:
            for phrase, reckon in reckonings.items():
                if _gives(reckon, [values[name] for name in group], actual):
                    found = True
                    yield phrase.format(*group), group
    if found:
        return
    for first, second in combinations(names[:TRIPLES_OF], 2):
        for third in names[:TRIPLES_OF]:
            for phrase, reckon in OF_THREE.items() if third not in (first, second) else ():
                if _gives(reckon, [values[name] for name in (first, second, third)], actual):
                    yield phrase.format(first, second, third), (first, second, third)


def _gives(reckon: Reckoning, parts: Sequence[np.ndarray], actual: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        off = np.abs(reckon(*parts) - actual)
        return bool(np.mean(off <= RELATIVE * np.abs(actual) + ROUNDED) >= EXACT)

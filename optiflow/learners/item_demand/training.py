"""Training: candidates judged on the last days of the history, and the champion fitted on all of it.

What belongs here: who competes, on which days, and what is kept. What does not: the models themselves.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optiflow.learners.item_demand import check_history
from optiflow.learners.item_demand.accuracy import accuracy, recent_mean, seasonal_naive
from optiflow.learners.item_demand.boosting import corrected, learn
from optiflow.learners.item_demand.features import FEATURES, features
from optiflow.learners.item_demand.grid import YEAR, Array, Grid, read_grid
from optiflow.learners.item_demand.intervals import calibrate
from optiflow.learners.item_demand.kinds import CLOSED, DISCONTINUED, KINDS, MEANINGS, NEW, SHORT, kinds
from optiflow.learners.item_demand.multiplicative import LATEST, RECENT, STEPS, Multiplicative, fit_multiplicative
from optiflow.learners.item_demand.past_totals import past_totals

if TYPE_CHECKING:
    import pyarrow as pa
    from lightgbm import Booster

MODEL_FILE, TREES_FILE = "item-demand.json", "lightgbm.txt"
NAIVE, FLAT, LIGHTGBM = "seasonal naive", "mean of the last 28 days", "LightGBM"
GROWTHS = (STEPS, RECENT, LATEST)


def fit(table: "pa.Table", parameters: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Fit and write a model.

    What has the least squared error is chosen, since the mean has: the absolute error and the shares of it are least for
    the median, which is 0 for what sells on fewer than half of the days. The multiplicative model's kind of growth is chosen on two windows of `horizon` days: the last one, and the same
    season a year before. LightGBM then competes on the last window alone. It has learned from days before that window,
    and was stopped early on days before it too. The window also calibrates the intervals.

    Returns:
        `metrics` (the champion's, `validation:wape`, …), `candidates` (name, figures, whether it is the champion or could
        have been, a `rival`; the others are there to compare),
        `chosen`, `kinds` (kind, series, meaning), `counts`, `window` (first and last day), `features`, `notes`,
        `totals` (see `past_totals`).

    Raises:
        UserError: under 28 days of history, or nothing sold.
    """
    grid, _ = read_grid(table, str(parameters["gaps"]))
    check_history(grid.days, bool(grid.sales.any()))
    horizon = int(parameters["horizon"])
    window = min(horizon, grid.days // 4)
    origin = grid.days - window
    known = grid.until(origin)
    say(f"{grid.series} series of {len(grid.stores)} stores and {len(grid.items)} items, {grid.days} days")

    growth = _choose_growth(grid, window)
    models = {name: fit_multiplicative(known, name) for name in GROWTHS}
    base = models[growth]
    rates = {f"multiplicative, {name}": model.rate(known, origin, grid.days) for name, model in models.items()}
    trees = learn(known, growth, horizon, parameters)
    if trees:
        rates[LIGHTGBM] = corrected(trees[0], *features(known, base, window))
        say(f"LightGBM stopped after {trees[1]} trees")
    kind = kinds(known, int(parameters["closed_after"]), int(parameters["min_history"]))
    naive = {FLAT: recent_mean(known, window), NAIVE: seasonal_naive(known, window)}
    made = {**{name: give_up(rate, kind) for name, rate in rates.items()}, **naive}
    judged = {name: accuracy(grid.sales[:, origin:], rate, grid.seen[:, origin:]) for name, rate in made.items()}
    for name, figures in judged.items():
        say(f"{name}: validation rmse {figures['rmse']:.4f} total {figures['total']:+.4f} wape {figures['wape']:.4f}")

    rivals = [f"multiplicative, {growth}", *([LIGHTGBM] if trees else [])]
    champion = min(rivals, key=lambda name: judged[name]["rmse"])
    say(f"Champion: {champion}")
    quantiles = _calibrated(grid, origin, rates[champion], base, kind)
    model = {
        "champion": LIGHTGBM if champion == LIGHTGBM else "multiplicative",
        "growth": growth,
        "horizon": horizon,
        "quantiles": quantiles,
        "stores": list(grid.stores),
        "items": list(grid.items),
        "gaps": "zero" if grid.zero_gaps else "unknown",
        "closed_after": int(parameters["closed_after"]),
        "min_history": int(parameters["min_history"]),
    }
    if champion == LIGHTGBM and trees:
        final = learn(grid, growth, horizon, parameters, rounds=trees[1])
        _write_trees(final[0] if final else trees[0], trees[1], folder)
    (folder / MODEL_FILE).write_text(json.dumps(model, indent=1))
    totals = past_totals(grid, growth, horizon)
    return {**_summary(grid, parameters, judged, (champion, rivals), (origin, trees)), "totals": totals}


def give_up(rate: Array, kind: Array) -> Array:
    """The rates with those of closed stores and discontinued items at 0."""
    return np.where(((kind == CLOSED) | (kind == DISCONTINUED))[:, None], 0.0, rate)


def _choose_growth(grid: Grid, window: int) -> str:
    """The kind of growth with the least squared error over the last window and that of a year before, if long known."""
    starts = [grid.days - window, *([grid.days - YEAR] if grid.days >= 2 * YEAR else [])]
    # The level of four weeks cannot be told from the season of those weeks, which is known only after a year.
    error = dict.fromkeys((STEPS, RECENT) if grid.days - window >= YEAR else (RECENT, LATEST), 0.0)
    for start in starts:
        known, span = grid.until(start), slice(start, start + window)
        for growth in error:
            rate = fit_multiplicative(known, growth).rate(known, start, start + window)
            error[growth] += float(((grid.sales[:, span] - rate) ** 2 * grid.seen[:, span]).sum())
    return min(error, key=lambda growth: error[growth])


def _calibrated(grid: Grid, origin: int, rate: Array, base: Multiplicative, kind: Array) -> dict[str, Any]:
    live = (kind != CLOSED) & (kind != DISCONTINUED) & (kind != NEW)
    sold, seen = grid.sales[live, origin:], grid.seen[live, origin:]
    return dict(calibrate(sold, rate[live], seen, base.dispersion[live], kind[live]))


def _write_trees(booster: "Booster", rounds: int, folder: Path) -> None:
    (folder / TREES_FILE).write_text(booster.model_to_string(num_iteration=rounds))


def _summary(
    grid: Grid,
    parameters: Mapping[str, Any],
    judged: Mapping[str, Mapping[str, float]],
    choice: tuple[str, Sequence[str]],
    training: "tuple[int, tuple[Booster, int] | None]",
) -> dict[str, Any]:
    origin, trees = training
    champion, rivals = choice
    kind = kinds(grid, int(parameters["closed_after"]), int(parameters["min_history"]))
    number = np.bincount(kind, minlength=len(KINDS))
    first = np.datetime64(grid.first, "D")
    notes = []
    if grid.gaps:
        meaning = "zero sales" if grid.zero_gaps else "unknown"
        notes.append(f"{grid.gaps:,} days of series have no row; they count as {meaning} (hyperparameter gaps).")
    if trees is None:
        notes.append("The history is too short for LightGBM to learn from earlier origins.")
    notes += [
        f"{number[place]:,} of {grid.series:,} series are {KINDS[place]}: {MEANINGS[KINDS[place]]}."
        for place in (SHORT, DISCONTINUED, CLOSED)
        if number[place]
    ]
    return {
        "metrics": {f"validation:{name}": value for name, value in judged[champion].items()},
        "candidates": [
            {"name": name, **figures, "champion": name == champion, "rival": name in rivals}
            for name, figures in sorted(judged.items(), key=lambda entry: entry[1]["rmse"])
        ],
        "chosen": champion,
        "kinds": [
            {"kind": name, "series": int(count), "meaning": MEANINGS[name]}
            for name, count in zip(KINDS, number, strict=True)
            if count
        ],
        "counts": {
            "series": grid.series,
            "stores": len(grid.stores),
            "items": len(grid.items),
            "days": grid.days,
            "gaps": grid.gaps,
            "zero_sales": int(((grid.sales == 0) & (grid.seen > 0)).sum()),
            "trees": trees[1] if trees else 0,
        },
        "window": [str(first + origin), str(first + grid.days - 1)],
        "features": list(FEATURES),
        "notes": notes,
    }

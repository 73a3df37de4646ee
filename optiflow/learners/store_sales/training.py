"""Training: the candidates are judged on past origins, the champion and its intervals are kept.

What belongs here: the order of the steps, and the summary. What does not: the steps.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from optiflow.learners.hyperparameters import Value
from optiflow.learners.store_sales import check_weeks, fallback
from optiflow.learners.store_sales.all_stores import ahead
from optiflow.learners.store_sales.candidates import MEAN, SINGLE, TREES, Fitted
from optiflow.learners.store_sales.history import prepare, seasonal
from optiflow.learners.store_sales.intervals import learn_bands
from optiflow.learners.store_sales.misses import mean_miss
from optiflow.learners.store_sales.model import Model
from optiflow.learners.store_sales.names import FEWEST_WEEKS, in_words
from optiflow.learners.store_sales.panel import Panel, read_panel
from optiflow.learners.store_sales.past_totals import past_totals, told, total_off
from optiflow.learners.store_sales.per_store import processes
from optiflow.learners.store_sales.seasonal_growth import choose_growth
from optiflow.learners.store_sales.trees import LAGS, MEANS, Trees, tune
from optiflow.learners.store_sales.validation import (
    DENSE_ORIGINS,
    DENSE_STEP,
    STEP,
    Past,
    choose,
    judge,
    mape,
    mape_at,
    past_errors,
    past_origins,
    past_skills,
    useful,
)

Say = Callable[[str], None]


def fit(rows: pa.Table, parameters: Mapping[str, Value], folder: Path, say: Say) -> dict[str, Any]:
    """Train on rows with `store`, `date` and `sales`, and write the model into `folder`.

    Returns:
        `metrics` (validation MAPE of the champion and of the seasonal naive), `chosen`, `members` (of a mean),
        `candidates` (name, MAPE, MAPE at each origin; best first), `origins` (dates), `past_skills` (see
        there), `totals` (see `past_totals`), counts of stores, weeks and filled weeks, `short_stores` (names, forecast by
        `fallback`), `growth`, `trees`, `features` and `notes`.

    Raises:
        UserError: a store-week comes twice, or no store has five weeks.
    """
    panel = read_panel(rows)
    check_weeks(panel.weeks)
    horizon, date_is = int(parameters["horizon"]), str(parameters["date_is"])
    say(f"{len(panel.stores)} stores, {panel.weeks} weeks from {panel.first}, {panel.filled()} weeks filled")
    pasts = past_origins(panel, horizon, int(parameters["origins"]), STEP, date_is)
    if not pasts:
        return _fit_fallback(panel, horizon, date_is, folder, say)

    dense = past_origins(panel, horizon, DENSE_ORIGINS, DENSE_STEP, date_is)
    growth = choose_growth([(past.history, past.actual) for past in dense])
    most_trees, seed = int(parameters["trees"]), int(parameters["seed"])
    judged = [(past.history, past.actual) for past in pasts]
    shape = tune(judged, growth.older, int(parameters["trials"]), most_trees, seed, say)
    fitted_at = [Fitted(growth, Trees(shape, most_trees, seed).fit(past.history)) for past in pasts]
    forecasts = judge(pasts, fitted_at, SINGLE, processes(int(parameters["nthread"])))
    scores = {name: mape(pasts, values) for name, values in forecasts.items()}
    champion = choose(pasts, forecasts)
    members = useful(pasts, forecasts) if champion == MEAN else [champion]
    for name in sorted(scores, key=scores.__getitem__):
        say(f"{name}: MAPE {scores[name]:.2%} over {len(pasts)} past origins")

    with_season = panel.columns(seasonal(panel))
    trees = Trees(shape, most_trees, seed)
    if TREES in members:
        trees.fit(prepare(with_season, horizon, date_is)).save(folder)
    bands = learn_bands(past_errors(pasts, forecasts[champion], panel.stores), panel.stores)
    simple = learn_bands(_fallback_errors(panel, pasts, forecasts[champion]), panel.stores)
    Model(champion, tuple(members), growth, trees, date_is, bands, simple).save(folder)
    short = [store for store in panel.stores if store not in with_season.stores]
    champions = {past.origin: values for past, values in zip(pasts, forecasts[champion], strict=True)}
    return {
        **_counts(panel, short, fallback.method(len(with_season.stores))),
        "metrics": {"mape": scores[champion], "mape_seasonal_naive": scores["seasonal_naive"]},
        "chosen": champion,
        "members": members,
        "candidates": [
            {"name": name, "mape": scores[name], "by_origin": list(map(mape_at, pasts, forecasts[name]))}
            for name in sorted(scores, key=scores.__getitem__)
        ],
        "origins": [panel.day(past.origin - 1).isoformat() for past in pasts],
        "past_skills": past_skills(pasts, forecasts, champion),
        "totals": past_totals(panel, horizon, date_is, growth, champions),
        "horizon": horizon,
        "growth": growth.to_json(),
        "trees": shape.to_json(),
        "features": _features(shape.calendar),
    }


def _fit_fallback(panel: Panel, horizon: int, date_is: str, folder: Path, say: Say) -> dict[str, Any]:
    """No store has a season and weeks to judge it by: all are forecast by their recent level."""
    steps = min(horizon, panel.weeks - FEWEST_WEEKS + 1)
    errors, totals = [], []
    for origin in range(FEWEST_WEEKS - 1, panel.weeks - steps + 1):
        before = panel.until(origin)
        made, _ = ahead(before, steps, date_is, None)
        totals.append(told(panel, origin, total_off(panel, origin, made)))
        columns = [panel.stores.index(store) for store in before.stores]
        after = slice(origin, origin + steps)
        error = np.full((steps, len(panel.stores)), np.nan)
        error[:, columns] = np.where(panel.known[after], panel.logs[after], np.nan)[:, columns] - made
        errors.append(error)
    found = np.stack(errors)
    score = mean_miss(-found)
    say(f"no store has history enough for a season: {fallback.LEVEL}, MAPE {score:.2%}")
    bands = learn_bands(found, panel.stores)
    Model(fallback.LEVEL, (), None, None, date_is, bands, bands).save(folder)
    return {
        **_counts(panel, list(panel.stores), fallback.LEVEL),
        "metrics": {"mape": score},
        "chosen": fallback.LEVEL,
        "members": [],
        "candidates": [{"name": fallback.LEVEL, "mape": score, "by_origin": []}],
        "origins": [],
        "totals": totals,
        "horizon": horizon,
        "features": [],
    }


def _fallback_errors(panel: Panel, pasts: list[Past], forecasts: list[np.ndarray]) -> np.ndarray:
    """What the fallback would have erred by, had it been given each store's last weeks only."""
    made = [
        fallback.recent_level(past.history.panel, past.history.steps, past.history.panel.logs, forecast)
        for past, forecast in zip(pasts, forecasts, strict=True)
    ]
    return past_errors(pasts, made, panel.stores)


def _features(calendar: bool) -> list[str]:
    lags = [f"growth {lag} weeks before" for lag in LAGS] + [f"mean growth of {weeks} weeks" for weeks in MEANS]
    known = ["week before Easter", "first days of a month", "days before Christmas", "same week of last year"]
    return [*known, *lags, "store", *(("month", "week of the year") if calendar else ())]


def _counts(panel: Panel, short: list[str], method: str) -> dict[str, Any]:
    filled, notes = panel.filled(), []
    if filled:
        notes.append(
            f"{filled} missing store-weeks were filled (closed and absurd weeks count as missing): a gap by the same weeks of "
            "another year, brought to its level, or by the straight line between its neighbours (of logarithms); weeks missing "
            "at the end by last year's same week."
        )
    if short:
        notes.append(
            f"{len(short)} {'store' if len(short) == 1 else 'stores'} with too short a history: forecast by a simpler model, "
            f"{in_words(method).lower()}."
        )
    counts = {"stores": len(panel.stores), "weeks": panel.weeks, "filled_weeks": filled}
    counts |= {"closed_weeks": int(panel.odd.closed.sum()), "absurd_weeks": int(panel.odd.absurd.sum())}
    return {**counts, "short_stores": short, "fallback": method, "notes": notes}

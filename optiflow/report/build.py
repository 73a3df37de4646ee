"""From predictions and facts to a `Report`: the comparison of the model with its baselines.

What belongs here: putting a report together. What does not: formulas (`optiflow.metrics`) and words (`verdict`).
"""

from collections.abc import Mapping
from datetime import date
from typing import cast

import polars as pl

from optiflow.metrics import regression_metrics, skill, skill_interval
from optiflow.report.model import SCHEMA_VERSION, BaselineScore, Contribution, Outcome, Period, Report, RunFacts
from optiflow.report.verdict import judge, verdict, warnings_of

KEPT_CONTRIBUTIONS = 30


def build_report(
    facts: RunFacts,
    predictions: pl.DataFrame,
    baselines: Mapping[str, pl.Series],
    contributions: Mapping[str, float],
) -> Report:
    """Judge predictions on the test set.

    Args:
        facts: What the run knows already.
        predictions: One row per test row, with `actual` and `predicted` (numbers, none missing) and `date` (Date or
            Datetime, may be missing or absent); other columns are ignored.
        baselines: Baseline name -> its predictions for the same rows in the same order; at least one.
        contributions: Feature -> mean |SHAP| in units of the target. The largest 30 are kept.

    Raises:
        ValueError: no baseline, a row count that differs from `facts.rows.test`, or missing numbers.
    """
    if not baselines:
        raise ValueError("A report needs at least one baseline.")
    if predictions.height != facts.rows.test:
        raise ValueError(f"{predictions.height} predictions for {facts.rows.test} test rows.")
    metrics = regression_metrics(predictions["actual"], predictions["predicted"])
    scores = [_score(name, predictions, values, metrics) for name, values in baselines.items()]
    best = min(scores, key=lambda score: cast(float, score.metrics["mse"]))
    test_period = _period(predictions)
    outcome = judge(metrics, best)
    sentence = verdict(outcome, metrics, best, facts.target, facts.rows.test)
    mean_actual = float(predictions["actual"].cast(pl.Float64).to_numpy().mean())
    largest = sorted(contributions.items(), key=lambda item: (-item[1], item[0]))[:KEPT_CONTRIBUTIONS]
    return Report(
        **vars(facts),
        schema_version=SCHEMA_VERSION,
        test_period=test_period,
        metrics=metrics,
        baselines=tuple(sorted(scores, key=lambda score: cast(float, score.metrics["mse"]))),
        best_baseline=best.name,
        skill=best.skill,
        contributions=tuple(Contribution(feature, value) for feature, value in largest),
        outcome=outcome,
        verdict=sentence,
        warnings=(
            *([sentence] if outcome is not Outcome.BETTER else []),
            *warnings_of(facts, metrics, test_period, mean_actual),
        ),
    )


def _score(name: str, predictions: pl.DataFrame, values: pl.Series, model: Mapping[str, float | None]) -> BaselineScore:
    metrics = regression_metrics(predictions["actual"], values)
    low, high = skill_interval(predictions["actual"], predictions["predicted"], values) or (None, None)
    value = skill(cast(float, model["mse"]), cast(float, metrics["mse"]))
    return BaselineScore(name, metrics, value, low, high)


def _period(predictions: pl.DataFrame) -> Period | None:
    if "date" not in predictions.columns:
        return None
    days = predictions["date"].cast(pl.Date).drop_nulls()
    return Period(cast(date, days.min()), cast(date, days.max())) if days.len() else None

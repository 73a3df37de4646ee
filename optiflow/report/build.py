"""From predictions and facts to a `Report`: the comparison of the model with its baselines.

What belongs here: putting a report together. What does not: formulas (`optiflow.metrics`) and words (`verdict`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

import polars as pl

from optiflow.metrics import next_skill_interval, regression_metrics, skill, skill_interval
from optiflow.report.extras import Extras
from optiflow.report.judged import dated_rows
from optiflow.report.model import (
    SCHEMA_VERSION,
    BaselineScore,
    Contribution,
    Outcome,
    Period,
    Report,
    RunFacts,
    TableFile,
)
from optiflow.report.tables import plain_table
from optiflow.report.verdict import (
    NOTHING_TO_JUDGE,
    almost_exact,
    judge,
    verdict,
    warnings_of,
    warnings_on_errors,
    warnings_on_missing,
    what_to_do,
)

KEPT_CONTRIBUTIONS = 30
NO_EXTRAS = Extras()


@dataclass(frozen=True)
class _Judgement:
    metrics: dict[str, float | None]
    baselines: tuple[BaselineScore, ...]
    outcome: Outcome
    verdict: str
    warnings: tuple[str, ...]


def build_report(
    facts: RunFacts,
    predictions: pl.DataFrame | None,
    baselines: Mapping[str, pl.Series],
    contributions: Mapping[str, float],
    extras: Extras = NO_EXTRAS,
) -> Report:
    """Judge predictions on the test set, and add what only this pipeline shows.

    Args:
        facts: What the run knows already.
        predictions: One row per test row, fewer where some could not be predicted, with `actual` and `predicted` (numbers; `actual` may be null for what has not
            happened yet, and such rows are not judged) and `date` (Date or Datetime, may be missing or absent; else the
            options' `date_column` is taken); other columns are ignored. None where there is no truth to judge by.
        baselines: Baseline name -> its predictions for the same rows in the same order; at least one, none without
            predictions.
        contributions: Feature -> mean |SHAP| in units of the target. The largest 30 are kept.
        extras: The pipeline's own part. Its verdict is needed, and used, only without predictions; its judgement, with
            them, takes the place of the comparison of squared errors.

    Raises:
        ValueError: no baseline, more rows than `facts.rows.test`, missing numbers, no verdict where
            `extras` must give it, or a table whose rows do not fit its header.
    """
    if predictions is None:
        judgement, judged, test_period = _described(baselines, extras), 0, facts.test_period
    else:
        _check(facts, predictions, baselines)
        test_period = facts.test_period or _period(dated_rows(predictions, facts.options))
        dated = replace(facts, test_period=test_period)
        judgement, judged = _judged(dated, predictions, baselines, extras)
    dated = replace(facts, test_period=test_period)
    best = judgement.baselines[0] if judgement.baselines else None
    largest = sorted(contributions.items(), key=lambda item: (-item[1], item[0]))[:KEPT_CONTRIBUTIONS]
    return Report(
        **vars(dated),
        schema_version=SCHEMA_VERSION,
        metrics=judgement.metrics,
        baselines=judgement.baselines,
        best_baseline=best and best.name,
        skill=extras.judgement.skill if extras.judgement else best and best.skill,
        contributions=tuple(Contribution(feature, value) for feature, value in largest),
        outcome=judgement.outcome,
        verdict=judgement.verdict,
        warnings=(*judgement.warnings, *warnings_of(dated, extras.warnings)),
        judged_rows=judged,
        headlines=extras.headlines,
        tables=tuple(plain_table(table) for table in extras.tables),
        further_metrics={name: _finite(value) for name, value in (extras.metrics or {}).items()},
        skill_of=extras.judgement.measure if extras.judgement else "squared error",
        actions=what_to_do(judgement.outcome, best, extras.actions),
        downloads=tuple(
            TableFile(
                table.file, table.text, table.rows.height, table.rows.width, facts.tables_at.get(table.result, "")
            )
            for table in extras.downloads
        ),
        unit=extras.unit,
        per=extras.per,
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _check(facts: RunFacts, predictions: pl.DataFrame, baselines: Mapping[str, pl.Series]) -> None:
    if not baselines:
        raise ValueError("A report needs at least one baseline.")
    if predictions.height > facts.rows.test:
        raise ValueError(f"{predictions.height} predictions for {facts.rows.test} test rows.")
    for name, values in baselines.items():
        if values.len() != predictions.height:
            raise ValueError(f"{predictions.height} predictions of the model, {values.len()} of the {name}.")


def _described(baselines: Mapping[str, pl.Series], extras: Extras) -> _Judgement:
    if baselines:
        raise ValueError("Baselines cannot be judged without predictions.")
    if not extras.verdict:
        raise ValueError("A report without actuals needs a verdict in its extras.")
    return _Judgement({}, (), Outcome.DESCRIBED, extras.verdict, ())


def _judged(
    facts: RunFacts, predictions: pl.DataFrame, baselines: Mapping[str, pl.Series], extras: Extras
) -> tuple[_Judgement, int]:
    own, known = extras.judgement, predictions["actual"].is_not_null()
    rows = dated_rows(predictions, facts.options).filter(known)
    if rows.is_empty():
        return _Judgement({}, (), Outcome.UNCLEAR, NOTHING_TO_JUDGE, (NOTHING_TO_JUDGE,)), 0
    metrics = regression_metrics(rows["actual"], rows["predicted"])
    scores = [_score(name, rows, values.filter(known), metrics, extras) for name, values in baselines.items()]
    ranked = tuple(sorted(scores, key=lambda score: cast(float, score.metrics["mse"])))
    if own is None:
        outcome = judge(metrics, ranked[0])
        sentence = verdict(outcome, metrics, ranked[0], facts.target, rows.height, extras.unit, extras.per)
    else:
        # The baseline that the verdict names stands first, as the report's best one.
        ranked = tuple(sorted(ranked, key=lambda score: score.name != own.baseline))
        outcome, sentence = own.outcome, own.verdict
    cautions = (extras.caution,) if extras.caution else almost_exact(metrics, ranked[0], facts.target)
    if outcome in (Outcome.BETTER, Outcome.UNCLEAR):
        sentence = " ".join((sentence, *cautions))
    # A pipeline that judges otherwise may predict medians, which lie off the mean without being wrong.
    warned = metrics if own is None else {**metrics, "bias": None}
    mean_actual = float(rows["actual"].cast(pl.Float64).to_numpy().mean())
    predicted = replace(facts, rows=replace(facts.rows, test=predictions.height))
    warnings = (
        *([sentence] if outcome is not Outcome.BETTER else cautions),
        *warnings_on_missing(facts.rows.test - predictions.height),
        *warnings_on_errors(predicted, warned, rows.height, mean_actual),
    )
    return _Judgement(metrics, ranked, outcome, sentence, warnings), rows.height


def _score(
    name: str, rows: pl.DataFrame, values: pl.Series, model: Mapping[str, float | None], extras: Extras
) -> BaselineScore:
    metrics = regression_metrics(rows["actual"], values)
    value = skill(cast(float, model["mse"]), cast(float, metrics["mse"]))
    days = rows["date"].cast(pl.Date) if "date" in rows.columns else None
    series = rows.select(extras.series) if extras.series else None
    limits = skill_interval(rows["actual"], rows["predicted"], values, periods=days, series=series)
    if limits is None:
        return BaselineScore(name, metrics, value, None, None)
    # No model takes away more than all of the error.
    ends = [min(end, 1.0) for end in (*limits, *next_skill_interval(limits, extras.past_skills.get(name, ())))]
    return BaselineScore(name, metrics, value, *ends)


def _period(predictions: pl.DataFrame) -> Period | None:
    if "date" not in predictions.columns:
        return None
    days = predictions["date"].cast(pl.Date).drop_nulls()
    return Period(cast(date, days.min()), cast(date, days.max())) if days.len() else None

"""What a report advises: the verdict in one sentence, and the warnings that go with it.

What belongs here: judgements on finished figures, in words that a store manager understands. What does not: figures.
"""

from collections.abc import Iterable, Iterator, Mapping

from optiflow.report.model import BaselineScore, Outcome, RowCounts, RunFacts, TrainingJob
from optiflow.report.wording import count, measured, number, percent, the

FEW_TEST_ROWS = 100
TOO_GOOD_R2 = 0.99
LARGE_BIAS = 0.1
MANY_REJECTED = 0.01
LOW_COVERAGE = 0.95
TOO_FAR_AHEAD = 0.9

NOTHING_TO_JUDGE = "No test row has an actual yet: the model cannot be judged."


def judge(metrics: Mapping[str, float | None], best: BaselineScore) -> Outcome:
    """Better if even the low end of the skill is above 0, unclear if only the skill itself is, worse otherwise."""
    if best.skill is None:
        return Outcome.WORSE if metrics["mse"] else Outcome.UNCLEAR
    if best.skill <= 0:
        return Outcome.WORSE
    return Outcome.BETTER if best.skill_low is not None and best.skill_low > 0 else Outcome.UNCLEAR


def verdict(
    outcome: Outcome,
    metrics: Mapping[str, float | None],
    best: BaselineScore,
    target: str,
    test_rows: int,
    unit: str = "",
    per: str = "",
) -> str:
    """The one sentence that a report begins with.

    Which outcome it is hangs on squared errors; the sentence tells the misses that people can picture. Where these say
    otherwise, since the model is nearer in the large misses only, it says so.

    Args:
        outcome: Of `judge`.
        metrics: The model's figures.
        best: The best baseline's score.
        target: What is predicted.
        test_rows: Rows judged.
        unit: What the target is counted in.
        per: What one row is.
    """
    named = the(best.name)
    if best.skill is None:
        if outcome is Outcome.UNCLEAR:
            return f"{target} is the same in every test row: {named} predicts it exactly, no model is needed."
        return f"The model is not better than {named}, which makes no error at all: do not use it."
    own, other = metrics["mae"] or 0.0, best.metrics["mae"] or 0.0
    of_each = f" per {per}" if per else ""
    misses = f"it misses by {measured(own, unit)}{of_each} on average, that rule by {number(other)}"
    if outcome is Outcome.BETTER:
        if own < other:
            return f"The model is better than {named}: {misses}."
        return f"The model is better than {named}: its large misses are smaller, which count most. But {misses}."
    if outcome is Outcome.UNCLEAR:
        ahead = misses if own < other else "its large misses are smaller"
        chance = f"which on {count(test_rows, 'test row')} can be chance"
        return f"The model may be no better than {named}: {ahead}, {chance}."
    if own < other:
        return f"The model is not better than {named}, for its large misses are larger: do not use it."
    return f"The model is not better than {named} ({misses}): do not use it."


def what_to_do(outcome: Outcome, best: BaselineScore | None, actions: Iterable[str]) -> tuple[str, ...]:
    """The pipeline's advice, if the model is worth going by; else what to go by instead."""
    if best is None or outcome in (Outcome.BETTER, Outcome.DESCRIBED):
        return tuple(actions)
    if best.skill is None:
        return (f"Go by {the(best.name)}: it makes no error here.",)
    if outcome is Outcome.UNCLEAR:
        return (
            f"Set each figure beside {the(best.name)} before you act on it: the model has not shown that it is the better of the two.",
            *actions,
            "Upload the file again when there are more rows: the verdict becomes clearer with each.",
        )
    return (
        f"Do not order, plan or price by this model's figures. Go by {the(best.name)} for now, which was nearer.",
        "Look below for what may be wrong: rejected rows, missing periods, columns left out. Then upload a longer history or "
        "a mended file; the next report judges anew.",
    )


def warnings_on_missing(rows: int) -> tuple[str, ...]:
    """What to know where some held-out rows could not be predicted at all."""
    if not rows:
        return ()
    return (
        f"{count(rows, 'held-out row')} could not be predicted, since training knew nothing of what "
        f"{'it is' if rows == 1 else 'they are'} about, such as a new store. The errors are those of the others.",
    )


def warnings_on_errors(
    facts: RunFacts,
    metrics: Mapping[str, float | None],
    judged: int,
    mean_actual: float,
) -> tuple[str, ...]:
    """What a reader should know before trusting the error figures, most serious first.

    Args:
        facts: The run's facts.
        metrics: The model's figures on the judged rows.
        judged: How many test rows have an actual.
        mean_actual: Mean of the actuals.
    """
    return (
        *_on_figures(metrics, mean_actual),
        *_on_test_rows(facts.rows.test, judged),
        *_on_split(facts),
    )


def warnings_of(facts: RunFacts, added: Iterable[str] = ()) -> tuple[str, ...]:
    """What a reader should know of any run: its rows, columns and training; the pipeline's own, and the notes, last."""
    return (
        *_on_rows(facts.rows),
        *_on_columns(facts),
        *(_on_training(facts.job) if facts.job else ()),
        *added,
        *facts.notes,
    )


def almost_exact(metrics: Mapping[str, float | None], best: BaselineScore, target: str) -> tuple[str, ...]:
    """A word of caution on predictions that are too good to be true."""
    # Stores that differ much in size give even last year's sales an R² of 0.98: exact is what leaves that far behind.
    far_ahead = best.skill is not None and best.skill > TOO_FAR_AHEAD
    r2 = metrics["r2"]
    if r2 is None or r2 <= TOO_GOOD_R2 or not far_ahead:
        return ()
    return (
        f"The predictions are almost exact (R² {number(r2)}). Check that no feature is computed from {target}: "
        "such a column is not known when you predict. Name it in `drop_columns`.",
    )


def _on_figures(metrics: Mapping[str, float | None], mean_actual: float) -> Iterator[str]:
    bias = metrics["bias"] or 0.0
    if mean_actual and abs(bias) > LARGE_BIAS * abs(mean_actual):
        side = "high" if bias > 0 else "low"
        yield (
            f"The predictions are too {side}: by {number(abs(bias))} on average, "
            f"{percent(abs(bias / mean_actual))} of the mean actual."
        )


def _on_test_rows(test: int, judged: int) -> Iterator[str]:
    if judged < test:
        yield (
            f"{test - judged:,} of {count(test, 'test row')} {'has' if test - judged == 1 else 'have'} no actual to judge by: "
            f"all errors are those of the other {judged:,}, which may be the easier {'one' if judged == 1 else 'ones'}."
        )
    if judged < FEW_TEST_ROWS:
        what = "The test set has only" if judged == test else "The errors stand on only"
        yield f"{what} {count(judged, 'row')}: the figures are rough."


def _on_rows(rows: RowCounts) -> Iterator[str]:
    if rows.merged:
        yield (
            f"{rows.merged:,} of {count(rows.uploaded, 'uploaded row')} {'was' if rows.merged == 1 else 'were'} added to "
            "another of the same day or week and thing, as the option `duplicates: sum` says, or since the file has days where "
            "weeks are wanted."
        )
    if rows.uploaded and rows.rejected / rows.uploaded > MANY_REJECTED:
        yield (
            f"{rows.rejected:,} of {count(rows.uploaded, 'uploaded row')} {'was' if rows.rejected == 1 else 'were'} rejected "
            f"({percent(rows.rejected / rows.uploaded)}): the model has not seen them."
        )


def _on_split(facts: RunFacts) -> Iterator[str]:
    if facts.split_strategy == "random" and facts.test_period is not None:
        yield (
            "The test rows were drawn at random, from the same days as the training rows. The figures tell how well "
            "gaps are filled, not how well the future is predicted: use `split: {strategy: time}` for that."
        )


def _on_columns(facts: RunFacts) -> Iterator[str]:
    for column, unseen in facts.unseen_categories.items():
        if unseen:
            yield (
                f"{column}: {count(unseen, 'category', 'categories')} of the test set "
                f"{'was' if unseen == 1 else 'were'} never seen in training."
            )
    for series in facts.series:
        if series.coverage < LOW_COVERAGE:
            yield f"FRED series {series.series_id} had a published value for only {percent(series.coverage)} of the rows."


def _on_training(job: TrainingJob) -> Iterator[str]:
    if job.rounds > 1 and job.best_iteration == job.rounds - 1 and "validation" in job.history:
        yield (
            f"The last of {job.rounds} training rounds was still the best: a larger `num_round` in "
            "`hyperparameters` may give a better model."
        )

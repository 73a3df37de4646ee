"""The verdict on `item_demand`'s sample with each series shuffled in time: five seeds, and the genuine sample.

What belongs here: making the shuffled files and asking for their reports' verdicts. What does not: the report's rules.
"""

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from optiflow.artifact import SUMMARY_FILE
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.item_demand import ITEM_DEMAND, SERIES
from optiflow.report.build import build_report
from optiflow.report.model import Report, RowCounts, RunFacts
from optiflow.samples.item_demand import SAMPLE_OPTIONS, item_demand
from optiflow.split import ROW

SEEDS = range(5)
FAST = {"num_round": 200, "learning_rate": 0.1, "early_stopping_rounds": 10}
"""Fewer and larger steps than the learner's own: the verdict is asked for, not the last per mille of the error."""


def verdicts(seeds: Iterable[int] = SEEDS) -> list[tuple[int, str, str]]:
    """The verdict on each shuffled sample: (seed, outcome, sentence)."""
    made = []
    for seed in seeds:
        report = report_on(shuffled(item_demand(), seed))
        made.append((seed, report.outcome.value, report.verdict))
    return made


def shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows with each series' sales in another order: its dates and its values stay, what a date told of them does not."""
    rng = np.random.default_rng(seed)
    parts = rows.sort(*SERIES, "date").partition_by(SERIES, maintain_order=True)
    return pl.concat(part.with_columns(pl.Series("sales", rng.permutation(part["sales"].to_numpy()))) for part in parts)


def report_on(rows: pl.DataFrame, learner_settings: dict[str, float] = FAST) -> Report:
    """The report on a table as the pipeline would have it, without files of uploads and without jobs.

    Args:
        rows: `date`, `store`, `item`, `sales`.
        learner_settings: Laid over the learner's own.
    """
    options = DatasetOptions.model_validate({**SAMPLE_OPTIONS, "target": "sales", "date_column": "date"})
    table = rows.with_row_index(ROW, 2).with_columns(pl.col(ROW).cast(pl.Int64), pl.col("sales").cast(pl.Float64))
    train, test = ITEM_DEMAND.split(table, options)
    sets = {"train": train, "test": test.drop("sales"), "actuals": test.select(ROW, actual="sales")}
    learner = ITEM_DEMAND.learner
    assert learner is not None
    inputs = ITEM_DEMAND.training(train, options)
    chosen = parse_hyperparameters(learner.PARAMETERS, {**ITEM_DEMAND.hyperparameters(options), **inputs.decided})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        channels = {channel: frame.to_arrow() for channel, frame in inputs.channels.items()}
        summary = learner.train(channels, {**chosen, **learner_settings}, folder, _in_silence)
        (folder / SUMMARY_FILE).write_text(json.dumps(summary))
        asked = ITEM_DEMAND.scoring(sets, options, str).tables
        results = {name: pl.DataFrame(learner.score(folder, frame.to_arrow())) for name, frame in asked.items()}
        run = FinishedRun(options=options, **sets, results=results, model=folder, kept=str)
        facts = RunFacts(
            pipeline=ITEM_DEMAND.name,
            dataset="sample",
            version="",
            target="sales",
            options=options.model_dump(mode="json"),
            created_at=datetime.now(UTC),
            rows=RowCounts(table.height, 0, train.height, test.height),
            split_strategy="time",
            unseen_categories={},
            notes=tuple(ITEM_DEMAND.learned(run).notes),
        )
        return build_report(facts, run.held_out, ITEM_DEMAND.baselines(run), {}, ITEM_DEMAND.extras(run))


def _in_silence(_line: str) -> None:
    """Takes what the learner says of its progress."""


if __name__ == "__main__":
    genuine = report_on(item_demand())
    print(f"genuine: {genuine.outcome.value}: {genuine.verdict}")
    for seed, outcome, sentence in verdicts():
        print(f"seed {seed}: {outcome}: {sentence}")

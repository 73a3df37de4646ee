"""Facts that must hold between the tables of a chain, as pure functions that count what is wrong.

What belongs here: counting faults. What does not: rules on single cells of uploads (`upload`), and what a fault
leads to (`assets.checks`). Proof that no value is from the future is in `enrichment`.
"""

from collections.abc import Collection, Sequence

import polars as pl

from optiflow.split import ROW

Faults = dict[str, int]


def upload_faults(table: pl.LazyFrame, target: str | None, date_column: str) -> Faults:
    """Rows whose number occurs twice, whose date or target is missing, or whose target is not finite.

    Raises:
        polars.exceptions.PolarsError: a column is missing or holds no dates or no numbers.
    """
    answer = pl.lit(0.0) if target is None else pl.col(target)
    return _counts(
        table.select(
            duplicate_rows=pl.len() - pl.col(ROW).n_unique(),
            missing_dates=pl.col(date_column).dt.year().is_null().sum(),
            missing_targets=answer.is_null().sum(),
            infinite_targets=(~answer.cast(pl.Float64).is_finite()).sum(),
        )
    )


def balance_faults(uploaded: pl.LazyFrame, rejected: pl.LazyFrame, enriched: pl.LazyFrame) -> Faults:
    """Rows that enrichment lost, made up or doubled, and rows both accepted and rejected."""
    before, after = _rows(uploaded), _rows(enriched)
    return {
        "lost_rows": len(set(before) - set(after)),
        "invented_rows": len(set(after) - set(before)),
        "doubled_rows": len(after) - after.n_unique(),
        "accepted_and_rejected": len(set(before) & set(_rows(rejected))),
    }


def split_faults(
    enriched: pl.LazyFrame,
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    actuals: pl.LazyFrame,
    kept_back: Collection[str],
    *,
    filled: bool = False,
) -> Faults:
    """Rows in both sets or in none, held-out rows without their actual value, and the target where it must not be.

    With `filled` the sets may have rows besides those of `enriched`, numbered below 0: see `filled_faults`.
    """
    everything, learned, held_out, answers = _rows(enriched), _rows(train), _rows(test), _rows(actuals)
    made = sum(rows.filter(rows < 0).len() for rows in (learned, held_out)) if filled else 0
    return {
        "rows_in_both": len(set(learned) & set(held_out)),
        "rows_in_neither": len(set(everything) - set(learned) - set(held_out)),
        "surplus_rows": len(learned) + len(held_out) - made - len(everything),
        "rows_without_actual": len(set(held_out) ^ set(answers)),
        "target_in_test": sum(name in kept_back for name in test.collect_schema()),
    }


def filled_faults(
    enriched: pl.LazyFrame, train: pl.LazyFrame, test: pl.LazyFrame, actuals: pl.LazyFrame, unit: Sequence[str]
) -> Faults:
    """Rows made up for what the file has, or twice; of another value than 0; and without a number of their own.

    Args:
        enriched: All rows of the file.
        train: Rows to learn from; those numbered below 0 were made up.
        test: Held-out rows, likewise.
        actuals: `row` and `actual` of the held-out rows.
        unit: The columns that no two rows share.
    """
    made = pl.concat([rows.filter(pl.col(ROW) < 0).select(ROW, *unit) for rows in (train, test)]).collect()
    there = enriched.select(unit).collect()
    learned = train.filter(pl.col(ROW) < 0).select(actual=pl.col("sales").cast(pl.Float64)).collect().to_series()
    answers = actuals.filter(pl.col(ROW) < 0).select("actual").collect().to_series()
    return {
        "filled_days_with_a_row": made.join(there, on=unit, how="semi").height,
        "filled_twice": made.height - made.select(unit).n_unique(),
        "filled_without_own_number": made.height - made[ROW].n_unique(),
        "filled_with_sales": sum(values.filter(values.ne_missing(0)).len() for values in (learned, answers)),
    }


def time_overlap(train: pl.LazyFrame, test: pl.LazyFrame, date_column: str) -> int:
    """Training rows that are newer than the oldest held-out row: 0 for a split by time."""
    first = test.select(pl.col(date_column).min()).collect().item()
    return train.select((pl.col(date_column) > first).sum()).collect().item()


def _rows(table: pl.LazyFrame) -> pl.Series:
    return table.select(ROW).collect().to_series()


def _counts(table: pl.LazyFrame) -> Faults:
    return {name: int(value or 0) for name, value in table.collect().row(0, named=True).items()}

"""Facts that must hold between the tables of a chain, as lazy queries of one row that count what is wrong.

What belongs here: counting faults. What does not: rules on single cells of uploads (`upload`), and what a fault
leads to (`assets.checks`). Proof that no value is from the future is in `fred.enrichment`.
"""

from collections.abc import Collection, Sequence

import polars as pl

from optiflow.split import ROW

Faults = dict[str, int]


def counted(*queries: pl.LazyFrame) -> Faults:
    """What all queries count, in one streamed pass: a table that several of them ask is read once.

    Raises:
        polars.exceptions.PolarsError: a column that they ask for is missing, or of another type.
    """
    return counts(*pl.collect_all(queries, engine="streaming"))


def counts(*rows: pl.DataFrame) -> Faults:
    """The answers of queries that were run together with others."""
    return {name: int(value or 0) for row in rows for name, value in row.row(0, named=True).items()}


def upload_faults(table: pl.LazyFrame, target: str | None, date_column: str) -> pl.LazyFrame:
    """Rows whose number occurs twice, whose date or target is missing, or whose target is not finite."""
    answer = pl.lit(0.0) if target is None else pl.col(target)
    return table.select(
        duplicate_rows=pl.len() - pl.col(ROW).n_unique(),
        missing_dates=pl.col(date_column).dt.year().is_null().sum(),
        missing_targets=answer.is_null().sum(),
        infinite_targets=(~answer.cast(pl.Float64).is_finite()).sum(),
    )


def balance_faults(uploaded: pl.LazyFrame, rejected: pl.LazyFrame, enriched: pl.LazyFrame) -> pl.LazyFrame:
    """Rows that enrichment lost, made up or doubled, and rows both accepted and rejected."""
    before, after, bad = pl.col("before"), pl.col("after"), pl.col("rejected")
    return _occurrences(before=uploaded, after=enriched, rejected=rejected).select(
        lost_rows=((before > 0) & (after == 0)).sum(),
        invented_rows=((after > 0) & (before == 0)).sum(),
        doubled_rows=(after.cast(pl.Int64) - 1).clip(0).sum(),
        accepted_and_rejected=((before > 0) & (bad > 0)).sum(),
    )


def split_faults(
    enriched: pl.LazyFrame,
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    actuals: pl.LazyFrame,
    kept_back: Collection[str],
    *,
    filled: bool = False,
) -> pl.LazyFrame:
    """Rows in both sets or in none, held-out rows without their actual value, and the target where it must not be.

    With `filled` the sets may have rows besides those of `enriched`, numbered below 0: see `filled_faults`.
    """
    everything, learned, held_out, answers = (pl.col(name) for name in ("enriched", "train", "test", "actuals"))
    from_file = pl.col(ROW) >= 0 if filled else pl.lit(True)
    told = sum(name in kept_back for name in test.collect_schema())
    return _occurrences(enriched=enriched, train=train, test=test, actuals=actuals).select(
        rows_in_both=((learned > 0) & (held_out > 0)).sum(),
        rows_in_neither=((everything > 0) & (learned == 0) & (held_out == 0)).sum(),
        surplus_rows=((learned + held_out) * from_file).sum().cast(pl.Int64) - everything.sum().cast(pl.Int64),
        rows_without_actual=((held_out > 0) != (answers > 0)).sum(),
        target_in_test=pl.lit(told),
    )


def filled_faults(
    enriched: pl.LazyFrame, train: pl.LazyFrame, test: pl.LazyFrame, actuals: pl.LazyFrame, unit: Sequence[str]
) -> pl.LazyFrame:
    """Rows made up for what the file has, or twice; of another value than 0; and without a number of their own.

    Args:
        enriched: All rows of the file.
        train: Rows to learn from; those numbered below 0 were made up.
        test: Held-out rows, likewise.
        actuals: `row` and `actual` of the held-out rows.
        unit: The columns that no two rows share.
    """
    made = pl.concat([rows.filter(pl.col(ROW) < 0).select(ROW, *unit) for rows in (train, test)])
    learned = train.filter(pl.col(ROW) < 0).select(actual=pl.col("sales").cast(pl.Float64))
    answers = actuals.filter(pl.col(ROW) < 0).select("actual")
    counts = [
        made.join(enriched.select(unit), on=unit, how="semi").select(filled_days_with_a_row=pl.len()),
        made.select(
            filled_twice=pl.len() - pl.struct(unit).n_unique(),
            filled_without_own_number=pl.len() - pl.col(ROW).n_unique(),
        ),
        pl.concat([learned, answers]).select(filled_with_sales=pl.col("actual").ne_missing(0).sum()),
    ]
    return pl.concat(counts, how="horizontal")


def time_overlap(train: pl.LazyFrame, test: pl.LazyFrame, date_column: str) -> pl.LazyFrame:
    """Training rows that are newer than the oldest held-out row: 0 for a split by time."""
    first = test.select(first_held_out=pl.col(date_column).min())
    newer = train.select(date_column).join(first, how="cross").filter(pl.col(date_column) > pl.col("first_held_out"))
    return newer.select(train_rows_after_test_began=pl.len())


def _occurrences(**tables: pl.LazyFrame) -> pl.LazyFrame:
    """How often each row number occurs in each table: one pass over them all, whatever is asked then."""
    marked = [
        table.select(ROW, *(pl.lit(int(name == other), pl.UInt32).alias(other) for other in tables))
        for name, table in tables.items()
    ]
    return pl.concat(marked).group_by(ROW).agg(pl.col(tables).sum())

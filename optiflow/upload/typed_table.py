"""What tables have in common whose cells have types of their own: those types in their widest form.

What belongs here: types. What does not: Parquet (`parquet_table`) and Excel (`excel_table`).
"""

import polars as pl
import polars.selectors as cs


def widen(frame: pl.DataFrame) -> pl.DataFrame:
    """Int64, Float64 (no NaN), String, Boolean, Date and Datetime('us') only; durations in seconds.

    Whole numbers that no Int64 holds are ids: their column is text.
    """
    frame = frame.with_columns(whole_or_text(s) for s in frame.select(cs.by_dtype(pl.UInt64, pl.Int128, pl.UInt128)))
    frame = frame.with_columns(
        cs.integer().cast(pl.Int64),
        cs.duration().dt.total_microseconds() / 1e6,
        (cs.float() | cs.decimal()).cast(pl.Float64).fill_nan(None),
        (cs.categorical() | cs.enum() | cs.time() | cs.by_dtype(pl.Null)).cast(pl.String),
    )
    return frame.with_columns(cs.datetime().dt.cast_time_unit("us"))


def whole_or_text(whole: pl.Series) -> pl.Series:
    """Whole numbers, of any type or as digits, as Int64 if all fit, else as text: a float would make two ids one."""
    number = whole.cast(pl.Int64, strict=False)
    return number if number.null_count() == whole.null_count() else whole.cast(pl.String)


def whole_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Float columns of whole numbers as Int64: a workbook knows only floats."""
    floats = frame.select(cs.float())
    whole = [s.name for s in floats if s.is_not_null().any() and bool(((s == s.floor()) & (s.abs() < 2**53)).all())]
    return frame.with_columns(pl.col(whole).cast(pl.Int64)) if whole else frame

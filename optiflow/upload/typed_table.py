"""What tables have in common whose cells have types of their own: those types in their widest form.

What belongs here: types. What does not: Parquet (`parquet_table`) and Excel (`excel_table`).
"""

import polars as pl
import polars.selectors as cs


def widen(frame: pl.DataFrame) -> pl.DataFrame:
    """Int64, Float64 (no NaN), String, Boolean, Date and Datetime('us') only; durations in seconds."""
    frame = frame.with_columns(
        (cs.integer() - cs.by_dtype(pl.UInt64, pl.Int128, pl.UInt128)).cast(pl.Int64),
        cs.by_dtype(pl.UInt64, pl.Int128, pl.UInt128).cast(pl.Float64),
        cs.duration().dt.total_microseconds() / 1e6,
        (cs.float() | cs.decimal()).cast(pl.Float64).fill_nan(None),
        (cs.categorical() | cs.enum() | cs.time() | cs.by_dtype(pl.Null)).cast(pl.String),
    )
    return frame.with_columns(cs.datetime().dt.cast_time_unit("us"))


def whole_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Float columns of whole numbers as Int64: a workbook knows only floats."""
    floats = frame.select(cs.float())
    whole = [s.name for s in floats if s.is_not_null().any() and bool(((s == s.floor()) & (s.abs() < 2**53)).all())]
    return frame.with_columns(pl.col(whole).cast(pl.Int64)) if whole else frame

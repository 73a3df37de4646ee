"""Text that a spreadsheet would run as a formula, made text for good: a cell out of somebody's file computes nothing.

What belongs here: cells and headers of CSV. What does not: workbooks, which say of each cell that it is text.
"""

from collections.abc import Iterable

import polars as pl
import polars.selectors as cs

BOM = b"\xef\xbb\xbf"
"""What CSV begins with: without it Excel takes UTF-8 for the machine's own code page."""

FORMULA = r"^\s*[=+@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}-]|^[\t\r\n]"
"""How text begins that a spreadsheet would run, also behind blanks; the wide forms are those of East Asian keyboards."""
NUMBER = r"^\s*-\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?\s*%?\s*$"
"""Text that begins with a minus and yet is nothing but a number."""


def without_formulas(table: pl.LazyFrame) -> pl.LazyFrame:
    """The table with an apostrophe before each text and each header that would be a formula; numbers stay numbers."""
    schema = table.collect_schema()
    # OWASP, "CSV Injection": the apostrophe makes a spreadsheet take what follows as it is written.
    text = (cs.string() | cs.categorical() | cs.enum()).cast(pl.String)
    runs = text.str.contains(FORMULA) & ~text.str.contains(NUMBER)
    safe = pl.when(runs).then(pl.lit("'") + text).otherwise(text).name.keep()
    has_text = any(dtype in (pl.String, pl.Categorical, pl.Enum) for dtype in schema.dtypes())
    return (table.with_columns(safe) if has_text else table).rename(_headers(schema.names()))


def _headers(names: Iterable[str]) -> dict[str, str]:
    names = pl.Series(list(names), dtype=pl.String)
    found = dict[str, str]()
    for name in names.filter(names.str.contains(FORMULA) & ~names.str.contains(NUMBER)):
        safe = f"'{name}"
        while safe in names or safe in found.values():
            safe = f"'{safe}"
        found[name] = safe
    return found

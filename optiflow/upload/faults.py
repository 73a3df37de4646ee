"""Faults: what is wrong with which cell of which row, as a table and as words in a message.

What belongs here: the table's shape, how a cell is quoted, the options lines that messages show.
What does not: deciding that a cell is wrong.
"""

import json
from pathlib import PurePosixPath
from typing import Any

import polars as pl
import yaml

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.errors import UserError
from optiflow.split import ROW

SCHEMA = {"row": pl.Int64, "column": pl.String, "reason": pl.String, "value": pl.String}
QUOTE_LENGTH = 40


def quote(value: object) -> str:
    """A cell for a message: quoted, on one line, cut to about 40 characters; None is `an empty cell`."""
    if value is None:
        return "an empty cell"
    text = " ".join(str(value).split())
    return repr(text if len(text) <= QUOTE_LENGTH else text[: QUOTE_LENGTH - 1] + "…")


def quote_all(values: list[Any], limit: int = 20) -> str:
    """Cells or names for a message, separated by commas; how many are left out is said."""
    more = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(quote(value) for value in values[:limit]) + more


def cell_faults(frame: pl.DataFrame, column: str, bad: pl.Series, reason: str) -> pl.DataFrame:
    """One fault (columns of `SCHEMA`) for each row of `frame` where the Boolean `bad` is true."""
    found = {"row": frame[ROW].filter(bad), "value": frame[column].filter(bad).cast(pl.String)}
    return pl.DataFrame({**found, "column": column, "reason": reason}, schema_overrides=SCHEMA).select(*SCHEMA)


def no_faults() -> pl.DataFrame:
    """An empty table of faults."""
    return pl.DataFrame(schema=SCHEMA)


def options_file(file_name: str) -> str:
    """The name of the options file that belongs beside an upload."""
    return PurePosixPath(file_name).name + OPTIONS_SUFFIX


def options_lines(file_name: str, **options: object) -> str:
    """`Write into <file>.options.yaml:` and the lines to write, valid YAML."""
    lines = "".join(f"\n  {_yaml_line(key, value)}" for key, value in options.items())
    return f"Write into {options_file(file_name)}:{lines}"


def _yaml_line(key: str, value: object) -> str:
    line = yaml.safe_dump({key: value}, allow_unicode=True, width=10_000).strip()
    return f"{key}: {json.dumps(value, ensure_ascii=False)}" if "'" in line or '"' in line else line


def refuse_over_limit(file_name: str, rejected: pl.DataFrame, rows_in: int, limit: float) -> None:
    """Refuse the whole upload when more than `limit` (a fraction of 1) of its rows have faults.

    Raises:
        UserError: too many rows have faults; shows the counts and the first three.
    """
    bad = rejected[ROW].n_unique()
    if bad <= limit * rows_in:
        return
    first = "; ".join(
        f"row {fault['row']}"
        + (f", column {quote(fault['column'])}" if fault["column"] is not None else "")
        + f": {fault['reason']} ({quote(fault['value'])})"
        for fault in rejected.sort(ROW, maintain_order=True).head(3).iter_rows(named=True)
    )
    raise UserError(
        f"{file_name}: {bad:,} of {rows_in:,} rows ({bad / rows_in:.1%}) have faults; max_rejected_fraction allows "
        f"{limit:.1%}. The first: {first}. Mend the rows, or raise max_rejected_fraction in {options_file(file_name)}."
    )

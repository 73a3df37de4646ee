"""Rows that come again in another file of a folder: a file sent twice, a corrected day, an export of the last week.

The newer file counts. What makes a row the same is the pipeline's to say (`Pipeline.row_keys`), or, where it has no such keys or
a file lacks one, the files' own, as those that were pulled from an API have; else it is the whole row. What does not belong
here: rows that come twice within one file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from optiflow.options import DatasetOptions
from optiflow.roles import find_roles
from optiflow.split import ROW
from optiflow.upload.faults import quote
from optiflow.upload.table import RawTable

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

_FILE, _AGE, _CONTENT = "\0file", "\0age", "\0content"
"""No column of a file has such a name."""
_BETWEEN, _NOTHING = "\x1f", "\0"


@dataclass(frozen=True)
class Repeats:
    """How many rows were left out since a newer file has them, and how many came in several files and are added up.

    `example` and `added_example` are the keys of one, the older and the newer file.
    """

    rows: int = 0
    example: tuple[str, str, str] | None = None
    added: int = 0
    added_example: tuple[str, str, str] | None = None

    def told(self) -> tuple[str, ...]:
        """In sentences."""
        said: list[str] = []
        if self.example is not None:
            keys, older, newer = self.example
            said.append(
                f"{self.rows:,} {'row' if self.rows == 1 else 'rows'} came again in a newer file, which counts: {keys} in "
                f"{older} and in {newer}, for example."
            )
        if self.added_example is not None:
            keys, older, newer = self.added_example
            said.append(
                f"{self.added:,} {'row' if self.added == 1 else 'rows'} came in several files with other values, and `duplicates: "
                f"sum` adds them up: {keys} in {older} and in {newer}, for example. If the newer file corrects the older one, "
                "remove the older one."
            )
        return tuple(said)


def without_repeats(
    raw: RawTable,
    files: pl.DataFrame,
    written: Sequence[int],
    options: DatasetOptions,
    pipeline: "Pipeline",
    key: str | None = None,
) -> tuple[RawTable, Repeats]:
    """The table without what a newer file has too.

    Where `duplicates: sum` adds rows up, two files may each hold a part of the same day: only what is equal in all columns
    came again, as a whole day does when its file is sent twice.

    Args:
        raw: The rows of all files.
        files: Which row numbers each file has, as `one_table` gives them.
        written: When each file was written, in the order of `files`; of those of one instant the last name is the newest.
        options: For the columns' names and `duplicates`.
        pipeline: Whose keys tell rows apart.
        key: The column that does, where the pipeline has no keys.
    """
    if files.height == 1:
        return raw, Repeats()
    roles = find_roles(pipeline.roles, [n for n in raw.names if n not in options.drop_columns], options.columns, "")
    # A key that the file lacks, and that the pipeline puts nothing in place of, leaves the others too few.
    lacking = {role.name for role in pipeline.roles if role.absent is None} - roles.keys()
    keys = [] if lacking & {*pipeline.row_keys} else [roles[role] for role in pipeline.row_keys if role in roles]
    keys = keys or ([key] if key is not None and key in raw.names else [])
    # Text, so that all types hash alike; the sum of the hashes of a group does not depend on the order of its rows.
    content = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null(_NOTHING) for name in raw.names], separator=_BETWEEN
    )
    rows = _with_files(raw, files, written).with_columns(content.hash().alias(_CONTENT))
    if not keys:
        identity = [_CONTENT]
    elif options.duplicates == "sum":
        identity = [*keys, _CONTENT]
        rows = rows.with_columns(pl.col(_CONTENT).sum().over(*keys, _AGE))
    else:
        identity = keys
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in (*keys, _AGE))
    known = rows.select(known).to_series()
    # A row without one of the keys is the same as another only if all of it is.
    again = (known & _older(rows, identity)) | (~known & _older(rows, [_CONTENT]))
    kept = rows.filter(~again)
    several = kept.filter(pl.col(_AGE).n_unique().over(keys) > 1) if keys and identity != keys else kept.clear()
    repeats = Repeats(
        int(again.sum()),
        _example(rows, again, identity, keys or raw.names),
        several.height,
        _example(several, _older(several, keys), keys, keys),
    )
    unread = raw.cells.join(kept, on=ROW, how="semi", maintain_order="left")
    return replace(raw, frame=kept.select(ROW, *raw.names), cells=unread), repeats


def _with_files(raw: RawTable, files: pl.DataFrame, written: Sequence[int]) -> pl.DataFrame:
    """The rows with their file's name and its place among all files by age, the oldest being 0."""
    oldest_first = sorted(range(len(written)), key=lambda number: (written[number], number))
    ages = {number: age for age, number in enumerate(oldest_first)}
    told = files.select(
        pl.col("first_row").alias(ROW),
        pl.col("file").alias(_FILE),
        pl.Series(_AGE, [ages[number] for number in range(len(written))], dtype=pl.Int32),
    )
    return raw.frame.set_sorted(ROW).join_asof(told.set_sorted(ROW), on=ROW)


def _older(rows: pl.DataFrame, identity: Sequence[str]) -> pl.Series:
    """Whether a newer file has a row of the same identity."""
    return rows.select(pl.col(_AGE) < pl.col(_AGE).max().over(identity or [_CONTENT])).to_series()


def _example(
    rows: pl.DataFrame, older: pl.Series, identity: Sequence[str], shown: Sequence[str]
) -> tuple[str, str, str] | None:
    """The first of the older rows by its keys, its file, and the newest file with the same identity."""
    if not older.any():
        return None
    first = rows.filter(older).head(1)
    same = rows.join(first.select(identity).unique(), on=identity, nulls_equal=True).sort(_AGE)
    told = ", ".join(str(value) for value in first.select(shown[:3]).row(0))
    return quote(told), first[_FILE][0], same[_FILE][-1]

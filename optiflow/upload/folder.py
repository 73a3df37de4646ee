"""A folder of files as one upload: the rows of all files so far, each told by the file that it came in.

A file that cannot be read, lacks a column or has too many faults is named and left out; the others are read without it.
What came again in a newer file counts once. What belongs here: which files count, and which of their rows. What does not:
how a file is read (`source`), and what is right in a row (`reading`).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.parquet import key_column
from optiflow.proposals import Options, ProposalError, options_file
from optiflow.read_limits import LIMITS, ReadLimits
from optiflow.split import ROW
from optiflow.upload.faults import quote
from optiflow.upload.fitting_options import check_options
from optiflow.upload.left_out import REASON
from optiflow.upload.one_table import Cells, cells_of, one_table
from optiflow.upload.reading import Upload, read_cells, read_rows
from optiflow.upload.repeats import Repeats, without_repeats
from optiflow.upload.settled_numbers import settle_numbers
from optiflow.upload.table import RawTable

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

READERS = 8
"""Files read at the same time: of many small ones, most of the time is spent waiting for the storage."""
TOLD = 5
"""So many bad files are named in a message."""
FILE, FILE_ROW = "file", "file_row"


@dataclass(frozen=True)
class Part:
    """One file of a folder: its path below the folder, when it was written, and how to get at it."""

    name: str
    modified_ns: int
    opened: Callable[[], AbstractContextManager[Path]]


@dataclass(frozen=True)
class FolderUpload:
    """A folder as typed rows and rejected rows.

    In `upload` the rows of all files are numbered through, in the order of their names; `files` says which file (String)
    the numbers from `first_row` (Int64) on belong to, `rows` (Int64) being how many it has: its first data row is number
    `first_row`, and is row `file_row` in the file. Rejected rows also have `file` and `file_row`. `left_out` is file -> why
    it was. `version` is the sha256 of all that was read.
    """

    upload: Upload
    files: pl.DataFrame
    version: str
    left_out: Mapping[str, UserError] = field(default_factory=dict)
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def bad(self) -> dict[str, str]:
        """File -> why it was left out, in words."""
        return {name: str(error) for name, error in self.left_out.items()}


def read_folder(
    parts: Sequence[Part],
    folder: str,
    options: DatasetOptions,
    pipeline: "Pipeline",
    unreadable: Mapping[str, str] = MappingProxyType({}),
    limits: ReadLimits = LIMITS,
) -> FolderUpload:
    """Read, type and validate all files of a folder as one table.

    Args:
        parts: Its files, in any order.
        folder: The user's name of the folder, which messages show.
        options: The user's choices, for all files alike.
        pipeline: Whose roles name the columns and whose rules the rows obey.
        unreadable: Further files that could not be looked at, and why.
        limits: How much a file may hold.

    Raises:
        UserError: the options are wrong, no file can be read, or what can be read makes no dataset.
    """
    check_options(options, pipeline, folder)
    bad = {name: UserError(why) for name, why in unreadable.items()}
    cells: list[Cells] = []
    digests: dict[str, str] = {}
    with ThreadPoolExecutor(READERS) as pool:
        for part, (digest, read) in zip(
            parts, pool.map(lambda p: _read(p, folder, options, pipeline, limits), parts), strict=True
        ):
            if isinstance(read, Cells):
                cells.append(read)
                digests[part.name] = digest
            else:
                bad[part.name] = read
    cells.sort(key=lambda each: each.name)
    cells, odd = settle_numbers(cells, options, pipeline)
    bad |= {name: _of_folder(error, name, folder) for name, error in odd.items()}
    while True:
        if not cells:
            raise with_proposals(f"{folder}/: no file in it can be read. {told_bad(bad)}", folder, bad)
        raw, files = one_table(cells)
        written = [each.modified_ns for each in cells]
        kept, repeats = without_repeats(raw, files, written, options, pipeline, _key(cells))
        upload, faulty = _attempt(kept, files, folder, options, pipeline, bad)
        if not faulty:
            break
        bad |= faulty
        cells = [each for each in cells if each.name not in faulty]
    order = {"order": [each.name for each in sorted(cells, key=lambda each: each.written)]} if repeats.rows else {}
    told = {"files": {each.name: digests[each.name] for each in cells}, **order}
    version = hashlib.sha256(json.dumps(told, sort_keys=True).encode(errors="surrogateescape")).hexdigest()
    notes = (
        *upload.notes,
        *repeats.told(),
        *([str(with_proposals(f"Left out: {told_bad(bad)}", folder, bad))] if bad else []),
    )
    rejected = _by_file(upload.rejected, files)
    return FolderUpload(replace(upload, rejected=rejected, notes=notes), files, version, bad, repeats)


def _key(cells: Sequence[Cells]) -> str | None:
    """The column of the table of all files that tells rows apart, as the newest file that says one has it."""
    newest = max((each for each in cells if each.key), key=lambda each: each.written, default=None)
    if newest is None:
        return None
    role = next((role for role, column in newest.roles.items() if column == newest.key), None)
    return next((each.roles[role] for each in cells if role in each.roles), newest.key) if role else newest.key


def told_bad(bad: Mapping[str, UserError]) -> str:
    """The bad files in words, the first few with what is wrong, without the options that would mend it."""
    said = {n: error.said if isinstance(error, ProposalError) else str(error) for n, error in sorted(bad.items())}
    first = " ".join(f"{name}: {why.removeprefix(f'{name}: ')}" for name, why in [*said.items()][:TOLD])
    return first + (f" And {len(bad) - TOLD} more files." if len(bad) > TOLD else "")


def with_proposals(said: str, folder: str, bad: Mapping[str, UserError]) -> UserError:
    """What is wrong, with the options that would mend the bad files, each once: those of a folder hold for all its files."""
    ways: list[Options] = []
    for _, error in sorted(bad.items()):
        ways += [way for way in (error.ways if isinstance(error, ProposalError) else ()) if way not in ways]
    return ProposalError(said, folder, *ways) if ways else UserError(said)


def _of_folder(error: UserError, name: str, folder: str) -> UserError:
    """The error with the options file that counts: the one beside the folder, not one beside its file."""
    own, right = options_file(name), options_file(folder)
    if isinstance(error, ProposalError):
        return ProposalError(error.said.replace(own, right), folder, *error.ways)
    return UserError(str(error).replace(own, right))


def _read(
    part: Part, folder: str, options: DatasetOptions, pipeline: "Pipeline", limits: ReadLimits
) -> tuple[str, Cells | UserError]:
    if part.name.endswith(OPTIONS_SUFFIX):
        return "", UserError(
            f"Options hold for all files of a folder: write them into {options_file(folder)} beside it."
        )
    with part.opened() as path:
        try:
            raw = read_cells(path, part.name, options, limits)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            key = key_column(path) if part.name.lower().endswith(".parquet") else None
            return digest, replace(cells_of(raw, part.name, part.modified_ns, options, pipeline), key=key)
        except UserError as error:
            return "", _of_folder(error, part.name, folder)


def _attempt(
    raw: RawTable,
    files: pl.DataFrame,
    folder: str,
    options: DatasetOptions,
    pipeline: "Pipeline",
    bad: Mapping[str, UserError],
) -> tuple[Upload, dict[str, UserError]]:
    """The files as one upload; and which of them have more faults than the options allow, with the first fault.

    Where all of them together are refused, they are read once more with any number of faults allowed, to see which it was.
    """
    refusal: UserError | None = None
    try:
        upload = read_rows(raw, folder, options, pipeline)
    except UserError as error:
        refusal = error
        lenient = options.model_copy(update={"max_rejected_fraction": 1.0})
        try:
            upload = read_rows(raw, folder, lenient, pipeline)
        except UserError:
            raise _with_bad(error, folder, bad) from error
    faulty = _over_limit(upload.rejected, files, options.max_rejected_fraction)
    if refusal is not None and (not faulty or len(faulty) == files.height):
        raise _with_bad(refusal, folder, bad) from refusal
    return upload, faulty


def _with_bad(error: UserError, folder: str, bad: Mapping[str, UserError]) -> UserError:
    if not bad:
        return error
    told = f"Left out before: {told_bad(bad)}"
    if isinstance(error, ProposalError):
        return error.said_of(after=told)
    return with_proposals(f"{error} {told}", folder, bad)


def _over_limit(rejected: pl.DataFrame, files: pl.DataFrame, limit: float) -> dict[str, UserError]:
    found = _by_file(rejected.filter(~pl.col("reason").str.starts_with(REASON)), files)
    counted = found.group_by(FILE).agg(
        pl.col(ROW).n_unique().alias("bad"), pl.all().exclude("bad").sort_by(ROW).first()
    )
    over = counted.join(files, on=FILE).filter(pl.col("bad") > limit * pl.col("rows"))
    return {
        row[FILE]: UserError(
            f"{row['bad']:,} of {row['rows']:,} rows have faults. The first: row {row[FILE_ROW]}, "
            + (f"column {quote(row['column'])}: " if row["column"] is not None else "")
            + f"{row['reason']} ({quote(row['value'])})."
        )
        for row in over.iter_rows(named=True)
    }


def _by_file(rejected: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """The faults with the file that each row came in, and its number there."""
    starts = files.select(FILE, pl.col("first_row").alias(ROW), (pl.col("first_row") - pl.col("offset")).alias("start"))
    named = rejected.sort(ROW, maintain_order=True).join_asof(starts.sort(ROW), on=ROW, coalesce=False)
    own = pl.col(ROW) - pl.col(f"{ROW}_right") + pl.col("start")
    return named.with_columns(own.alias(FILE_ROW)).select(*rejected.columns, FILE, FILE_ROW)

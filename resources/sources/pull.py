"""One pull: what is new in a source becomes a file of its dataset's folder, each row once.

What belongs here: the order of the steps. What does not: how an API is asked (`api`, `pages`), what is remembered (`state`).
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from optiflow.errors import TransientError, UserError
from optiflow.parquet import write_parquet
from optiflow.pipelines import PIPELINES
from resources.http_retries import Timing
from resources.landing import landing_prefix
from resources.sources.api import TIMEOUT_SECONDS, Api
from resources.sources.description import Source
from resources.sources.fields import MISSING, as_table, digest, field_of, plain_fields
from resources.sources.pages import fetch, row_key
from resources.sources.state import (
    Reached,
    State,
    asked_from,
    may_come_again,
    one_at_a_time,
    order_of,
    read_state,
    write_state,
)
from resources.storage import Storage

Row = dict[str, Any]
REAL = Timing()
MOST_AHEAD_SECONDS = 86_400
"""A row's mark that is further in the future is a mistake in the row: clocks and time zones differ by less."""


@dataclass(frozen=True)
class Pulled:
    """What a pull came to: rows that were new, rows and pages that were read, the file's address, and how far it got."""

    rows: int
    read: int
    pages: int
    file: str | None = None
    mark: str | int | float | None = None
    notes: tuple[str, ...] = ()


def pull(source: Source, storage: Storage, timing: Timing = REAL, *, from_start: bool = False) -> Pulled:
    """Put the rows that are new since the last pull into `uploads/<pipeline>/<dataset>/`, one pull of a source at a time.

    Args:
        source: What to ask.
        storage: Where the file goes, and where it is kept how far was read.
        timing: Clocks and dice.
        from_start: Take all rows, as if there had been no pull before.

    Raises:
        UserError: the token, the description or the answers are wrong; nothing was taken.
        TransientError: the API does not answer, or not in full, or another process pulls; nothing was taken.
    """
    with one_at_a_time(storage, source.name):
        return _pull(source, storage, timing, from_start)


def _pull(source: Source, storage: Storage, timing: Timing, from_start: bool) -> Pulled:
    before, etag = read_state(storage, source.name)
    state = State() if from_start else before.settled(storage, timing.now())
    if state != before and not from_start:
        etag = write_state(storage, source.name, state, etag)
    reached, wish = state.reached, source.incremental
    latest = timing.now() + MOST_AHEAD_SECONDS
    if isinstance(reached.mark, str) and order_of(reached.mark, source.name) > latest:
        raise UserError(
            f"Source {source.name} was read up to {reached.mark}, which has not come yet, and rows that came since may be "
            f"missing. Read it anew: optiflow pull {source.name} --from-start"
        )
    since = asked_from(reached, wish, source.name) if wish else None
    # Its line for each request has the whole address, and that may have a key in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
        fetched = fetch(Api(source, client, timing), {wish.parameter: since} if wish and since is not None else {})
    if not fetched.rows:
        return Pulled(0, 0, fetched.pages, mark=reached.mark)
    always = _always(fetched.rows, reached, source)
    keyed = {row_key(row, source.key, source.name): row for row in fetched.rows}
    told = {key: (_mark(row, source), digest(row)) for key, row in keyed.items()}
    new = {key: row for key, row in keyed.items() if reached.seen.get(key, (None, ""))[1] != told[key][1]}
    found = [mark for mark, _ in told.values() if mark is not None]
    ahead = [mark for mark in found if isinstance(mark, str) and order_of(mark, source.name) > latest]
    marks = [mark for mark in (reached.mark, *found) if mark is not None and mark not in ahead]
    mark = max(marks, key=lambda each: order_of(each, source.name)) if wish and marks else None
    after = may_come_again(Reached(mark, {**reached.seen, **told}, always), wish, source.name)
    if not new:
        if after != reached:
            write_state(storage, source.name, State(after), etag)
        return Pulled(0, len(keyed), fetched.pages, mark=mark)
    columns = dict(source.columns) or {name: name for name in plain_fields(fetched.rows)}
    notes, key = _notes(fetched.rows, columns, source), _key_column(columns, source)
    if wish and ahead:
        notes += (
            f"{wish.field} is {max(ahead, key=lambda each: order_of(each, source.name))!r} in one of {len(ahead):,} rows that lie more "
            "than a day ahead: they were taken, but do not count for how far was read.",
        )
    file = f"{landing_prefix(source.pipeline)}/{source.dataset}/{_file_name(source, new, timing)}"
    etag = write_state(storage, source.name, State(reached, after, file, timing.now()), etag)
    with storage.writing(file) as path:
        write_parquet(as_table(list(new.values()), columns), path, key)
    try:
        write_state(storage, source.name, State(after), etag)
    except TransientError:
        # In S3 another pull has found the file in place, and gone on from there.
        if read_state(storage, source.name)[0].file == file:
            raise
    return Pulled(len(new), len(keyed), fetched.pages, storage.uri_for(file), mark, notes)


def _file_name(source: Source, new: dict[str, Row], timing: Timing) -> str:
    told = hashlib.sha256(json.dumps(new, sort_keys=True).encode()).hexdigest()[:8]
    return f"{source.name}-{datetime.fromtimestamp(timing.now(), UTC):%Y%m%dT%H%M%SZ}-{told}.parquet"


def _mark(row: Row, source: Source) -> str | int | float | None:
    if source.incremental is None:
        return None
    value = field_of(row, source.incremental.field)
    if value is MISSING or value is None:
        raise UserError(
            f"Source {source.name}: a row has no {source.incremental.field!r}, by which it is known how far was read. Nothing was "
            f"taken. The row has {', '.join(sorted(row))}."
        )
    order_of(value, source.name)
    return value


def _always(rows: list[Row], reached: Reached, source: Source) -> tuple[str, ...]:
    """The fields that every row has had so far.

    Raises:
        UserError: one of them, or one that a column is made of, is in no row any more.
    """
    wanted = list(source.columns.values()) or list(dict.fromkeys(name for row in rows for name in row))
    known = reached.always if reached.always is not None else tuple(source.columns.values())
    gone = [path for path in known if all(field_of(row, path) is MISSING for row in rows)]
    if gone := [path for path in gone if path not in source.optional]:
        there = ", ".join(sorted({name for row in rows for name in row}))
        raise UserError(
            f"Source {source.name}: {', '.join(map(repr, gone))} is in no row any more; there are {there}. Nothing was taken. If "
            "it has a new name, write that into columns; if it is gone for good, add it to optional."
        )
    in_all = [path for path in wanted if all(field_of(row, path) is not MISSING for row in rows)]
    return tuple(in_all if reached.always is None else (path for path in reached.always if path in in_all))


def _key_column(columns: dict[str, str], source: Source) -> str | None:
    """The column that has the key, by which a newer version of a row takes the place of the older one.

    Raises:
        UserError: there is none, and nothing else does in this pipeline.
    """
    found = next((name for name, path in columns.items() if path == source.key), None)
    if source.key is not None and found is None and not PIPELINES[source.pipeline].row_keys:
        raise UserError(
            f"Source {source.name}: no column has {source.key!r}, and {source.pipeline} cannot tell without it which row a changed one "
            f"takes the place of. Nothing was taken. Add it to columns, such as {source.key.rpartition('.')[2]}: {source.key}"
        )
    return found


def _notes(rows: list[Row], columns: dict[str, str], source: Source) -> tuple[str, ...]:
    notes = []
    for name, path in columns.items():
        values = [field_of(row, path) for row in rows]
        if any(isinstance(value, dict | list) for value in values):
            raise UserError(
                f"Source {source.name}: {path!r} holds lists or objects. Name a field in it, such as {path}.id."
            )
        if missing := sum(value is MISSING for value in values):
            notes.append(f"{name}: {path!r} is missing in {missing:,} of {len(rows):,} rows, and empty there.")
    if not source.columns:
        nested = sorted({name for row in rows for name in row} - columns.keys())
        notes += [f"Left out, since they hold lists or objects: {', '.join(nested)}."] if nested else []
    return tuple(notes)

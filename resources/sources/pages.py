"""All rows that an API has since a point, page by page, also while it changes.

What belongs here: which page comes next, and when all rows are there. What does not: how a page is asked for (`api`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from optiflow.errors import TransientError, UserError
from resources.sources.api import Answer, Api, NotThereError
from resources.sources.fields import MISSING, digest, field_of

MOST_PASSES = 5
MOVING = ("page", "offset")
"""Styles that count: a row that is added or deleted meanwhile moves all later ones to another page."""


@dataclass(frozen=True)
class Fetched:
    """The rows, each once and as it was seen last, and how many pages they took."""

    rows: list[dict[str, Any]]
    pages: int


def fetch(api: Api, since: dict[str, Any]) -> Fetched:
    """All rows.

    Where pages are counted, all of them are read again until nothing new turns up: a row that has moved to a page that
    was read already is found by the second look.

    Args:
        api: The connection.
        since: Parameters that ask for what is new.

    Raises:
        UserError: the answers are not what the description says.
        TransientError: the list changes faster than it can be read, or does not answer.
    """
    found: dict[str, dict[str, Any]] = {}
    pages = 0
    for _ in range(MOST_PASSES):
        before = dict(found)
        for rows in _pages(api, since):
            pages += 1
            found |= {row_key(row, api.source.key, api.source.name): row for row in rows}
        # A short page says nothing: the server may cap all of them, and rows of the next one have moved onto it since.
        if api.source.paging.style not in MOVING or found == before:
            return Fetched(list(found.values()), pages)
    raise TransientError(
        f"Source {api.source.name}: the list was another one each of {MOST_PASSES} times that it was read. It is tried again "
        "later; nothing was taken. A paging of style cursor or next does not depend on the places of rows."
    )


def row_key(row: dict[str, Any], key: str | None, source: str) -> str:
    """What tells a row apart from others.

    Raises:
        UserError: the row lacks the field that does.
    """
    if key is None:
        return digest(row)
    value = field_of(row, key)
    if value is MISSING or value is None:
        raise UserError(f"Source {source}: a row has no {key!r}, which is its key. It has {', '.join(sorted(row))}.")
    return str(value)


def _pages(api: Api, since: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    source, paging = api.source, api.source.paging
    url, number = source.url, paging.first if paging.style == "page" else 0
    size = {paging.size_parameter: paging.size} if paging.size_parameter and paging.size else {}
    fixed: dict[str, Any] = {**source.parameters, **since, **size}
    asked = dict(fixed)
    known: set[str] = set()
    counted = _Counted(api)
    while True:
        if paging.style in MOVING:
            asked = {**fixed, str(paging.parameter): number}
        try:
            answer = api.get(url, asked)
        except NotThereError:
            if counted.rows == 0:
                raise
            return  # so do some APIs say that there are no more pages
        rows = _rows(answer, api)
        yield rows
        if paging.style in MOVING:
            if counted.is_end(rows):
                return
            number += 1 if paging.style == "page" else len(rows)
            continue
        onward = _onward(answer, api)
        if onward is None:
            return
        if onward in known:
            raise UserError(f"Source {source.name}: the page after {api.redact(onward)!r} is itself. Check paging.")
        known.add(onward)
        if paging.style == "cursor":
            asked = {**fixed, str(paging.parameter): onward}
        else:
            url, asked = urljoin(answer.url, onward), {}


@dataclass
class _Counted:
    """The counted pages that were read so far in one pass: whether there can be another one."""

    api: Api
    rows: int = 0
    pages: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def is_end(self, rows: list[dict[str, Any]]) -> bool:
        """Whether a page is the last one: it is empty, or has nothing that an earlier one has not.

        Raises:
            UserError: the second page is the first one again, and more rows than fit on one may be there.
        """
        source = self.api.source
        page = digest({"rows": rows})
        keys = {row_key(row, source.key, source.name) for row in rows}
        again = bool(rows) and (page in self.pages or (source.key is not None and keys <= self.keys))
        if again and self.pages == [page] and len(rows) >= (source.paging.size or 1):
            raise UserError(
                f"Source {source.name}: with {source.paging.parameter} the page after the first one is the first one again. Nothing "
                f"was taken. Is {source.paging.parameter!r} what the API calls the number of a "
                f"{'page' if source.paging.style == 'page' else 'row'}? If it gives its only page again, say in size how many rows "
                "a page has."
            )
        self.pages.append(page)
        self.keys |= keys
        self.rows += len(rows)
        return again or not rows


def _onward(answer: Answer, api: Api) -> str | None:
    """The mark or address of the next page; None after the last one."""
    paging = api.source.paging
    if paging.style == "link":
        return answer.link
    if paging.style not in ("next", "cursor"):
        return None
    found = field_of(answer.content, str(paging.next))
    return None if found is MISSING or found in (None, "", False) else str(found)


def _rows(answer: Answer, api: Api) -> list[dict[str, Any]]:
    place, source = api.source.records, api.source.name
    found = field_of(answer.content, place) if place else answer.content
    if not isinstance(found, list):
        there = ", ".join(sorted(answer.content)) if isinstance(answer.content, dict) else type(answer.content).__name__
        raise UserError(
            f"Source {source}: no list of rows at {place or 'the top'!r} of the answer, which has {there or 'nothing'}. Nothing was "
            "taken. If the API has changed, write the new place into records."
        )
    if bad := next((row for row in found if not isinstance(row, dict)), None):
        raise UserError(f"Source {source}: a row is {api.redact(str(bad))[:40]!r} and no object with fields.")
    return found

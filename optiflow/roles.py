"""Roles: the columns that a pipeline knows under names of its own, whatever a file calls them.

What belongs here: which column of a file has which role. What does not: types and formats of cells (`upload`).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from optiflow.errors import UserError
from optiflow.proposals import ProposalError

TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ł": "l"})
"""German umlauts as programs without them write them, and a letter that is no accented one to Unicode."""


@dataclass(frozen=True)
class Role:
    """A column of a pipeline's uploads.

    `kind` is what its cells are: `date` (Date, or Datetime where a time is given), `number` (Float64), `key` or `text`
    (String). `headers` are further names that it goes by; case, accents, blanks and punctuation do not count. `also` are
    names that count only where no column has one of those, the first in the list before the others: a plant is a
    warehouse unless there is a column for the warehouse. A row without a value is rejected unless the role is `nullable`;
    the column may be missing altogether unless it is `required`, or if one of the roles `instead` is there. `absent` is
    what every row gets where the column is missing.
    """

    name: str
    kind: Literal["date", "number", "key", "text"]
    headers: tuple[str, ...] = ()
    required: bool = True
    nullable: bool = False
    read: bool = True
    """Whether anything is done with it. Where nothing is, no cell of it costs a row or refuses a file."""
    also: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    absent: str | None = None


def find_roles(
    roles: Sequence[Role], columns: Sequence[str], given: Mapping[str, str], file_name: str
) -> dict[str, str]:
    """The file's column for each role that it has.

    Args:
        roles: The pipeline's.
        columns: The file's column names.
        given: Role -> column, by the option `columns`.
        file_name: For messages.

    Raises:
        UserError: an option names no role or no column, one column is given two roles, two columns fit one role, or a
            required one has none.
    """
    known = {role.name for role in roles}
    for name, column in given.items():
        if name not in known:
            raise UserError(
                f"{file_name}: option columns names {name!r}, which is no role here: use {', '.join(sorted(known))}."
            )
        if column not in columns:
            close = get_close_matches(column, columns, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"The columns are {', '.join(map(repr, columns))}."
            raise UserError(f"{file_name}: option columns says {name}: {column!r}, which is not a column. {hint}")
        if twice := [other for other in given if other != name and given[other] == column]:
            raise UserError(
                f"{file_name}: option columns says that {column!r} is {name} and {twice[0]} as well: name another column "
                "for one of them."
            )
    found: dict[str, str] = dict(given)
    for role in roles:
        if role.name in found:
            continue
        free = [column for column in columns if column not in given.values()]
        fitting = _named(free, (role.name, *role.headers)) or _first_named(free, role.also)
        if len(fitting) > 1:
            raise ProposalError(
                f"{file_name}: columns {', '.join(map(repr, fitting))} could all be the {role.name}. Say which it is.",
                file_name,
                *({"columns": {role.name: column}} for column in fitting),
            )
        if fitting:
            found[role.name] = fitting[0]
    missing = [role for role in roles if role.required and not {role.name, *role.instead} & found.keys()]
    if missing:
        # All that the file has no column for: what can do without may be what it calls by another name.
        missing = [role for role in roles if role.name not in found and (role in missing or role.absent is not None)]
        wanted = ", ".join(f"{role.name} ({' or '.join((role.headers or (role.name,))[:2])})" for role in missing)
        raise ProposalError(
            f"{file_name}: no column for {wanted}. The columns are {', '.join(map(repr, columns))}. Rename one, or say "
            "which it is.",
            file_name,
            {"columns": {role.name: "<your column>" for role in missing}},
        )
    return found


def fit_roles(roles: Sequence[Role], columns: Sequence[str], *, surely: bool = True) -> bool:
    """Whether the columns go by the names of all required roles; never where there are no roles.

    Args:
        roles: A pipeline's.
        columns: The file's column names.
        surely: Only by names that count in any case, and with those roles that a file may do without, too: a file that
            could be many things is not to be taken for this one.
    """
    wanted = [role for role in roles if role.required or (surely and role.absent is not None)]
    named = {
        role.name: bool(_named(columns, (role.name, *role.headers, *(() if surely else role.also)))) for role in roles
    }
    return bool(wanted) and all(named[role.name] or any(named[name] for name in role.instead) for role in wanted)


def plain_word(text: str) -> str:
    """A name or word without case, accents, blanks and punctuation: `Quantité` and `quantite` are the same, `Stück` and `Stueck`."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(TWO_LETTERS))
    return re.sub(r"[\W_]+", "", "".join(letter for letter in folded if not unicodedata.combining(letter)))


def _named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    wanted = {plain_word(name) for name in names}
    return [column for column in columns if plain_word(column) in wanted]


def _first_named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    return next((found for name in names if (found := _named(columns, (name,)))), [])

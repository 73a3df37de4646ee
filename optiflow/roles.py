"""Roles: the columns that a pipeline knows under names of its own, whatever a file calls them.

What belongs here: which column of a file has which role. What does not: types and formats of cells (`upload`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from optiflow.errors import UserError
from optiflow.proposals import ProposalError


@dataclass(frozen=True)
class Role:
    """A column of a pipeline's uploads.

    `kind` is what its cells are: `date` (Date, or Datetime where a time is given), `number` (Float64), `key` or `text`
    (String). `headers` are further names that it goes by; case, blanks and punctuation do not count. A row without a
    value is rejected unless the role is `nullable`; the column may be missing altogether unless it is `required`.
    """

    name: str
    kind: Literal["date", "number", "key", "text"]
    headers: tuple[str, ...] = ()
    required: bool = True
    nullable: bool = False
    read: bool = True
    """Whether anything is done with it. Where nothing is, no cell of it costs a row or refuses a file."""


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
        names = {_plain(header) for header in (role.name, *role.headers)}
        fitting = [column for column in columns if _plain(column) in names and column not in given.values()]
        if len(fitting) > 1:
            raise ProposalError(
                f"{file_name}: columns {', '.join(map(repr, fitting))} could all be the {role.name}. Say which it is.",
                file_name,
                *({"columns": {role.name: column}} for column in fitting),
            )
        if fitting:
            found[role.name] = fitting[0]
    missing = [role for role in roles if role.required and role.name not in found]
    if missing:
        wanted = ", ".join(f"{role.name} ({' or '.join((role.headers or (role.name,))[:2])})" for role in missing)
        raise ProposalError(
            f"{file_name}: no column for {wanted}. The columns are {', '.join(map(repr, columns))}. Rename one, or say "
            "which it is.",
            file_name,
            {"columns": {role.name: "<your column>" for role in missing}},
        )
    return found


def fit_roles(roles: Sequence[Role], columns: Sequence[str]) -> bool:
    """Whether the columns go by the names of all required roles; never where there are no roles."""
    plain = {_plain(column) for column in columns}
    required = [role for role in roles if role.required]
    return bool(required) and all(
        any(_plain(header) in plain for header in (role.name, *role.headers)) for role in required
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()

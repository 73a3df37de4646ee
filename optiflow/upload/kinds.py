"""What the columns of a table are known to hold before their cells are looked at.

What does not belong here: which column has which role (`optiflow.roles`), and reading cells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optiflow.options import DatasetOptions
from optiflow.roles import Role


@dataclass(frozen=True)
class Kinds:
    """Columns by what their role says; none for a table whose columns have no fixed meaning.

    `loose` ones are mostly numbers, but nothing is done with them, so that any cell will do.
    """

    dates: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()

    def needed(self, options: DatasetOptions) -> list[str]:
        """The columns that have a value in every row."""
        named = (*self.dates, *self.numbers, *self.texts) or tuple(
            name for name in (options.date_column, options.target) if name is not None
        )
        return [name for name in named if name not in self.nullable]

    def used(self, options: DatasetOptions) -> list[str]:
        """The columns whose cells a row is judged by."""
        return list(dict.fromkeys([*self.dates, *self.numbers, *self.texts, *self.needed(options)]))

    def finite(self, options: DatasetOptions) -> list[str]:
        """The columns of finite numbers."""
        return list(self.numbers) if self != PLAIN else [name for name in (options.target,) if name is not None]


PLAIN = Kinds()


def kinds_of(roles: Iterable[Role], columns: Mapping[str, str]) -> Kinds:
    """The kinds of the columns that have a role; `columns` is what the file calls them, role -> column."""
    roles = [role for role in roles if role.name in columns]

    def named(*kinds: str) -> tuple[str, ...]:
        return tuple(columns[role.name] for role in roles if role.read and role.kind in kinds)

    nullable = tuple(columns[role.name] for role in roles if role.nullable)
    loose = tuple(columns[role.name] for role in roles if not role.read)
    return Kinds(named("date"), named("number"), named("key", "text"), nullable, loose)

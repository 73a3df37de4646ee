"""What the columns of a table are known to hold before their cells are looked at.

What does not belong here: which column has which role (`optiflow.pipelines.roles`), and reading cells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from optiflow.options import DatasetOptions
from optiflow.pipelines.roles import Role


@dataclass(frozen=True)
class Kinds:
    """Columns by what their role says; none for a table whose columns have no fixed meaning."""

    dates: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()

    def needed(self, options: DatasetOptions) -> list[str]:
        """The columns that have a value in every row."""
        named = (*self.dates, *self.numbers, *self.texts) or tuple(
            name for name in (options.date_column, options.target) if name is not None
        )
        return [name for name in named if name not in self.nullable]

    def finite(self, options: DatasetOptions) -> list[str]:
        """The columns of finite numbers."""
        return list(self.numbers) if self != PLAIN else [name for name in (options.target,) if name is not None]


PLAIN = Kinds()


def kinds_of(roles: Iterable[Role]) -> Kinds:
    """The kinds of the roles that a file has."""
    roles = tuple(roles)
    return Kinds(
        dates=tuple(role.name for role in roles if role.kind == "date"),
        numbers=tuple(role.name for role in roles if role.kind == "number"),
        texts=tuple(role.name for role in roles if role.kind in ("key", "text")),
        nullable=tuple(role.name for role in roles if role.nullable),
    )

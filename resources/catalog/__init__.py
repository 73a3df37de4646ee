"""The catalog: which datasets, jobs and models exist. Answers what Dagster's event log cannot answer fast.

What belongs here: the three tables, their migrations and their queries. SQLAlchemy is imported when the catalog is
opened, not before: it would cost every sensor process a fifth of a second.
"""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from resources.catalog.store import CatalogStore


class Catalog(dg.ConfigurableResource):
    """The catalog at an SQLAlchemy URL.

    In SQLite its tables are made or migrated when it is first opened; in PostgreSQL by `optiflow db upgrade`.
    """

    url: str

    def open(self) -> "CatalogStore":
        """The queries. One connection pool a process and URL.

        Raises:
            UserError: the URL or the database is not as it must be; says what to mend.
            TransientError: the database does not answer.
        """
        from resources.catalog.store import open_store

        return open_store(self.url)

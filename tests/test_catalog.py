import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import merge_options
from resources.catalog import Catalog, address, schema
from resources.catalog.database import SCHEMA, make_engine
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord, revision_of
from resources.catalog.store import CatalogStore, open_store
from resources.catalog.tables import metadata
from resources.jobs.contract import JobKind, JobState, JobStatus

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a catalog."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'deep' / 'catalog.db'}"


@pytest.fixture
def url(empty_url: str) -> str:
    """The URL of an empty catalog."""
    schema.upgrade(make_engine(empty_url))
    return empty_url


@pytest.fixture
def store(url: str) -> CatalogStore:
    return Catalog(url=url).open()


def dataset(version: str = "ab" * 32, **options: object) -> DatasetRecord:
    merged = merge_options(options)
    return DatasetRecord("orders", "shop", revision_of(version, merged), version, "Shop.csv", 12, merged, NOW)


def job(name: str = "orders-shop-training-0123456789", kind: JobKind = JobKind.TRAINING) -> JobRecord:
    return JobRecord(name, kind, "orders", "shop", "r1", "run-1", JobStatus.PENDING, NOW)


def state(name: str, status: JobStatus, reason: str | None = None) -> JobState:
    return JobState(name, JobKind.TRAINING, status, NOW, failure_reason=reason)


def test_migrations_make_exactly_the_declared_tables(url: str) -> None:
    # Without our own engine, which looks into our schema whatever the connection's search path is.
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            engine.dialect.default_schema_name = SCHEMA
            connection.exec_driver_sql(f"SET search_path TO {SCHEMA}")
        assert set(sa.inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_constant_is_the_newest_migration_and_versions_are_in_order() -> None:
    folder = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    versions = [script.revision for script in folder.walk_revisions()]
    assert versions == sorted(versions, reverse=True)
    assert versions[0] == schema.HEAD
    assert {len(version) for version in versions} == {4}


def _upgrade_and_write(url: str, number: int) -> str | None:
    before = schema.upgrade(make_engine(url))
    open_store(url).put_dataset(dataset(f"{number:02x}" * 32))
    return before


def test_processes_that_upgrade_a_new_catalog_at_once_all_succeed_and_one_does_it(empty_url: str) -> None:
    with get_context("spawn").Pool(3) as pool:
        done = pool.starmap(_upgrade_and_write, [(empty_url, number) for number in range(6)], chunksize=1)
    assert len(open_store(empty_url).datasets()) == 6
    assert done.count(None) == 1
    assert done.count(schema.HEAD) == 5


def test_a_catalog_of_a_newer_program_is_refused_and_left_alone(url: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.update(schema._versions).values(version_num="9999"))
    with pytest.raises(UserError, match="Update OptiFlow"):
        open_store(url)
    with pytest.raises(UserError, match="Update OptiFlow"):
        schema.upgrade(engine)
    assert schema.schema_version(engine) == "9999"


def test_options_come_back_as_they_were(store: CatalogStore) -> None:
    record = dataset(target="y", fred_series=["UNRATE"], split={"strategy": "random", "seed": 3})
    store.put_dataset(record)
    assert store.dataset("orders", "shop") == record


def test_latest_dataset_is_the_one_used_last_even_if_it_is_old(store: CatalogStore) -> None:
    first, second = dataset("1" * 64), dataset("2" * 64)
    for record in (first, second, first):
        store.put_dataset(record)
    assert store.dataset("orders", "shop") == first
    assert store.dataset("orders", "shop", second.revision) == second
    assert len(store.datasets()) == 2


def test_equal_bytes_under_other_options_are_another_revision() -> None:
    assert dataset().revision != dataset(target="y").revision
    assert dataset().revision == dataset().revision


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statuses=st.lists(st.sampled_from(list(JobStatus)), max_size=8))
def test_a_jobs_state_never_moves_back(store: CatalogStore, statuses: list[JobStatus]) -> None:
    order = [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.STOPPING]
    name = f"job-{len(store.jobs())}"
    store.put_job(job(name))
    seen = [store.job(name).status]  # pyright: ignore[reportOptionalMemberAccess]
    for status in statuses:
        store.update_job(state(name, status))
        seen.append(store.job(name).status)  # pyright: ignore[reportOptionalMemberAccess]
    for before, after in pairwise(seen):
        assert before == after if before.is_final else after.is_final or order.index(after) >= order.index(before)
    finals = [status for status in statuses if status.is_final]
    if finals:
        assert seen[-1] == finals[0]


def test_adopting_a_job_moves_it_to_the_new_run_and_keeps_its_state(store: CatalogStore) -> None:
    store.put_job(job())
    store.update_job(state(job().name, JobStatus.STOPPING, "stop asked for"))
    store.put_job(JobRecord(**{**vars(job()), "run_id": "run-2"}))
    found = store.job(job().name)
    assert found is not None
    assert (found.run_id, found.status, found.failure_reason) == ("run-2", JobStatus.STOPPING, "stop asked for")


def test_current_job_is_the_one_submitted_last_of_its_kind(store: CatalogStore) -> None:
    for name in ("a", "b"):
        store.put_job(job(name))
    store.put_job(job("t", JobKind.TRANSFORM))
    current = store.current_job("orders", "shop", "r1", JobKind.TRAINING)
    assert current is not None
    assert current.name == "b"


def test_a_followed_up_job_is_no_longer_open_and_keeps_its_first_time(store: CatalogStore) -> None:
    store.put_job(job("a"))
    store.put_job(job("b"))
    store.mark_followed_up(["a"])
    first = store.job("a")
    store.mark_followed_up(["a"])
    assert [record.name for record in store.open_jobs()] == ["b"]
    assert store.job("a") == first


def test_adopting_opens_a_new_round_only_after_a_follow_up(store: CatalogStore) -> None:
    for expected in (1, 1):
        store.put_job(job("a"))
        assert [record.round for record in store.open_jobs()] == [expected]
    store.mark_followed_up(["a"])
    assert store.open_jobs() == []
    store.put_job(job("a"))
    assert [record.round for record in store.open_jobs()] == [2]


def test_an_adopted_job_is_the_newest_again_however_long_ago_it_was_made(store: CatalogStore) -> None:
    """The learner was edited and the edit taken back while the edited learner's job ran: the first job is adopted."""
    first, second = job("a"), replace(job("b"), created_at=NOW + timedelta(seconds=1))
    for record in (first, replace(job("other"), revision="r2"), second, replace(first, run_id="run-2")):
        store.put_job(record)
    current = store.current_job("orders", "shop", "r1", JobKind.TRAINING)
    assert current is not None
    assert current.name == "a"
    assert [record.name for record in store.open_jobs()] == ["other", "b", "a"]
    assert store.replaced_jobs() == {"b"}
    store.mark_followed_up(["a"])
    assert store.replaced_jobs() == {"b"}  # although the job that replaced it is not open any more
    store.mark_followed_up(["b"])
    assert store.replaced_jobs() == set()


def test_jobs_of_other_revisions_datasets_kinds_and_pipelines_do_not_replace_each_other(store: CatalogStore) -> None:
    for name, other in (
        ("a", {}),
        ("b", {"kind": JobKind.TRANSFORM}),
        ("c", {"dataset": "x"}),
        ("d", {"revision": "2"}),
        ("e", {"pipeline": "p"}),
    ):
        store.put_job(replace(job(name), **other))
    assert (len(store.open_jobs()), store.replaced_jobs()) == (5, set())


def test_what_was_judged_otherwise_replaces_no_champion_judged_by_time(store: CatalogStore) -> None:
    for name in ("first", "drawn", "drawn-too", "by-time", "drawn-last"):
        store.put_model(ModelRecord(name, "orders", "shop", "r1", "uri", NOW))

    def champions() -> list[str]:
        return [model.name for model in store.models() if model.stage == "champion"]

    assert store.champion("orders", "shop") is None
    for name in ("drawn", "drawn-too"):  # nothing better is known yet
        assert store.judge_model(name, {"mse": 1.0}, champion=True, by_time=False) == "champion"
        assert champions() == [name]
    assert store.judge_model("by-time", {"mse": 9.0}, champion=True) == "champion"
    assert store.judge_model("drawn-last", {"mse": 0.1}, champion=True, by_time=False) == "candidate"
    for said in (True, False):  # the same model, judged once more on drawn rows
        assert store.judge_model("by-time", {"mse": 0.1}, champion=said, by_time=False) == "champion"
    champion = store.champion("orders", "shop")
    assert champion is not None
    assert (champion.name, champion.metrics, champion.judged_by_time) == ("by-time", {"mse": 9.0}, True)
    assert champions() == ["by-time"]
    with pytest.raises(UserError, match="knows no model nobody"):
        store.judge_model("nobody", {}, champion=True)


def test_options_for_one_run_do_not_become_the_revision_in_use(store: CatalogStore) -> None:
    own, once = dataset(), replace(dataset(target="x"), standing=False)
    store.put_dataset(once)
    assert store.dataset("orders", "shop") == once  # there is no other
    store.put_dataset(own)
    store.put_dataset(once)
    assert store.dataset("orders", "shop") == own
    assert [record.revision for record in store.datasets()] == [own.revision, once.revision]
    assert store.dataset("orders", "shop", once.revision) == once
    store.put_dataset(replace(once, standing=True))  # its options were written into the options file
    assert store.dataset("orders", "shop") == replace(once, standing=True)
    store.put_dataset(once)  # the options file was withdrawn since
    assert store.dataset("orders", "shop", once.revision) == once
    assert store.dataset("orders", "shop") == own


def test_an_older_catalog_opens_and_says_what_its_rows_can_tell(empty_url: str) -> None:
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        if schema_name := schema.schema_of(engine):
            schema._enter_schema(connection, schema_name)
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        rows: list[tuple[str, dict[str, Any]]] = [
            *(("datasets", _old_dataset(name, split)) for name, split in (("one", "time"), ("two", "random"))),
            *(("jobs", _old_job(name, "one", "training")) for name in ("t1",)),
            *(("jobs", _old_job(name, "two", "training")) for name in ("t2", "t3")),
            *(("jobs", _old_job(f"p-{name}", name, "transform")) for name in ("one", "two")),
            *(("models", _old_model(name, revision)) for name, revision in (("t1", "one"), ("t2", "two"))),
        ]
        for table, row in rows:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    schema.upgrade(engine)
    store = open_store(empty_url)
    assert {job.name: job.model for job in store.jobs()} == {
        "t1": None,
        "t2": None,
        "t3": None,
        "p-one": "t1",
        "p-two": None,  # of two models, nobody has noted which
    }
    assert {model.name: model.judged_by_time for model in store.models()} == {"t1": True, "t2": False}
    assert all(record.standing for record in store.datasets())
    assert store.champion("orders", "shop") is not None


TIME = "2024-05-01 12:00:00+00:00"


def _old_dataset(revision: str, split: str) -> dict[str, Any]:
    options = json.dumps(merge_options({"split": {"strategy": split}}).model_dump(mode="json"))
    key = {"pipeline": "orders", "dataset": "shop", "revision": revision, "version": "v", "file_name": "f"}
    return {**key, "size": 1, "options": options, "created_at": TIME, "used_at": TIME}


def _old_job(name: str, revision: str, kind: str) -> dict[str, Any]:
    key = {"name": name, "kind": kind, "pipeline": "orders", "dataset": "shop", "revision": revision}
    return {**key, "run_id": "r", "status": "Completed", "created_at": TIME, "used_at": TIME, "round": 1}


def _old_model(name: str, revision: str) -> dict[str, Any]:
    key = {"name": name, "pipeline": "orders", "dataset": "shop", "revision": revision, "artifact_uri": "uri"}
    stage = "champion" if revision == "one" else "candidate"
    return {**key, "stage": stage, "metrics": json.dumps({"mse": 1.0}), "created_at": TIME}


def test_a_new_champion_archives_the_one_before_of_its_dataset_only(store: CatalogStore) -> None:
    for name, data in (("m1", "shop"), ("m2", "shop"), ("other", "else")):
        store.put_model(ModelRecord(name, "orders", data, "r1", "file:///m", NOW + timedelta(seconds=len(name))))
    assert store.judge_model("other", {"mse": 1.0}, champion=True) == "champion"
    store.judge_model("m1", {"mse": 2.0}, champion=True)
    assert store.judge_model("m2", {"mse": 3.0}, champion=False) == "candidate"
    store.judge_model("m2", {"mse": 3.0}, champion=True)
    assert {m.name: m.stage for m in store.models()} == {"m1": "archived", "m2": "champion", "other": "champion"}
    assert {m.name: m.metrics["mse"] for m in store.models()}["m2"] == 3.0


def test_a_name_as_long_as_s3_allows_and_a_reason_with_a_nul_are_kept(store: CatalogStore) -> None:
    long = DatasetRecord(**{**vars(dataset()), "file_name": "ä" * 500 + ".csv"})
    store.put_dataset(long)
    assert store.dataset("orders", "shop") == long
    store.put_job(job())
    store.update_job(state(job().name, JobStatus.FAILED, "died:\0 no memory"))
    found = store.job(job().name)
    assert found is not None
    assert found.failure_reason == "died: no memory"


def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store: CatalogStore) -> None:
    zone = timezone(timedelta(hours=-7))
    store.put_job(JobRecord(**{**vars(job()), "created_at": NOW.astimezone(zone)}))
    (found,) = store.jobs()
    assert found.created_at.isoformat() == "2024-05-01T12:00:00+00:00"


def test_threads_that_write_at_once_wait_for_one_another(store: CatalogStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put_dataset(dataset(f"{n:02x}" * 32)), range(40)))
    assert len(store.datasets()) == 40


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:hunter2@h/db",  # pragma: allowlist secret
        "postgresql+pg8000://u:hunter2@h/db",  # pragma: allowlist secret
        "postgresql+asyncpg://u:hunter2@h/db",  # pragma: allowlist secret
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:////tmp/catalog.db",
        "sqlite+pysqlcipher://:hunter2@/catalog.db",  # pragma: allowlist secret
        "sqlite+nonsense://",
        "SQLite:///catalog.db",
        "postgresql://u:hunter2@h:x/db",  # pragma: allowlist secret
        "postgresql://u:p@hunter2@h/db",  # pragma: allowlist secret
        "postgresql://u:hunter2@a..b/db",  # pragma: allowlist secret
    ],
)
def test_an_unusable_url_names_the_variable_and_hides_the_password(url: str) -> None:
    with pytest.raises(UserError, match="OPTIFLOW_CATALOG_URL") as caught:
        make_engine(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_sqlite_is_served_by_pythons_own_driver(scheme: str, tmp_path: Path) -> None:
    engine = make_engine(f"{scheme}:///{tmp_path}/catalog.db")
    assert (engine.driver, engine.url.database) == ("pysqlite", f"{tmp_path}/catalog.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_way_to_write_postgresql_is_served_by_psycopg(scheme: str) -> None:
    parsed = address.parse_address(f"{scheme}://u:p%40w@h:1/d?sslmode=require\n")  # pragma: allowlist secret
    assert parsed.drivername == "postgresql+psycopg"
    assert (parsed.password, parsed.host, parsed.port, parsed.database) == ("p@w", "h", 1, "d")
    assert parsed.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hunter2@h:1/d?sslpassword=hunter3",  # pragma: allowlist secret
        "postgresql://h/d?user=u&password=hunter2",  # pragma: allowlist secret
    ],
)
def test_a_shown_address_says_where_and_holds_no_password(text: str) -> None:
    parsed = address.parse_address(text)
    said = address.shown(parsed) + address.without_secrets("hunter2 hunter3 failed", parsed)
    assert "@h:1/d" in said or "://h/d" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("bad", ["{", "17", '{"split": 5}'])
def test_a_row_that_cannot_be_read_is_named_hides_no_other_and_is_mended_by_its_next_run(
    store: CatalogStore, url: str, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, damaged = dataset(target="a"), dataset("cd" * 32, target="b")
    for record in (good, damaged):
        store.put_dataset(record)
    if url.startswith("postgresql") and bad == "{":
        pytest.skip("PostgreSQL itself takes no text that is not JSON")
    table = metadata.tables[next(name for name in metadata.tables if name.endswith("datasets"))]
    with make_engine(url).begin() as connection:
        write = sa.update(table).where(table.c.revision == damaged.revision)
        connection.execute(
            write.values(options=sa.text("CAST(:bad AS JSON)" if "postgresql" in url else ":bad")), {"bad": bad}
        )
    assert store.datasets() == [good]
    assert f"The catalog's options of orders shop, revision {damaged.revision}, cannot be read" in caplog.text
    with pytest.raises(UserError, match=damaged.revision):
        store.dataset("orders", "shop", damaged.revision)
    store.put_dataset(damaged)
    assert store.datasets() == [damaged, good]

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import merge_options
from resources.catalog import Catalog, database
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord, revision_of
from resources.catalog.store import CatalogStore, open_store
from resources.catalog.tables import metadata
from resources.jobs.contract import JobKind, JobState, JobStatus

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> CatalogStore:
    return Catalog(url=f"sqlite:///{tmp_path / 'deep' / 'catalog.db'}").open()


def dataset(version: str = "ab" * 32, **options: object) -> DatasetRecord:
    merged = merge_options(options)
    return DatasetRecord("orders", "shop", revision_of(version, merged), version, "Shop.csv", 12, merged, NOW)


def job(name: str = "orders-shop-training-0123456789", kind: JobKind = JobKind.TRAINING) -> JobRecord:
    return JobRecord(name, kind, "orders", "shop", "r1", "run-1", JobStatus.PENDING, NOW)


def state(name: str, status: JobStatus, reason: str | None = None) -> JobState:
    return JobState(name, JobKind.TRAINING, status, NOW, failure_reason=reason)


def test_migrations_make_exactly_the_declared_tables(store: CatalogStore) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_constant_is_the_newest_migration() -> None:
    folder = Path(database.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == database.HEAD


def _open_and_write(url: str, number: int) -> int:
    open_store(url).put_dataset(dataset(f"{number:02x}" * 32))
    return len(open_store(url).datasets())


def test_processes_that_open_a_new_catalog_at_once_all_succeed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    with get_context("spawn").Pool(3) as pool:
        pool.starmap(_open_and_write, [(url, number) for number in range(6)])
    assert len(open_store(url).datasets()) == 6


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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(list(JobStatus)), max_size=8))
def test_a_jobs_state_never_moves_back(statuses: list[JobStatus]) -> None:
    store = open_store("sqlite://")
    order = [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.STOPPING]
    name = f"job-{'-'.join(statuses)}"[:63]
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
    store.update_job(state(job().name, JobStatus.FAILED, "no memory"))
    store.put_job(JobRecord(**{**vars(job()), "run_id": "run-2"}))
    found = store.job(job().name)
    assert found is not None
    assert (found.run_id, found.status, found.failure_reason) == ("run-2", JobStatus.FAILED, "no memory")


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


def test_a_new_champion_archives_the_one_before_of_its_dataset_only(store: CatalogStore) -> None:
    for name, data in (("m1", "shop"), ("m2", "shop"), ("other", "else")):
        store.put_model(ModelRecord(name, "orders", data, "r1", "file:///m", NOW + timedelta(seconds=len(name))))
    assert store.judge_model("other", {"mse": 1.0}, champion=True) == "champion"
    store.judge_model("m1", {"mse": 2.0}, champion=True)
    assert store.judge_model("m2", {"mse": 3.0}, champion=False) == "candidate"
    store.judge_model("m2", {"mse": 3.0}, champion=True)
    assert {m.name: m.stage for m in store.models()} == {"m1": "archived", "m2": "champion", "other": "champion"}
    assert {m.name: m.metrics["mse"] for m in store.models()}["m2"] == 3.0


def test_threads_that_write_at_once_wait_for_one_another(store: CatalogStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put_dataset(dataset(f"{n:02x}" * 32)), range(40)))
    assert len(store.datasets()) == 40


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:hunter2@h/db"])  # pragma: allowlist secret
def test_an_unusable_url_names_the_variable_and_hides_the_password(url: str) -> None:
    with pytest.raises(UserError, match="OPTIFLOW_CATALOG_URL") as caught:
        database.make_engine(url)
    assert "hunter2" not in str(caught.value)

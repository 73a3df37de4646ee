"""Which runs that never began are asked for again, and when: told by a real run storage. The sensor is ticked in
`test_external_jobs_sensor`, where jobs are."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.runs import SqlRunStorage
from damaged_events import damage_an_event
from queued_runs import asked_run, stored_run
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError

from optiflow_dagster.asked_runs import FOLLOWS_TAG
from optiflow_dagster.unstarted_runs import (
    AGAIN_TAG,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LOOKED_BACK,
    MOST_TRIES,
    UnstartedRun,
    unstarted_runs,
)
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobKind, JobStatus
from resources.revision import REVISION_TAG

UPLOAD = dg.RunRequest(run_key="orders/a.csv@1", job_name="orders_training_job", tags={"dagster/partition": "a"})
FOLLOW_UP = dg.RunRequest(
    run_key="j/1", job_name="orders_prediction_job", tags={"dagster/partition": "a", FOLLOWS_TAG: "j/1"}
)
ENDED = JobRecord(
    "j", JobKind.TRAINING, "orders", "a", "r", "run", JobStatus.COMPLETED, datetime(2024, 5, 1, tzinfo=UTC)
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def fail(instance: dg.DagsterInstance, run_id: str, begun: bool = False) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    if begun:
        start = DagsterEvent(event_type_value=DagsterEventType.RUN_START.value, job_name=run.job_name)
        instance.report_dagster_event(start, run_id)
    instance.report_run_failed(run)
    return run_id


def again(instance: dg.DagsterInstance, first: str, number: int, request: dg.RunRequest = UPLOAD) -> str:
    """The run that the sensor asks for instead."""
    tags = {**request.tags, AGAIN_TAG: first}
    return asked_run(instance, request._replace(run_key=f"{first}/{number}", tags=tags), "unstarted_runs_sensor")


def store_copies(instance: dg.DagsterInstance, run_id: str, copies: int) -> None:
    """More runs like this one, but for their ids and without tags, in one statement."""
    storage = instance.run_storage
    assert isinstance(storage, SqlRunStorage)
    columns = "pipeline_name, status, create_timestamp, update_timestamp"
    statement = f"""
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :copies)
        INSERT INTO runs (run_id, run_body, {columns})
        SELECT run_id || '-' || n, replace(run_body, run_id, run_id || '-' || n), {columns}
        FROM runs, numbers WHERE run_id = :run_id"""
    with storage.connect() as connection:
        connection.execute(sa.text(statement), {"copies": copies, "run_id": run_id})


def found(instance: dg.DagsterInstance, *open_jobs: JobRecord, after: timedelta = timedelta()) -> list[UnstartedRun]:
    return unstarted_runs(instance, lambda: open_jobs, datetime.now(UTC) + after)


@pytest.mark.parametrize("request_", [UPLOAD, FOLLOW_UP], ids=["upload", "follow-up"])
def test_a_run_that_never_began_is_asked_for_again_after_a_growing_pause_and_not_for_ever(
    instance: dg.DagsterInstance, request_: dg.RunRequest
) -> None:
    first = fail(instance, asked_run(instance, request_, "some_sensor"))
    pauses = []
    for number in range(1, MOST_TRIES + 1):
        (one,) = found(instance, ENDED)
        assert (one.first, one.tries) == (first, number)
        if one.due is not None:
            record = instance.get_run_record_by_id(one.run.run_id)
            assert record is not None
            pauses.append(one.due - record.update_timestamp.replace(tzinfo=UTC))
            waiting = again(instance, first, number, request_)
            assert found(instance, ENDED) == []
            fail(instance, waiting)
    assert pauses == [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(MOST_TRIES - 1)]
    assert timedelta(hours=12) < sum(pauses, timedelta()) < timedelta(days=1)
    assert found(instance, ENDED, after=LOOKED_BACK + timedelta(minutes=1)) == []


@pytest.mark.parametrize(
    ("what", "tags", "changes", "begun"),
    [
        ("began", UPLOAD.tags, {}, True),
        ("was asked for by a person", {}, {"sensor": None}, False),
        ("was canceled", UPLOAD.tags, {"status": dg.DagsterRunStatus.CANCELED}, False),
        ("follows a job that was followed otherwise", {FOLLOWS_TAG: "other/1"}, {}, False),
        ("follows an earlier round of a job", {FOLLOWS_TAG: "j/0"}, {}, False),
        ("submits a job again that was followed otherwise", {FOLLOWS_TAG: "other/1/again"}, {}, False),
    ],
)
def test_a_run_is_left_alone_that(
    instance: dg.DagsterInstance, what: str, tags: dict[str, str], changes: dict[str, Any], begun: bool
) -> None:
    sensor = {} if "sensor" in changes else {"dagster/sensor_name": "some_sensor"}
    status = changes.get("status", dg.DagsterRunStatus.QUEUED)
    run_id = stored_run(instance, "orders_training_job", "a", {**tags, **sensor}, status)
    if status is dg.DagsterRunStatus.QUEUED:
        fail(instance, run_id, begun)
    assert found(instance, ENDED) == [], what


def test_dagsters_own_retries_are_of_the_same_work_and_count_for_no_try(instance: dg.DagsterInstance) -> None:
    first = fail(instance, asked_run(instance, UPLOAD, "uploads_sensor"))
    family = {"parent_run_id": first, "root_run_id": first}
    retry = asked_run(
        instance, UPLOAD._replace(tags={**UPLOAD.tags, "dagster/root_run_id": first}), "uploads_sensor", **family
    )
    assert found(instance) == []
    fail(instance, retry)
    (one,) = found(instance)
    assert (one.first, one.run.run_id, one.tries) == (first, retry, 1)
    second = again(instance, first, 1)
    fail(instance, second, begun=True)
    assert found(instance) == []


def test_a_newer_run_of_the_same_work_takes_its_place(instance: dg.DagsterInstance) -> None:
    fail(instance, asked_run(instance, UPLOAD, "uploads_sensor"))
    submits_again = UPLOAD._replace(run_key="k/1/again", asset_selection=[dg.AssetKey(["orders", "training_job"])])
    asked_run(instance, submits_again, "external_jobs_sensor")
    assert len(found(instance)) == 1  # of one asset, and no whole part
    stored_run(instance, "orders_training_job", "b")
    assert len(found(instance)) == 1
    revised = {REVISION_TAG: "2"}  # the upload asset pins what it has found
    newer = stored_run(instance, "orders_training_job", "a", revised, dg.DagsterRunStatus.SUCCESS)
    assert found(instance) == []
    instance.delete_run(newer)
    assert len(found(instance)) == 1


@pytest.mark.parametrize(("revision", "takes_its_place"), [("1", True), ("2", False), (None, True)])
def test_what_has_a_revision_is_done_by_a_newer_run_of_that_alone(
    instance: dg.DagsterInstance, revision: str | None, takes_its_place: bool
) -> None:
    pinned = FOLLOW_UP._replace(tags={**FOLLOW_UP.tags, REVISION_TAG: "1"})
    fail(instance, asked_run(instance, pinned, "external_jobs_sensor"))
    tags = {} if revision is None else {REVISION_TAG: revision}
    stored_run(instance, "orders_prediction_job", "a", tags, dg.DagsterRunStatus.SUCCESS)
    assert (found(instance, ENDED) == []) is takes_its_place


def test_thousands_of_runs_that_began_and_failed_hide_none_that_did_not(instance: dg.DagsterInstance) -> None:
    unstarted = [fail(instance, asked_run(instance, UPLOAD, "uploads_sensor"))]
    store_copies(instance, stored_run(instance, "orders_report_job", "b", status=dg.DagsterRunStatus.FAILURE), 1_001)
    assert instance.get_runs_count(dg.RunsFilter(job_name="orders_report_job")) == 1_002
    other = UPLOAD._replace(tags={"dagster/partition": "b"})
    unstarted.append(fail(instance, asked_run(instance, other, "uploads_sensor")))
    assert [one.first for one in found(instance)] == unstarted


def test_runs_whose_events_are_damaged_hide_no_run_that_never_began(tmp_path: Path) -> None:
    storage = {
        "module": "optiflow_dagster.event_database",
        "class": "EventDatabase",
        "config": {"base_dir": str(tmp_path)},
    }
    with dg.instance_for_test(overrides={"event_log_storage": storage}) as instance:
        unstarted = [fail(instance, asked_run(instance, UPLOAD, "uploads_sensor"))]
        other = UPLOAD._replace(tags={"dagster/partition": "b"})
        unstarted.append(fail(instance, asked_run(instance, other, "uploads_sensor")))
        run = instance.get_run_by_id(unstarted[0])
        assert run is not None
        damage_an_event(instance, tmp_path / "event_log.db", run)
        with pytest.raises(DatabaseError):
            instance.all_logs(unstarted[0])
        assert [one.first for one in found(instance)] == unstarted


def test_the_newer_runs_of_many_are_asked_for_at_once(instance: dg.DagsterInstance) -> None:
    def fail_some(datasets: Iterable[str]) -> None:
        for dataset in datasets:
            fail(instance, asked_run(instance, UPLOAD._replace(tags={"dagster/partition": dataset}), "uploads_sensor"))

    def questions() -> int:
        """How many statements the storage is sent."""
        asked: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            asked.append(statement)

        event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            found(instance)
        finally:
            event.remove(sa.Engine, "before_cursor_execute", note)
        return len(asked)

    fail_some("ab")
    few = questions()
    fail_some(f"dataset-{number}" for number in range(20))
    assert questions() == few
    stored_run(instance, "orders_training_job", "dataset-7")
    assert sorted(str(one.run.tags["dagster/partition"]) for one in found(instance)) == sorted(
        ["a", "b", *(f"dataset-{number}" for number in range(20) if number != 7)]
    )


def test_a_run_key_is_not_used_twice_when_earlier_tries_were_deleted(instance: dg.DagsterInstance) -> None:
    first = fail(instance, asked_run(instance, UPLOAD, "uploads_sensor"))
    tries = [fail(instance, again(instance, first, number)) for number in (1, 2)]
    instance.delete_run(first)
    instance.delete_run(tries[0])
    (one,) = found(instance)
    assert (one.first, one.tries) == (first, 3)

"""Which runs that never began are asked for again, and when: told by a real run storage. The sensor is ticked in
`test_external_jobs_sensor`, where jobs are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from queued_runs import asked_run, stored_run

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
        event = DagsterEvent(event_type_value=DagsterEventType.RUN_START.value, job_name=run.job_name)
        instance.report_dagster_event(event, run_id)
    instance.report_run_failed(run)
    return run_id


def again(instance: dg.DagsterInstance, first: str, number: int, request: dg.RunRequest = UPLOAD) -> str:
    """The run that the sensor asks for instead."""
    tags = {**request.tags, AGAIN_TAG: first}
    return asked_run(instance, request._replace(run_key=f"{first}/{number}", tags=tags), "unstarted_runs_sensor")


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
    newer = stored_run(instance, "orders_training_job", "a", status=dg.DagsterRunStatus.STARTED)
    assert found(instance) == []
    instance.delete_run(newer)
    assert len(found(instance)) == 1

"""In which order queued runs are begun, and which are dropped: told by Dagster's own queue and run storage."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from queued_runs import asked_run, status_of, stored_run

from optiflow.pipelines import PIPELINES
from optiflow_dagster.sensors.replaced_runs import REASON, drop_replaced
from resources.storage import FileStorage

SENSOR = {"dagster/sensor_name": "uploads_sensor"}
REQUEST = dg.RunRequest(run_key="orders/a.csv@2", job_name="orders_training_job", partition_key="a")


@pytest.fixture
def instance(empty_instance: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One whose queue begins one run at a time, so that what it takes next shows."""
    coordinator = {"module": QueuedRunCoordinator.__module__, "class": QueuedRunCoordinator.__name__}
    overrides = {"run_coordinator": coordinator, "concurrency": {"runs": {"max_concurrent_runs": 1}}}
    shutil.copytree(empty_instance, tmp_path, dirs_exist_ok=True)
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as made:
        yield made


def begun(instance: dg.DagsterInstance) -> list[str]:
    """Which partitions the queue begins, one after the other, until it is empty."""
    daemon, taken = QueuedRunCoordinatorDaemon(interval_seconds=5), []
    while runs := daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None):
        taken += [run.tags["dagster/partition"] for run in runs]
        for run in runs:
            instance.delete_run(run.run_id)
    return taken


def test_what_was_begun_is_brought_to_its_report_before_new_uploads_are_begun(
    instance: dg.DagsterInstance, definitions: dg.Definitions
) -> None:
    """The queue is filled in the order in which runs are asked for: uploads first, the rest when their jobs have ended."""
    asked = [("training", "a"), ("training", "b"), ("prediction", "c"), ("training", "d"), ("report", "e")]
    for part, dataset in [*asked, ("prediction", "f"), ("report", "g")]:
        job = definitions.resolve_job_def(f"orders_{part}_job")
        stored_run(instance, job.name, dataset, job.run_tags)  # the daemon gives runs the tags of their job
    assert begun(instance) == ["e", "g", "c", "f", "a", "b", "d"]


def test_what_was_just_uploaded_is_begun_before_the_weekly_retrainings(
    instance: dg.DagsterInstance, definitions: dg.Definitions, tmp_path: Path
) -> None:
    storage = FileStorage(uri=tmp_path.joinpath("storage").as_uri())
    storage.write_bytes("uploads/orders/old.csv", b"a\n1\n")
    instance.add_dynamic_partitions("optiflow_orders", ["old"])
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2024, 5, 6, 5, tzinfo=UTC),
        repository_def=repository,
        resources={"storage": storage},
    ) as context:
        tick = repository.get_schedule_def("orders_retraining_schedule").evaluate_tick(context)
    (request,) = tick.run_requests or []
    stored_run(instance, "orders_training_job", "old", request.tags)
    stored_run(instance, "orders_training_job", "new", SENSOR)
    assert begun(instance) == ["new", "old"]


def test_every_pipeline_has_the_same_order(definitions: dg.Definitions) -> None:
    for pipeline in PIPELINES:
        parts = [f"{pipeline}_{part}" for part in ("job", "training_job", "prediction_job", "report_job")]
        tags = [definitions.resolve_job_def(part).run_tags.get("dagster/priority", "0") for part in parts]
        assert tags == ["0", "0", "1", "2"]


@pytest.mark.parametrize(
    ("what", "tags", "changes", "dropped"),
    [
        ("asked for by a sensor", SENSOR, {}, True),
        ("asked for by a schedule", {"dagster/schedule_name": "orders_retraining_schedule"}, {}, True),
        ("asked for by a person", {}, {}, False),
        ("of another dataset", {**SENSOR, "dagster/partition": "b"}, {}, False),
        ("of another part of the chain", SENSOR, {"job": "orders_prediction_job"}, False),
        ("of one asset", SENSOR, {"asset_selection": frozenset([dg.AssetKey("training_job")])}, False),
        ("a retry", SENSOR, {"parent_run_id": "x", "root_run_id": "x"}, False),
        ("begun already", SENSOR, {"status": dg.DagsterRunStatus.STARTED}, False),
    ],
)
def test_a_queued_run_is_dropped_for_a_newer_upload_of_its_dataset(
    instance: dg.DagsterInstance, what: str, tags: dict[str, str], changes: dict[str, Any], dropped: bool
) -> None:
    job = changes.pop("job", "orders_training_job")
    run_id = stored_run(instance, job, "a", tags, **changes)
    before = status_of(instance, run_id)
    drop_replaced(instance, [REQUEST])
    assert status_of(instance, run_id) is (dg.DagsterRunStatus.CANCELED if dropped else before), what
    told = [entry.get_dagster_event().message for entry in instance.all_logs(run_id) if entry.dagster_event]
    assert told == ([REASON, REASON] if dropped else [])


def test_a_request_that_has_its_run_already_drops_none(instance: dg.DagsterInstance) -> None:
    """A tick that is repeated after a crash, or a landing folder that is looked through again, asks for old uploads too."""
    old = asked_run(instance, REQUEST, "uploads_sensor", status=dg.DagsterRunStatus.SUCCESS)
    newer = asked_run(instance, REQUEST._replace(run_key="orders/a.csv@3"), "uploads_sensor")
    drop_replaced(instance, [REQUEST])
    assert [status_of(instance, run).value for run in (old, newer)] == ["SUCCESS", "QUEUED"]
    drop_replaced(instance, [REQUEST._replace(run_key="orders/a.csv@3")])
    assert status_of(instance, newer) is dg.DagsterRunStatus.QUEUED

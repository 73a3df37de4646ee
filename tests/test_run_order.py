"""In which order queued runs are begun, and that a run is asked for once: told by Dagster's own queue and run storage."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from optiflow.pipelines import PIPELINES

REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("optiflow"), "__repository__")


def queued(instance: dg.DagsterInstance, job_name: str, dataset: str, **tags: str) -> str:
    """A run that waits in the queue; its id."""
    run = dg.DagsterRun(
        job_name=job_name,
        status=dg.DagsterRunStatus.QUEUED,
        tags={"dagster/partition": dataset, **tags},
        remote_job_origin=RemoteJobOrigin(REPOSITORY, job_name),
    )
    return instance.add_run(run).run_id


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One whose queue begins one run at a time, so that what it takes next shows."""
    coordinator = {"module": QueuedRunCoordinator.__module__, "class": QueuedRunCoordinator.__name__}
    overrides = {"run_coordinator": coordinator, "concurrency": {"runs": {"max_concurrent_runs": 1}}}
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
        queued(instance, job.name, dataset, **job.run_tags)  # the daemon gives runs the tags of their job
    assert begun(instance) == ["e", "g", "c", "f", "a", "b", "d"]


def test_every_pipeline_has_the_same_order(definitions: dg.Definitions) -> None:
    for pipeline in PIPELINES:
        parts = [f"{pipeline}_{part}" for part in ("job", "training_job", "prediction_job", "report_job")]
        tags = [definitions.resolve_job_def(part).run_tags.get("dagster/priority", "0") for part in parts]
        assert tags == ["0", "0", "1", "2"]

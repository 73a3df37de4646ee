"""Runs of one dataset follow one another, whoever asks for them; told by Dagster's own queue under our configuration."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceRequestContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from queued_runs import stored_run

from optiflow_dagster.run_queue import dataset_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=["dagster.yaml", "deploy/dagster-aws.yaml"])
def instance(request: pytest.FixtureRequest, empty_instance: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One with the queue and the limits of our configuration."""
    ours = yaml.safe_load((ROOT / request.param).read_text())
    overrides = {"run_coordinator": ours["run_coordinator"], "concurrency": ours["concurrency"]}
    shutil.copytree(empty_instance, tmp_path, dirs_exist_ok=True)
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as made:
        yield made


def submitted(instance: dg.DagsterInstance, job: str, dataset: str, *assets: str) -> str:
    """A run that was asked for as the UI, a backfill or a sensor does."""
    selection = frozenset(dg.AssetKey(name.split("/")) for name in assets) or None
    run_id = stored_run(instance, job, dataset, status=dg.DagsterRunStatus.NOT_STARTED, asset_selection=selection)
    run = instance.get_run_by_id(run_id)
    workspace: Any = object.__new__(WorkspaceRequestContext)  # the queue asks it for nothing
    instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace))  # pyright: ignore[reportArgumentType]
    return run_id


def begins(instance: dg.DagsterInstance) -> list[str]:
    """The runs that the queue would begin now."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
    return [run.run_id for run in daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)]


def test_datasets_of_one_name_in_two_pipelines_do_not_wait_for_each_other(instance: dg.DagsterInstance) -> None:
    first = submitted(instance, "orders_training_job", "walmart")
    other = submitted(instance, "store_sales_training_job", "walmart")
    assert sorted(begins(instance)) == sorted([first, other])


@pytest.mark.parametrize(
    ("job", "assets"),
    [
        ("orders_training_job", ()),
        ("orders_report_job", ()),
        ("orders_job", ()),
        ("__ASSET_JOB", ("orders/upload", "orders/enriched")),
    ],
)
def test_a_second_run_of_a_dataset_waits_whoever_asks_for_it(
    instance: dg.DagsterInstance, job: str, assets: tuple[str, ...]
) -> None:
    first = submitted(instance, "orders_prediction_job", "walmart")
    submitted(instance, job, "walmart", *assets)
    assert begins(instance) == [first]


def test_a_run_of_no_partition_is_of_no_dataset() -> None:
    assert dataset_of(dg.DagsterRun(job_name="some_job")) is None

"""Runs as Dagster's daemon makes them for sensors, in whatever state a test needs them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("optiflow"), "__repository__")


def stored_run(
    instance: dg.DagsterInstance,
    job_name: str,
    dataset: str,
    tags: Mapping[str, str] | None = None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
    **changes: Any,
) -> str:
    """A run that waits in the queue unless another status is given; its id. `changes` are fields of the run."""
    run = dg.DagsterRun(
        job_name=job_name,
        status=status,
        tags={"dagster/partition": dataset, **(tags or {})},
        remote_job_origin=RemoteJobOrigin(REPOSITORY, job_name),
    )._replace(**changes)
    return instance.add_run(run).run_id


def asked_run(instance: dg.DagsterInstance, request: dg.RunRequest, sensor: str, **changes: Any) -> str:
    """The run that the daemon makes of a sensor's request; its id."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key), "dagster/sensor_name": sensor}
    selection = None if request.asset_selection is None else frozenset(request.asset_selection)
    dataset = request.partition_key or request.tags["dagster/partition"]
    return stored_run(instance, str(request.job_name), dataset, tags, asset_selection=selection, **changes)


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    """As it stands now."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status

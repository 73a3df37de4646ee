"""Submitting once: what becomes of a job whose run was interrupted while it was submitted, and what its name depends on."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from project import FAST, OPTIONS, Project, failure

from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.definitions import build_definitions
from resources.jobs.contract import JobKind, JobRequest, JobState, JobStatus
from resources.jobs.local import LocalJobs

TABLE = samples.orders(200, seed=5, bad_rows=False)
LONG = {**OPTIONS, "hyperparameters": {**FAST, "num_round": 100_000}}


class Interrupted(LocalJobs):
    """The signal arrives when the job is there and before anybody has noted it; `is_canceled` says who sent it."""

    is_canceled: bool

    def submit(self, request: JobRequest) -> JobState:
        super().submit(request)
        instance = dg.DagsterInstance.get()
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        if self.is_canceled:
            instance.report_run_canceling(run)
        raise dg.DagsterExecutionInterruptedError


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    with made.instance:
        yield made
    made.stop_jobs()


@pytest.mark.parametrize("is_canceled", [True, False])
def test_a_job_that_nobody_has_noted_yet_is_stopped_if_its_run_was_canceled(
    project: Project, is_canceled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.drop("shop.csv", TABLE, LONG)
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: project.instance)
    root = str(project.work / "jobs")
    definitions = build_definitions(project.settings, jobs=Interrupted(root=root, is_canceled=is_canceled))
    assert not project.run("orders_training_job", "shop", definitions).success
    (name,) = project.job_names()
    assert project.adapters.catalog.open().jobs() == []
    if is_canceled:
        assert project.adapters.jobs.wait(name, JobKind.TRAINING).status is JobStatus.STOPPED
        return
    again = project.run("orders_training_job", "shop")
    assert again.success, failure(again)
    assert [job.name for job in project.adapters.catalog.open().jobs()] == [name]


class OtherImage(LocalJobs):
    """A place whose jobs run on another image."""

    image: str

    def environment(self, algorithm: str) -> tuple[str, ...]:
        return (self.image,)


def test_another_image_makes_another_job(project: Project) -> None:
    project.drop("shop.csv", TABLE, OPTIONS)
    root = str(project.work / "jobs")
    for image in ("3.2-0", "3.2-0", "3.3-0"):
        definitions = build_definitions(project.settings, jobs=OtherImage(root=root, image=image))
        assert project.run("orders_training_job", "shop", definitions).success
    assert len(project.job_names()) == 2

"""The whole flow under a real `dagster dev` in a subprocess."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_dev import Project, wait_for
from project import clean_environment

from optiflow.pipelines import PIPELINES, samples
from resources.jobs.contract import JobKind, JobStatus

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(1800)]

FLOW_SECONDS = 480
"""A flow takes some 30 s on a quiet machine; the rest is for a busy one."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project that nothing runs in yet."""
    made = Project(tmp_path)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose daemon runs, for the tests that leave it alive."""
    with clean_environment():
        made = Project(tmp_path_factory.mktemp("running"))
        made.start()
        yield made
        made.kill()


def _runs(project: Project, monkeypatch: pytest.MonkeyPatch, job: str) -> list[dg.DagsterRun]:
    monkeypatch.setenv("DAGSTER_HOME", str(project.folder))
    monkeypatch.chdir(project.folder)
    with dg.DagsterInstance.get() as instance:
        return list(instance.get_runs(filters=dg.RunsFilter(job_name=job)))


def test_killing_dagster_loses_nothing_and_trains_nothing_twice(project: Project) -> None:
    lake = project.folder / ".optiflow" / "lake" / "orders"
    project.start()
    project.drop(project.prepare("delta.csv", seed=5))
    for reached in (
        lambda: list((lake / "upload" / "delta").glob("*.parquet")),
        lambda: project.job_folders("delta", "training"),
        lambda: list((lake / "model" / "delta").glob("*/model.tar.gz")),
        lambda: project.job_folders("delta", "transform"),
    ):
        wait_for(reached, FLOW_SECONDS, project)
        project.kill()
        project.start()
    (report,) = wait_for(lambda: project.reports("delta"), FLOW_SECONDS, project)

    predictions = project.lake_table("predictions", "delta")
    actuals = project.lake_table("actuals", "delta")
    judged = predictions.join(actuals, on="row")
    assert judged.height == actuals.height
    mse = ((judged["predicted"] - judged["actual"]) ** 2).mean()
    assert json.loads(report.read_text())["metrics"]["mse"] == pytest.approx(mse, rel=1e-9)
    assert len(project.job_folders("delta", "training")) == 1
    assert len(project.job_folders("delta", "transform")) == 1
    store = project.adapters.catalog.open()
    assert [job.status for job in store.jobs()] == [JobStatus.COMPLETED] * 2
    wait_for(lambda: not store.open_jobs(), FLOW_SECONDS, project)


def test_dropped_files_become_reports_and_backfills_materialize(
    running: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = running
    project.drop(project.prepare("alpha.csv", seed=1))
    wait_for(lambda: project.reports("alpha"), FLOW_SECONDS, project)

    two = [project.prepare("beta.csv", seed=2), project.prepare("gamma.csv", seed=3)]
    project.drop(*two)
    wait_for(lambda: project.reports("beta") and project.reports("gamma"), FLOW_SECONDS, project)
    for dataset in ("alpha", "beta", "gamma"):
        assert len(project.job_folders(dataset, "training")) == 1
        assert len(project.job_folders(dataset, "transform")) == 1
    uploads = [run.tags["dagster/partition"] for run in _runs(project, monkeypatch, "orders_training_job")]
    assert sorted(uploads) == ["alpha", "beta", "gamma"]
    first = project.reports("alpha")[0].read_text()

    project.drop(project.prepare("alpha.csv", seed=4))
    wait_for(lambda: len(project.reports("alpha")) == 2, FLOW_SECONDS, project)
    versions = {json.loads(path.read_text())["version"] for path in project.reports("alpha")}
    assert len(versions) == 2
    assert first in [path.read_text() for path in project.reports("alpha")]
    assert len(project.job_folders("alpha", "training")) == 2

    done = project.dagster("job", "backfill", "-j", "orders_job", "--partitions", "alpha,beta,gamma", "--noprompt")
    assert done.returncode == 0, done.stderr

    def all_materialized() -> bool:
        runs = _runs(project, monkeypatch, "orders_job")
        return len(runs) == 3 and all(run.is_finished for run in runs)

    wait_for(all_materialized, FLOW_SECONDS, project)
    runs = _runs(project, monkeypatch, "orders_job")
    assert {run.tags["dagster/partition"]: run.status for run in runs} == dict.fromkeys(
        ("alpha", "beta", "gamma"), dg.DagsterRunStatus.SUCCESS
    )
    # The backfill found every job done already.
    assert len(project.job_folders("beta", "training")) == 1


def test_a_file_of_each_pipeline_dropped_under_the_daemon_becomes_its_report(running: Project) -> None:
    others = [pipeline for pipeline in PIPELINES.values() if pipeline.name != "orders"]
    project = running
    for pipeline in others:
        samples.write_sample(pipeline.name, project.uploads.with_name(pipeline.name))
    store = project.adapters.catalog.open()
    lake = project.folder / ".optiflow" / "lake"
    folders = [lake / pipeline.name / pipeline.report for pipeline in others]

    def all_reported() -> bool:
        return all(any(folder.rglob("report.json")) for folder in folders)

    wait_for(all_reported, FLOW_SECONDS * len(others), project)
    # Those of `orders` are the other test's.
    jobs = [(job.pipeline, job.kind, job.status) for job in store.jobs() if job.pipeline != "orders"]
    assert sorted(jobs) == sorted(
        (pipeline.name, kind, JobStatus.COMPLETED)
        for pipeline in others
        for kind in (JobKind.TRAINING, JobKind.PROCESSING)
    )
    wait_for(lambda: not store.open_jobs(), FLOW_SECONDS, project)

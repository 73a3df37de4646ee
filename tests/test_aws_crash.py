"""Runs that are killed (SIGKILL) again and again, under a real daemon: nothing is lost, nothing is paid for twice.

Where a run dies is decided by its requests to AWS: the double holds one of them, and the run is killed before it is carried
out, after it was and before the answer arrived, or some time after the answer, which is when it computes or writes to
PostgreSQL. `OPTIFLOW_TEST_KILLS` says how many kills there are to be; `make test-crash` makes it 30.
"""

import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import dagster as dg
import polars as pl
import pytest
from aws_double.client import AwsDouble
from aws_project import MACHINE, AwsDagsterDev, on_double
from dagster_dev import wait_for
from postgres import Postgres

from resources.jobs.contract import JobKind

KILLS = int(MACHINE.get("OPTIFLOW_TEST_KILLS", "8"))
SEED = 20240501
LONGEST_GAP = 40
"""Requests from one kill to the next at most; a dataset's flow makes some 130."""
LATEST_SECONDS = 0.6
AT_ONCE = 3
SECONDS = 240 + 90 * KILLS
RETRIES = 3
"""As `run_retries` in `deploy/dagster-aws.yaml`: a run that is killed more often stays failed."""
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
STARTED = re.compile(r"Started process for run \(pid: (\d+)\)")
WINDOWS = [
    ("sagemaker:CreateTrainingJob", "before"),
    ("sagemaker:CreateTrainingJob", "after"),
    ("sagemaker:CreateModel", "after"),
    ("sagemaker:CreateTransformJob", "before"),
    ("sagemaker:CreateTransformJob", "after"),
]

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(SECONDS + 120)]


@pytest.fixture
def project(
    aws: AwsDouble, postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AwsDagsterDev]:
    # The image is given, since finding it takes the SDK's import of four seconds in every run.
    made = AwsDagsterDev(tmp_path, on_double(aws), postgres_server, monkeypatch, OPTIFLOW_IMAGE_URI=IMAGE)
    yield made
    aws.clear_faults()
    made.kill()


@dataclass
class Killer:
    """Arms the double for each dataset, and kills the dataset's run when a request of it is held.

    `deaths` are the kills: the job and step of the run, the request, and when in it.
    """

    project: AwsDagsterDev
    double: AwsDouble
    instance: dg.DagsterInstance
    random: random.Random
    wanted: int
    deaths: list[tuple[str, str, str]] = field(default_factory=list)
    _armed: dict[str, str] = field(default_factory=dict)
    _of_run: Counter[str] = field(default_factory=Counter)

    def arm(self, dataset: str) -> None:
        """Hold a request of the dataset's, a random number of requests from now."""
        moment = self.random.choice(["before", "after", "later"])
        self.arm_at(dataset, "*", moment, self.random.randrange(LONGEST_GAP))

    def arm_at(self, dataset: str, operation: str, moment: str, skip: int = 0) -> None:
        """Hold this request of the dataset's."""
        self._armed[dataset] = moment
        self.double.add_fault(
            operation, about=dataset, skip=skip, hold=True, after=moment == "after", drop=moment == "before"
        )

    def strike(self) -> list[str]:
        """Kill the runs whose requests are held; returns their datasets, whose requests go on."""
        struck = []
        for dataset, call in self.double.held_calls():
            run = self._run_of(dataset)
            moment = self._armed[dataset]
            if run is None or self._of_run[_root(run)] == RETRIES or not self._kill(run, dataset, call, moment):
                # A sensor asked, or a run that may not die once more: this one lives.
                self.double.release_calls(dataset)
            struck.append(dataset)
        return struck

    def _kill(self, run: dg.DagsterRun, dataset: str, call: str, moment: str) -> bool:
        events = [entry.dagster_event for entry in self.instance.all_logs(run.run_id) if entry.dagster_event]
        pid = next((int(found[1]) for event in events if (found := STARTED.search(event.message or ""))), None)
        if pid is None:
            return False
        if moment == "later":
            self.double.release_calls(dataset)
            time.sleep(self.random.uniform(0, LATEST_SECONDS))
        try:
            if os.getpgid(pid) != self.project.group:
                return False
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.double.release_calls(dataset)
        self._of_run[_root(run)] += 1
        self.deaths.append((f"{run.job_name}/{_step(events)}", call, moment))
        return True

    def _run_of(self, dataset: str) -> dg.DagsterRun | None:
        runs = self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": dataset}))
        return next((run for run in runs if run.status is dg.DagsterRunStatus.STARTED), None)


def _root(run: dg.DagsterRun) -> str:
    return run.tags.get("dagster/root_run_id", run.run_id)


def _step(events: list[dg.DagsterEvent]) -> str:
    """What a run was at."""
    kinds = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS)
    steps = [event for event in events if event.event_type in kinds]
    if not steps:
        return "before its first step"
    return str(steps[-1].step_key) if steps[-1].is_step_start else f"after {steps[-1].step_key}"


def _assert_all_is_well(project: AwsDagsterDev, datasets: list[str]) -> None:
    """One report a dataset that says the truth, one job of each kind, a catalog like the server, a whole lake."""
    there: dict[str, str] = {}
    for kind, operation in ((JobKind.TRAINING, "CreateTrainingJob"), (JobKind.TRANSFORM, "CreateTransformJob")):
        for dataset in datasets:
            jobs = project.jobs_on_server(kind, dataset)
            assert list(jobs.values()) == ["Completed"], (dataset, kind, jobs)
            there |= jobs
        assert project.accepted(operation) == Counter(list(project.jobs_on_server(kind)))
        assert len(project.jobs_on_server(kind)) == len(datasets)
    known = {job.name: job.status.value for job in project.catalog.jobs()}
    assert known == there
    assert {model.dataset for model in project.catalog.models()} == set(datasets)
    for dataset in datasets:
        report = project.report(dataset)
        assert report is not None
        actuals = project.table("actuals", dataset)
        judged = project.table("predictions", dataset).join(actuals, on="row")
        assert judged.height == actuals.height > 0
        mse = judged.select(((pl.col("predicted") - pl.col("actual")) ** 2).mean()).item()
        assert report["metrics"]["mse"] == pytest.approx(mse, rel=1e-9)
    _assert_lake_is_whole(project)


def _assert_lake_is_whole(project: AwsDagsterDev) -> None:
    read = Counter()
    for key in project.place.objects("lake/"):
        data = boto3.client("s3").get_object(Bucket=project.place.bucket, Key=key)["Body"].read()
        if key.endswith(".parquet"):
            pl.read_parquet(data)
        elif key.endswith(".json"):
            json.loads(data)
        read[key.rpartition(".")[2]] += 1
    assert read["parquet"] > 0
    assert read["json"] > 0


def test_runs_killed_at_random_points_leave_every_report_and_one_job_of_each_kind(
    project: AwsDagsterDev, aws: AwsDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first dataset's runs die around the requests that cost money, those of the others anywhere."""
    windows = list(WINDOWS)
    datasets, open_datasets = ["windows"], ["windows"]
    project.start()
    project.upload(project.prepare("windows.csv", seed=0))
    began = time.monotonic()
    with project.instance() as instance:
        killer = Killer(project, aws, instance, random.Random(SEED), KILLS)
        killer.arm_at("windows", *windows.pop(0))

        def is_done() -> bool:
            killed = len(killer.deaths)
            goes_on = killed < KILLS + len(WINDOWS)
            if goes_on and len(open_datasets) < AT_ONCE:
                dataset = f"shop-{len(datasets):02d}"
                datasets.append(dataset)
                open_datasets.append(dataset)
                killer.arm(dataset)
                project.upload(project.prepare(f"{dataset}.csv", seed=len(datasets)))
            for dataset in killer.strike():
                if dataset != "windows" and goes_on:
                    killer.arm(dataset)
                elif dataset == "windows" and windows:
                    killer.arm_at(dataset, *windows.pop(0))
            # Not by the report in S3: the double would hold our own requests for it.
            for dataset in {model.dataset for model in project.catalog.models() if model.metrics} & set(open_datasets):
                open_datasets.remove(dataset)
            return not goes_on and not open_datasets and not project.active_runs() and not project.catalog.open_jobs()

        wait_for(is_done, SECONDS, project)
    steps = Counter(place for place, _, _ in killer.deaths)
    moments = Counter(f"{moment} {call}" for _, call, moment in killer.deaths)
    with capsys.disabled():
        print(f"\n{len(killer.deaths)} kills, {len(datasets)} datasets, {time.monotonic() - began:.0f} s")
        print("by step:", ", ".join(f"{name} {count}" for name, count in sorted(steps.items())))
        print("by request:", ", ".join(f"{name} {count}" for name, count in sorted(moments.items())))
    _assert_all_is_well(project, datasets)
    assert len(killer.deaths) >= KILLS + len(WINDOWS)

"""A tick of `external_jobs_sensor` over a thousand running jobs: real catalog, instance and HTTP, seeded jobs.

Calls are counted by the server. The peer asks as a sensor does that knows no listing: one describe a job. The tick's
time is mostly that of a thousand looks into Dagster's run storage, which is SQLite here; its bound is half of the
sensor's interval of five seconds.
"""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg

from benchmarks.aws_server import aws_server
from benchmarks.figure import Figure
from benchmarks.measuring import in_turns, timed
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.external_jobs import INTERVAL_SECONDS
from resources.adapters import Adapters
from resources.aws.client import client
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobKind, JobStatus
from resources.settings import load_settings

if TYPE_CHECKING:
    from aws_double.client import AwsDouble

PIPELINE = "orders"
ROLE = "arn:aws:iam::123456789012:role/bench"
JOBS, TURNS = 1_000, 3
QUICK_JOBS, QUICK_TURNS = 20, 1
MOST_CALLS, LIMIT_SECONDS = 25, INTERVAL_SECONDS / 2


class Running:
    """Training jobs of as many datasets, all of them running on the server and open in the catalog; their runs ended."""

    def __init__(self, server: "AwsDouble", home: Path, instance: dg.DagsterInstance, jobs: int) -> None:
        settings = load_settings(home=home, env="aws", storage="s3://optiflow-bench", sagemaker_role_arn=ROLE)
        adapters = Adapters.of(settings)
        self._resources = {"catalog": adapters.catalog, "jobs": adapters.jobs}
        self._definitions = build_definitions(settings)
        self._sensor = self._definitions.resolve_sensor_def("external_jobs_sensor")
        self._server = server
        self.names = server.seed_training_jobs(jobs)
        store, now = adapters.catalog.open(), datetime.now(UTC)
        for number, name in enumerate(self.names):
            run = dg.DagsterRun(job_name=f"{PIPELINE}_training_job", status=dg.DagsterRunStatus.SUCCESS)
            instance.add_run(run)
            store.put_job(
                JobRecord(
                    name, JobKind.TRAINING, PIPELINE, f"shop-{number}", "0" * 12, run.run_id, JobStatus.IN_PROGRESS, now
                )
            )

    def tick(self, instance: dg.DagsterInstance) -> str:
        """What a tick says."""
        with dg.build_sensor_context(
            instance_ref=instance.get_ref(),  # as the code server has it
            definitions=self._definitions,
            resources=self._resources,
        ) as context:
            return str(self._sensor.evaluate_tick(context).skip_message)

    def tick_cost(self, instance: dg.DagsterInstance) -> tuple[int, float]:
        """API calls and seconds of a tick that finds all jobs at work."""
        self._server.clear_requests()
        said, seconds = timed(partial(self.tick, instance))
        if said != f"{len(self.names)} job(s) still running.":
            raise SystemExit(f"The sensor did not find its jobs: {said}")
        return len(self._server.requests()), seconds

    def describe_cost(self) -> tuple[int, float]:
        """API calls and seconds of one describe a job."""
        self._server.clear_requests()
        _, seconds = timed(self._describe_each)
        return len(self._server.requests()), seconds

    def _describe_each(self) -> None:
        for name in self.names:
            client("sagemaker").describe_training_job(TrainingJobName=name)


def figures(quick: bool) -> list[Figure]:
    """Measure."""
    jobs, turns = (QUICK_JOBS, QUICK_TURNS) if quick else (JOBS, TURNS)
    with aws_server() as server, TemporaryDirectory() as name, dg.instance_for_test() as instance:
        running = Running(server, Path(name), instance, jobs)
        costs = in_turns(turns, ours=partial(running.tick_cost, instance), peer=running.describe_cost)
    calls = {side: max(calls for calls, _ in taken) for side, taken in costs.items()}
    seconds = {side: min(seconds for _, seconds in taken) for side, taken in costs.items()}
    return [
        Figure("jobs-tick-calls", calls["ours"], calls["peer"], "calls", "ours", MOST_CALLS),
        Figure("jobs-tick", seconds["ours"], seconds["peer"], "s", "ours", LIMIT_SECONDS),
    ]

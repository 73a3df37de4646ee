"""A project folder of its own for tests that run the whole of OptiFlow in this process: by Dagster, and by the command line."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from optiflow.pipelines import PIPELINES
from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.cli import main
from optiflow_dagster.definitions import build_definitions
from resources.adapters import Adapters
from resources.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "orders"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
FAST = {"num_round": 40, "eta": 0.2}
OPTIONS = {**samples.SAMPLE_OPTIONS, "hyperparameters": FAST}


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def shown(self) -> str:
        """All that the person saw."""
        return self.out + self.err


class Project:
    """A folder with `dagster.yaml`, its landing folder, its lake, and an instance of Dagster in memory."""

    def __init__(self, home: Path, pipeline: str = PIPELINE, **settings: object) -> None:
        self.pipeline = pipeline
        self.home = home
        shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
        self.settings = load_settings(**{"home": home, "upload_settle_seconds": 0, **settings})
        self.adapters = Adapters.of(self.settings)
        self.definitions = build_definitions(self.settings)
        self.instance = dg.DagsterInstance.ephemeral()
        self.work = home / ".optiflow"
        self.uploads = self.work / "uploads" / pipeline
        self.uploads.mkdir(parents=True)

    def drop(self, name: str, table: pl.DataFrame | bytes, options: Mapping[str, Any] | None = None) -> Path:
        """Put a file into the landing folder, its options file first; returns its path."""
        if options is not None:
            (self.uploads / f"{name}.options.yaml").write_text(yaml.safe_dump(dict(options)))
        data = table if isinstance(table, bytes) else table.write_csv().encode()
        (self.uploads / name).write_bytes(data)
        return self.uploads / name

    def run(
        self,
        job: str,
        dataset: str,
        definitions: dg.Definitions | None = None,
        tags: Mapping[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job for one dataset, as `optiflow run` does; a failure is in the result."""
        self.instance.add_dynamic_partitions(f"optiflow_{self.pipeline}", [dataset])
        return (
            (definitions or self.definitions)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                partition_key=dataset,
                tags={"optiflow/started_by": "cli", **(tags or {})},
                run_config={**QUIET, **(run_config or {})},
                raise_on_error=False,
            )
        )

    def table(self, asset: str, dataset: str, revision: str | None = None) -> pl.DataFrame:
        """A table in the lake, of the revision in use."""
        return pl.read_parquet(self.path(asset, dataset, ".parquet", revision), glob=False)

    def path(self, asset: str, dataset: str, suffix: str, revision: str | None = None) -> Path:
        """Where a part of a revision lies."""
        record = self.adapters.catalog.open().dataset(self.pipeline, dataset, revision)
        assert record is not None
        return self.work / record.key(asset, suffix)

    def report(self, dataset: str, revision: str | None = None) -> dict[str, Any]:
        """The report as programs read it."""
        return json.loads(self.path(PIPELINES[self.pipeline].report, dataset, "/report.json", revision).read_text())

    def job_names(self) -> set[str]:
        """The folders of all jobs that ever ran here."""
        return {path.name for path in (self.work / "jobs").glob(f"{self.pipeline.replace('_', '-')}-*")}

    def stop_jobs(self) -> None:
        """End the jobs that still run, so that none outlives its test."""
        for job in self.adapters.jobs.list_active():
            self.adapters.jobs.stop(job.name, job.kind)
            self.adapters.jobs.wait(job.name, job.kind)

    def optiflow(self, *arguments: str | Path, **environment: str) -> Said:
        """Run a command as from a shell in another folder; whatever happens, no stack trace may be seen."""
        variables = {"OPTIFLOW_HOME": str(self.home), "DAGSTER_HOME": None, **environment}
        with contextlib.chdir(self.home), warnings.catch_warnings():
            done = CliRunner(env=variables).invoke(main, [str(argument) for argument in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "Traceback" not in done.output
        told = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(told) == (1 if done.exit_code else 0), done.stderr
        return Said(done.exit_code, done.stdout, done.stderr)


@contextlib.contextmanager
def clean_environment() -> Iterator[None]:
    """No variable of the machine reaches what a fixture of a whole module makes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_")) and name != "OPTIFLOW_SHARED_DATA":
                patch.delenv(name)
        yield


@contextlib.contextmanager
def fresh_project(folder: Path, pipeline: str = PIPELINE, **settings: object) -> Iterator[Project]:
    """A project for a whole module; no variable of the machine reaches it."""
    with clean_environment():
        project = Project(folder, pipeline, **settings)
        with project.instance:
            yield project
        project.stop_jobs()


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What a run says of one of its assets, as plain values."""
    found = [m for m in materializations(result) if m.asset_key.path[-1] == asset]
    return {key: value.value for key, value in found[-1].metadata.items()}


def materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    """Every materialization of a run."""
    return [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """The kind and the message of the failure that ended a run's first failed step."""
    data = next(e for e in result.all_events if e.is_step_failure).step_failure_data.user_failure_data
    assert data is not None, "a step failed with an error that nobody foresaw"
    return str(data.metadata["error_kind"].value), data.description or ""


def assert_lake_is_whole(storage: Path) -> None:
    """Every file of the lake can be read to its end, and nothing half-written lies in it or in the landing folder."""
    assert not list(storage.rglob(".tmp-*"))
    for path in (storage / "lake").rglob("*.parquet"):
        pl.read_parquet(path)
    for path in (storage / "lake").rglob("*.json"):
        json.loads(path.read_text())

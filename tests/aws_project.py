"""A project in AWS mode for tests: uploads, lake and jobs on AWS or its double, catalog and Dagster's storage in PostgreSQL.

What belongs here: setting it up, and asking each of the places what it holds. What does not: faults and what tests expect.
"""

import contextlib
import io
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
import yaml
from aws_double.client import REGION, AwsDouble
from dagster._core.instance.ref import InstanceRef
from dagster_dev import ROOT, DagsterDev
from postgres import Postgres

from resources.adapters import Adapters
from resources.catalog.store import CatalogStore
from resources.jobs.contract import JobKind
from resources.settings import load_settings

BUCKET = "optiflow-test"
ROLE = "arn:aws:iam::123456789012:role/optiflow-sagemaker"
# Read before the fixtures take the machine's variables away from tests.
MACHINE = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "OPTIFLOW_"))}
LISTS = {
    JobKind.TRAINING: ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName", "TrainingJobStatus"),
    JobKind.TRANSFORM: ("list_transform_jobs", "TransformJobSummaries", "TransformJobName", "TransformJobStatus"),
}


@dataclass(frozen=True)
class Place:
    """Where a test's jobs run and its objects lie: the double, or an account.

    `seconds` is how long a flow may take, most of which a busy machine or SageMaker's own waiting needs.
    """

    storage: str
    role: str
    seconds: float
    double: AwsDouble | None = None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.storage.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix in it."""
        return self.storage.removeprefix("s3://").partition("/")[2].rstrip("/")

    def objects(self, folder: str = "") -> list[str]:
        """The keys of all objects below the prefix, or below a folder of it."""
        listing = boto3.client("s3").get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/{folder}")
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


def on_double(double: AwsDouble, seconds: float = 480) -> Place:
    """The double, with a bucket."""
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return Place(f"s3://{BUCKET}/pre", ROLE, seconds, double)


@contextlib.contextmanager
def on_account(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The account that the variables name, below a prefix that nobody else has; its objects are removed afterwards."""
    if MACHINE.get("OPTIFLOW_TEST_AWS") != "1":
        pytest.skip(
            "set OPTIFLOW_TEST_AWS=1, OPTIFLOW_STORAGE and OPTIFLOW_SAGEMAKER_ROLE_ARN to test on an AWS account"
        )
    for name, value in MACHINE.items():
        if name.startswith("AWS_"):
            patch.setenv(name, value)
    region = MACHINE.get("AWS_REGION") or MACHINE.get("AWS_DEFAULT_REGION")
    if region:  # OptiFlow reads the first, this test's own clients the second
        patch.setenv("AWS_REGION", region)
        patch.setenv("AWS_DEFAULT_REGION", region)
    storage, role = MACHINE["OPTIFLOW_STORAGE"], MACHINE["OPTIFLOW_SAGEMAKER_ROLE_ARN"]
    place = Place(f"{storage.rstrip('/')}/test-{uuid.uuid4().hex[:12]}", role, 2400)
    try:
        yield place
    finally:
        for key in place.objects():
            boto3.client("s3").delete_object(Bucket=place.bucket, Key=key)


def instance_config() -> dict[str, Any]:
    """`deploy/dagster-aws.yaml` with what one machine lacks, ECS and a bucket for logs, as on a laptop."""
    made = yaml.safe_load((ROOT / "deploy" / "dagster-aws.yaml").read_text())
    laptop = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    for part in ("run_launcher", "compute_logs"):
        made[part] = laptop[part]
    made["run_monitoring"]["poll_interval_seconds"] = laptop["run_monitoring"]["poll_interval_seconds"]
    runs = laptop["concurrency"]["runs"]["max_concurrent_runs"]
    made["concurrency"]["runs"]["max_concurrent_runs"] = runs
    return made


class AwsDagsterDev(DagsterDev):
    """A project whose Dagster runs here and whose places are elsewhere. Its variables are set in this process too."""

    def __init__(
        self, folder: Path, place: Place, server: Postgres, patch: pytest.MonkeyPatch, **variables: str
    ) -> None:
        url = server.create_database()
        parts = sa.make_url(url)
        super().__init__(
            folder,
            OPTIFLOW_ENV="aws",
            OPTIFLOW_STORAGE=place.storage,
            OPTIFLOW_SAGEMAKER_ROLE_ARN=place.role,
            OPTIFLOW_CATALOG_URL=url,
            DAGSTER_PG_HOST=str(parts.host),
            DAGSTER_PG_PORT=str(parts.port),
            DAGSTER_PG_DB=str(parts.database),
            DAGSTER_PG_USERNAME=str(parts.username),
            DAGSTER_PG_PASSWORD=str(parts.password),
            **variables,
        )
        self.place, self.server, self.database = place, server, str(parts.database)
        (folder / "dagster.yaml").write_text(yaml.safe_dump(instance_config()))
        for name, value in self.variables.items():
            patch.setenv(name, value)
        done = self.command(str(Path(sys.executable).with_name("optiflow")), "db", "upgrade")
        assert done.returncode == 0, done.stderr
        self.adapters = Adapters.of(load_settings(home=folder))

    @property
    def catalog(self) -> CatalogStore:
        """The catalog's queries."""
        return self.adapters.catalog.open()

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's own storage, as the daemon has it."""
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(self.folder))) as instance:
            yield instance

    def upload(self, *files: Path) -> None:
        """Put files into the landing folder, their options first."""
        objects = boto3.client("s3")
        for file in files:
            for path in (file.with_name(f"{file.name}.options.yaml"), file):
                key = f"{self.place.prefix}/uploads/orders/{path.name}"
                objects.upload_file(str(path), self.place.bucket, key)

    def jobs_on_server(self, kind: JobKind, dataset: str = "") -> dict[str, str]:
        """Names and states of the jobs that SageMaker knows, of a dataset or of all."""
        operation, summaries, name, status = LISTS[kind]
        pages = boto3.client("sagemaker").get_paginator(operation).paginate(NameContains=f"orders-{dataset}")
        return {job[name]: job[status] for page in pages for job in page[summaries]}

    def accepted(self, operation: str) -> Counter[str]:
        """How often the double has carried out this `Create…` call and answered, by the job's name."""
        assert self.place.double is not None
        calls = self.place.double.requests(f"sagemaker:{operation}")
        name = f"{operation.removeprefix('Create')}Name"
        return Counter(call["parameters"][name] for call in calls if call["status"] == 200)

    def report(self, dataset: str) -> dict[str, Any] | None:
        """The dataset's report as programs read it, once it is there."""
        record = self.catalog.dataset("orders", dataset)
        if record is None:
            return None
        key = record.key("mse_report", "/report.json")
        return json.loads(self.adapters.storage.read_bytes(key)) if self.adapters.storage.exists(key) else None

    def table(self, asset: str, dataset: str) -> pl.DataFrame:
        """A table of the lake, of the revision in use."""
        record = self.catalog.dataset("orders", dataset)
        assert record is not None
        return pl.read_parquet(io.BytesIO(self.adapters.storage.read_bytes(record.key(asset))))

    def active_runs(self) -> list[str]:
        """The jobs whose runs are under way or about to be."""
        with self.instance() as instance:
            return [run.job_name for run in instance.get_runs() if not run.is_finished]

    def ticks(self, sensor: str) -> int:
        """How often the sensor was evaluated."""
        return self._count("job_ticks", f"tick_body LIKE '%{sensor}%'")

    def rows(self, table: str) -> int:
        """How many rows the table has in PostgreSQL."""
        return self._count(table, "true")

    def _count(self, table: str, where: str) -> int:
        return self.server.execute(f"SELECT count(*) FROM {table} WHERE {where}", self.database)[0][0]

"""`deploy/dagster-aws.yaml` is what Dagster takes, and works: storage in a real PostgreSQL, logs over HTTP in a moto server.

What needs an ECS task around it, launching one, is not run here; the launcher itself is made.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import RunLauncher
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from moto.server import ThreadedMotoServer
from postgres import Postgres

from resources.catalog import Catalog, schema
from resources.catalog.database import make_engine

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "deploy" / "dagster-aws.yaml"
AWS = yaml.safe_load(FILE.read_text())
LAPTOP = yaml.safe_load((ROOT / "dagster.yaml").read_text())
BUCKET = "logs-of-dagster"
PROGRAM = """
import sys
import dagster as dg

@dg.asset
def one() -> int:
    print("printed by the step")
    return 1

with dg.DagsterInstance.get() as instance:
    done = dg.materialize([one], instance=instance)
    print(done.run_id)
    sys.exit(not done.success)
"""


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def variables(postgres_url: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that the file asks for, and the file in its place."""
    shutil.copyfile(FILE, tmp_path / "dagster.yaml")
    url = sa.make_url(postgres_url)
    found = {
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_PG_HOST": str(url.host),
        "DAGSTER_PG_PORT": str(url.port),
        "DAGSTER_PG_DB": str(url.database),
        "DAGSTER_PG_USERNAME": str(url.username),
        "DAGSTER_PG_PASSWORD": str(url.password),
        "DAGSTER_LOGS_BUCKET": BUCKET,
        "DAGSTER_LOGS_PREFIX": "runs",
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    buckets = boto3.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in buckets.list_buckets()["Buckets"]}:
        buckets.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return found


@pytest.fixture
def instance(variables: dict[str, str]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_file_has_the_form_that_dagster_asks_for(tmp_path: Path) -> None:
    shutil.copyfile(FILE, tmp_path / "dagster.yaml")
    config, custom_class = dagster_instance_config(str(tmp_path))
    assert custom_class is None
    assert set(config) == set(AWS)


def test_every_variable_of_the_file_is_explained_at_its_top(variables: dict[str, str]) -> None:
    text = FILE.read_text()
    used = set(re.findall(r"env: (\w+)", text))
    assert used <= set(variables)
    head = text[: text.index("storage:")]
    assert all(name in head for name in used)


@pytest.mark.parametrize("name", ["DAGSTER_PG_HOST", "DAGSTER_PG_PASSWORD", "DAGSTER_LOGS_BUCKET"])
def test_a_missing_variable_is_named(name: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(dg.DagsterInvalidConfigError, match=name):
        use_all_parts()


def use_all_parts() -> None:
    with dg.DagsterInstance.get() as instance:
        instance.get_runs_count()
        assert instance.compute_log_manager is not None


def test_runs_are_retried_and_kept_apart_as_on_a_laptop() -> None:
    assert AWS["run_retries"] == LAPTOP["run_retries"]
    assert AWS["concurrency"]["pools"] == LAPTOP["concurrency"]["pools"]
    aws_runs, laptop_runs = AWS["concurrency"]["runs"], LAPTOP["concurrency"]["runs"]
    assert aws_runs["tag_concurrency_limits"] == laptop_runs["tag_concurrency_limits"]
    assert aws_runs["max_concurrent_runs"] > laptop_runs["max_concurrent_runs"]
    assert AWS["retention"] == LAPTOP["retention"]
    assert AWS["telemetry"] == LAPTOP["telemetry"] == {"enabled": False}


def test_the_instance_is_made_of_the_parts_that_the_file_names(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_storage, PostgresRunStorage)
    assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
    assert isinstance(instance.schedule_storage, PostgresScheduleStorage)
    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    concurrency = instance.get_concurrency_config()
    assert concurrency.run_queue_config is not None
    assert concurrency.run_queue_config.max_concurrent_runs == 20
    assert concurrency.pool_config.default_pool_limit == 2
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 3
    assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False
    assert not instance.telemetry_enabled


def test_times_of_runs_are_of_utc_whichever_zone_the_server_is_in(
    instance: dg.DagsterInstance, postgres_server: Postgres
) -> None:
    assert postgres_server.execute("SHOW timezone") == [("Asia/Kolkata",)]
    run = instance.add_run(dg.DagsterRun("orders_job", status=dg.DagsterRunStatus.STARTED))
    instance.report_run_failed(run)
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    now = datetime.now(UTC)
    assert now - timedelta(minutes=5) < record.create_timestamp <= now
    assert now - timedelta(minutes=5) < record.update_timestamp <= now


def test_the_launcher_is_made_and_gives_runs_the_size_of_the_file(instance: dg.DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, RunLauncher)
    assert isinstance(launcher, EcsRunLauncher)
    assert launcher.supports_check_run_worker_health
    assert launcher.container_name == "run"
    assert launcher.run_resources == {"cpu": "2048", "memory": "8192"}
    assert launcher.secrets_tags == []
    assert launcher.use_current_ecs_task_config


def test_processes_that_start_at_once_on_an_empty_database_all_store_their_runs_and_logs(
    variables: dict[str, str],
) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=os.environ.copy(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    runs = [process.communicate(timeout=120)[0].split()[-1] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    with dg.DagsterInstance.get() as instance:
        assert {run.run_id for run in instance.get_runs()} == set(runs)
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        assert instance.get_latest_materialization_event(dg.AssetKey("one")) is not None
    objects = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="runs/")["Contents"]
    for run in runs:
        (out,) = [found for found in objects if run in found["Key"] and found["Key"].endswith(".out")]
        body = boto3.client("s3").get_object(Bucket=BUCKET, Key=out["Key"])["Body"].read().decode()
        assert "printed by the step" in body
    assert all(found["Size"] > 0 for found in objects)


def test_the_catalog_may_share_the_database_with_dagsters_storage(
    instance: dg.DagsterInstance, postgres_url: str
) -> None:
    # PostgreSQL looks into a schema that is named like the user before all others.
    assert sa.make_url(postgres_url).username == "optiflow"
    assert instance.get_runs_count() == 0
    assert schema.upgrade(make_engine(postgres_url)) is None
    assert Catalog(url=postgres_url).open().jobs() == []
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(os.environ["DAGSTER_HOME"])) as again:
        again.upgrade()
        assert again.get_runs_count() == 0
        again.add_dynamic_partitions("optiflow_orders", ["shop"])
        assert again.get_dynamic_partitions("optiflow_orders") == ["shop"]
    assert Catalog(url=postgres_url).open().jobs() == []

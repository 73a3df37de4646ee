"""The schedules: retraining weekly for datasets that are still there."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import pytest
from aws_double.client import REGION, AwsDouble
from dagster._utils.schedules import schedule_execution_time_iterator

from resources.storage import FileStorage, S3Storage, Storage

MONDAY = datetime(2024, 5, 6, 6, 30, tzinfo=UTC)


def evaluate(
    definitions: dg.Definitions, name: str, instance: dg.DagsterInstance, at: datetime = MONDAY, **resources: object
) -> tuple[list[dg.RunRequest], str]:
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=repository, resources=resources
    ) as context:
        data = repository.get_schedule_def(name).evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or ""


def test_only_datasets_whose_one_file_is_still_there_are_trained_again(
    definitions: dg.Definitions, instance: dg.DagsterInstance, adapters
) -> None:
    storage: Storage = adapters.storage
    instance.add_dynamic_partitions("optiflow_orders", ["shop", "removed", "twice", "empty"])
    for name in ("Shop.csv", "twice.csv", "Twice!.csv", "not-registered.csv"):
        storage.write_bytes(f"uploads/orders/{name}", b"a\n1\n")
    storage.write_bytes("uploads/orders/empty.csv", b"")
    requests, _ = evaluate(definitions, "orders_retraining_schedule", instance, storage=storage)
    assert [(r.partition_key, r.run_key) for r in requests] == [("shop", "shop@2024-05-06")]


MANY = 5_000
BUCKET = "optiflow-schedule-test"


@pytest.fixture(params=["files", "s3"])
def full_landing(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A landing folder of as many files as a tick must be able to ask for."""
    names = [f"shop-{number:04d}.csv" for number in range(MANY)]
    if request.param == "s3":
        double: AwsDouble = request.getfixturevalue("aws")
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        double.seed_objects(BUCKET, [f"team/uploads/orders/{name}" for name in names])
        return S3Storage(uri=f"s3://{BUCKET}/team")
    folder = tmp_path / "uploads" / "orders"
    folder.mkdir(parents=True)
    # One file under many names: a listing sees no difference, and it is made in a tenth of the time.
    (tmp_path / "file").write_bytes(b"a\n1\n")
    for name in names:
        os.link(tmp_path / "file", folder / name)
    return FileStorage(uri=tmp_path.as_uri())


def test_thousands_of_datasets_are_asked_for_within_five_seconds(
    definitions: dg.Definitions, instance: dg.DagsterInstance, full_landing: Storage, request: pytest.FixtureRequest
) -> None:
    """Seconds of the processor, which do not depend on what else the machine does; S3 answers few requests besides."""
    known = [f"shop-{number:04d}" for number in range(MANY)]
    instance.add_dynamic_partitions("optiflow_orders", known)
    began = time.process_time()
    requests, _ = evaluate(definitions, "orders_retraining_schedule", instance, storage=full_landing)
    seconds = time.process_time() - began
    assert sorted(str(asked.partition_key) for asked in requests) == known
    assert seconds < 5
    if isinstance(full_landing, S3Storage):
        double: AwsDouble = request.getfixturevalue("aws")
        assert len(double.requests("s3:ListObjectsV2")) <= MANY / 1000 + 1
        assert len(double.requests()) < 2 * MANY / 1000 + 10  # the bucket's making and its listing among them


def test_without_a_live_dataset_nothing_is_trained(definitions, instance, adapters) -> None:
    instance.add_dynamic_partitions("optiflow_orders", ["removed"])
    requests, said = evaluate(definitions, "orders_retraining_schedule", instance, storage=adapters.storage)
    assert requests == []
    assert said == "No dataset of orders has a file in its landing folder."


def test_retraining_is_due_weekly(definitions: dg.Definitions) -> None:
    schedule = definitions.get_repository_def().get_schedule_def("orders_retraining_schedule")
    times = schedule_execution_time_iterator(MONDAY.timestamp(), schedule.cron_schedule, "UTC")
    first, second, third = (next(times) for _ in range(3))
    assert second - first == third - second == timedelta(days=7)
    assert schedule.job_name == "orders_training_job"

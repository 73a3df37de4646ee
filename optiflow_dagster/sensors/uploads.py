"""`uploads_sensor`: a file in a landing folder becomes a run of its pipeline's first part."""

import time
from collections.abc import Mapping

import dagster as dg

from optiflow.dataset_id import dataset_id
from optiflow.errors import TransientError, UserError
from optiflow.pipelines import PIPELINES
from optiflow_dagster.jobs import PipelineJobs
from optiflow_dagster.partitions import DATASETS
from optiflow_dagster.sensors.replaced_runs import drop_replaced
from optiflow_dagster.sensors.upload_events import evaluate
from optiflow_dagster.sensors.uploads_decision import (
    Decision,
    Overlap,
    Position,
    choose_uploads,
    read_cursor,
    write_cursor,
)
from resources.landing import LandedFile, read_landing
from resources.storage import S3Storage, Storage
from resources.upload_queue import UploadQueue

INTERVAL_SECONDS = 5
FILES_A_TICK = 100
HOUR_NS = 3600 * 10**9
S3_OVERLAP = Overlap(whole_ns=HOUR_NS, in_parts_ns=7 * 24 * HOUR_NS)
"""Seven days, after which the bucket's lifecycle rule of `docs/aws.md` ends an upload in parts."""


def uploads_sensor(
    jobs: Mapping[str, PipelineJobs], settle_seconds: float, queue_url: str | None = None
) -> dg.SensorDefinition:
    """One sensor for the landing folders of all pipelines; with a queue it reads S3's events instead of listing."""

    @dg.sensor(
        jobs=[pipeline.training for pipeline in jobs.values()],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def uploads_sensor(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        """Watches uploads/<pipeline>/ and starts a run for every new or changed file, once it is complete."""
        if queue_url is not None:
            assert isinstance(storage, S3Storage)
            return evaluate(context, storage, UploadQueue(queue_url), jobs)
        return _listed(context, storage)

    def _listed(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        positions = read_cursor(context.cursor)
        decisions: dict[str, Decision] = {}
        faults: list[str] = []
        for name in jobs:
            position = positions.get(name, Position())
            try:
                landing = read_landing(storage, name)
            except (TransientError, UserError) as error:
                # An unreadable folder is not an empty one: its position stays until it can be read. The others go on.
                faults.append(str(error))
                decisions[name] = Decision([], position)
                continue
            faults += landing.faults.values()
            decisions[name] = choose_uploads(
                landing.files,
                position,
                now_ns=time.time_ns(),
                settle_ns=int(settle_seconds * 1e9),
                limit=FILES_A_TICK,
                overlap=S3_OVERLAP if isinstance(storage, S3Storage) else Overlap(),
            )
        for fault in faults:
            context.log.warning(fault)
        return _result(context, decisions, faults)

    return uploads_sensor


def _result(
    context: dg.SensorEvaluationContext, decisions: Mapping[str, Decision], faults: list[str]
) -> dg.SensorResult:
    requests: list[dg.RunRequest] = []
    partitions: list[dg.AddDynamicPartitionsRequest] = []
    notes = faults[:10]
    for name, decision in decisions.items():
        ids: list[str] = []
        for file in decision.take:
            try:
                dataset = dataset_id(file.name)
            except UserError as error:
                context.log.warning(str(error))
                notes.append(str(error))
                continue
            ids.append(dataset)
            requests.append(_request(name, dataset, file))
        partitions += [DATASETS[name].build_add_request(sorted(set(ids)))] if ids else []
        notes += [f"{file.name} is empty or still being written." for file in decision.waiting[:10]]
        notes += [f"{decision.more} more files wait for the next tick."] if decision.more else []
    drop_replaced(context.instance, requests)
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=partitions,
        cursor=write_cursor({name: decision.position for name, decision in decisions.items()}, context.cursor),
        skip_reason=None if requests else " ".join(notes) or f"No new file for {', '.join(PIPELINES)}.",
    )


def _request(pipeline: str, dataset: str, file: LandedFile) -> dg.RunRequest:
    # With the time of the change, so that putting back an earlier version of a file starts a run again.
    return dg.RunRequest(
        run_key=f"{pipeline}/{file.name}@{file.etag}@{file.changed_ns}",
        job_name=f"{pipeline}_training_job",
        partition_key=dataset,
    )

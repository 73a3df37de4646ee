"""`uploads_sensor`: a file in a landing folder, or a folder of files, becomes a run of its pipeline's first part."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow.pipelines import PIPELINES
from optiflow_dagster.asked_runs import count_queued_uploads, with_runs
from optiflow_dagster.jobs import PipelineJobs
from optiflow_dagster.partitions import DATASETS
from optiflow_dagster.sensors.folder_pace import pause_ns
from optiflow_dagster.sensors.former_ids import id_in_use
from optiflow_dagster.sensors.replaced_runs import drop_replaced
from optiflow_dagster.sensors.upload_events import evaluate
from optiflow_dagster.sensors.uploads_cursor import keep, recall
from optiflow_dagster.sensors.uploads_decision import (
    RUNS_AHEAD,
    Decision,
    HaveRuns,
    Overlap,
    Position,
    Upload,
    choose_uploads,
    digest,
    read_cursor,
    write_cursor,
)
from resources.aws.client import hurried
from resources.landing import LandedFile, landing_prefix, left_alone, read_landing
from resources.storage import S3Storage, Storage
from resources.upload_queue import UploadQueue

INTERVAL_SECONDS = 4
"""Dagster's daemon looks every five seconds: a sensor of five would find its time not quite over, and miss every other look."""
PATIENCE_SECONDS = 20
"""A tick in which a listing was not answered lists no more after this: Dagster would end it after a minute."""

HOUR_NS = 3600 * 10**9
S3_OVERLAP = Overlap(whole_ns=HOUR_NS, in_parts_ns=7 * 24 * HOUR_NS)
"""Seven days, after which the bucket's lifecycle rule of `docs/aws.md` ends an upload in parts."""

DISK_OVERLAP = Overlap(whole_ns=HOUR_NS)
"""For a clock that was ahead while nobody looked, and for a folder of another machine whose clock is behind."""


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
        """Watches uploads/<pipeline>/ and starts a run for every new or changed file or folder, once it is complete."""
        with hurried():
            if queue_url is not None:
                assert isinstance(storage, S3Storage)
                return evaluate(context, storage, UploadQueue(queue_url), jobs, int(settle_seconds * 1e9))
            try:
                return _listed(context, storage)
            except (TransientError, UserError) as error:
                return dg.SkipReason(f"Cannot read or write what the sensor remembers: {error}")

    def _listed(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        began, is_down = time.monotonic(), False
        memory = recall(storage, context.cursor)
        positions = read_cursor(memory.text)
        decisions: dict[str, Decision] = {}
        faults = [memory.fault] if memory.fault else []
        for name, job in jobs.items():
            position = positions.get(name, Position())
            # An unreadable folder is not an empty one: its position stays until it can be read. The others go on.
            decisions[name] = Decision([], position)
            if is_down and time.monotonic() - began > PATIENCE_SECONDS:
                faults.append(f"{storage.uri_for(landing_prefix(name))} is left for the next tick.")
                continue
            try:
                landing = read_landing(storage, name)
            except (TransientError, UserError) as error:
                is_down = is_down or isinstance(error, TransientError)
                faults.append(str(error))
                continue
            faults += landing.faults.values()
            decisions[name] = choose_uploads(
                landing.files,
                position,
                now_ns=time.time_ns(),
                settle_ns=int(settle_seconds * 1e9),
                limit=max(0, RUNS_AHEAD - count_queued_uploads(context.instance, job.training.name)),
                overlap=S3_OVERLAP if isinstance(storage, S3Storage) else DISK_OVERLAP,
                unreadable=[f"{landing_prefix(name)}/{table}" for table in landing.faults],
                have_runs=_have_runs(context.instance, name),
                pause_ns=partial(pause_ns, storage),
            )
            faults += _clock_faults(landing.folder, decisions[name])
        for fault in faults:
            context.log.warning(fault)
        positions = {name: decision.position for name, decision in decisions.items()}
        cursor = keep(storage, memory, write_cursor(positions, memory.text), context.cursor)
        return _result(context, storage, decisions, faults, cursor)

    return uploads_sensor


def _have_runs(instance: dg.DagsterInstance, pipeline: str) -> HaveRuns:
    def have_runs(uploads: Sequence[Upload]) -> Collection[Upload]:
        keys = {upload.run_key(pipeline): upload for upload in uploads}
        return {keys[key] for key in with_runs(instance, keys)}

    return have_runs


def _clock_faults(folder: str, decision: Decision) -> list[str]:
    if decision.rewound_from_ns is None:
        return []
    return [
        f"The clock was ahead: {folder} was read up to {_told(decision.rewound_from_ns)}, which has not come yet. It is "
        "looked through again, so that nothing that lands until then is missed; no upload is run twice."
    ]


def _told(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(" ", "seconds")


def _waits(file: LandedFile, now_ns: int) -> str:
    if file.changed_ns > now_ns:
        return f"{file.name} carries a time that has not come yet, {_told(file.changed_ns)}, and waits for it."
    return f"{file.name} is empty or still being written."


def _gathers(folder: LandedFile, position: Position) -> str:
    due = position.folders[digest(folder.table.key)].due_ns
    return f"What is new in {folder.name}/ waits until {_told(due)}, as its option retrain_every says."


def _result(
    context: dg.SensorEvaluationContext,
    storage: Storage,
    decisions: Mapping[str, Decision],
    faults: list[str],
    cursor: str,
) -> dg.SensorResult:
    requests: list[dg.RunRequest] = []
    partitions: list[dg.AddDynamicPartitionsRequest] = []
    notes = faults[:10]
    for name, decision in decisions.items():
        named = _named(context, name, decision.take, notes)
        alone = left_alone(storage, name, {dataset: upload.file for dataset, upload in named})
        for dataset, upload in named:
            if dataset in alone:
                told = f"{upload.file.name} is left alone: its dataset was deleted, and the file has not changed since."
                context.log.warning(told)
                notes.append(told)
        taken = [(dataset, upload) for dataset, upload in named if dataset not in alone]
        requests += [_request(name, dataset, upload) for dataset, upload in taken]
        ids = {dataset for dataset, _ in taken}
        partitions += [DATASETS[name].build_add_request(sorted(ids))] if ids else []
        notes += [_waits(file, time.time_ns()) for file in decision.waiting[:10]]
        notes += [_gathers(file, decision.position) for file in decision.gathering[:10]]
        notes += [f"{decision.more} more files wait until the queue of runs is shorter."] if decision.more else []
    drop_replaced(context.instance, requests)
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=partitions,
        cursor=cursor,
        skip_reason=None if requests else " ".join(notes) or f"No new file for {', '.join(PIPELINES)}.",
    )


def _named(
    context: dg.SensorEvaluationContext, pipeline: str, uploads: Sequence[Upload], notes: list[str]
) -> list[tuple[str, Upload]]:
    """The uploads with their dataset ids; one whose name makes none is told."""
    found: list[tuple[str, Upload]] = []
    for upload in uploads:
        try:
            found.append((id_in_use(context.instance, pipeline, upload.file.dataset, upload.file.stem), upload))
        except UserError as error:
            context.log.warning(str(error))
            notes.append(str(error))
    return found


def _request(pipeline: str, dataset: str, upload: Upload) -> dg.RunRequest:
    return dg.RunRequest(run_key=upload.run_key(pipeline), job_name=f"{pipeline}_training_job", partition_key=dataset)

"""`uploads_sensor` in queue mode: S3 tells of uploads, and a tick costs only what is new.

A message is deleted by the tick after the one that read it: only then are the run requests that it led to recorded. If
Dagster dies in between, the message comes again and leads to the same run key. One that tells of no upload is deleted at
once. A bucket that reports all of its objects reports what this sensor remembers, too: were those messages remembered,
every tick would write, and be told of it, for ever.
"""

import time
from collections.abc import Collection
from dataclasses import replace

import dagster as dg

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.errors import TransientError, UserError
from optiflow_dagster.asked_runs import count_queued_uploads
from optiflow_dagster.partitions import DATASETS
from optiflow_dagster.sensors.folder_pace import pause_ns
from optiflow_dagster.sensors.former_ids import id_in_use
from optiflow_dagster.sensors.replaced_runs import drop_replaced
from optiflow_dagster.sensors.upload_events_decision import (
    Arrival,
    Progress,
    is_upload,
    read_events,
    read_progress,
    take_folders,
    write_progress,
)
from optiflow_dagster.sensors.uploads_cursor import keep, recall
from optiflow_dagster.sensors.uploads_decision import RUNS_AHEAD
from resources.landing import LandedFile, read_landing
from resources.storage import UPLOADS, S3Storage, StoredObject
from resources.upload_events import UnreadableMessageError, UploadEvent, read_message
from resources.upload_queue import Message, UploadQueue

UNREADABLE = "lake/unreadable-messages"


def evaluate(
    context: dg.SensorEvaluationContext,
    storage: S3Storage,
    queue: UploadQueue,
    pipelines: Collection[str],
    settle_ns: int = 0,
) -> dg.SensorResult | dg.SkipReason:
    """One tick: delete what the last one has dealt with, then read what is new."""
    try:
        memory = recall(storage, context.cursor)
        progress = read_progress(memory.text)
        queue.delete(progress.receipts)
        messages = list(queue.receive(_limit(context.instance, pipelines)))
        place = {"bucket": storage.bucket, "prefix": storage.full_key("")}
        told, notes = _read(context, storage, messages)
        events = [event for found in told.values() for event in found]
        reading = read_events(events, progress.known, **place, pipelines=pipelines)
        spare = {receipt for receipt, found in told.items() if not any(is_upload(event, **place) for event in found)}
        queue.delete(spare)
        arrivals = [arrival for found in reading.arrivals if (arrival := _placed(storage, found))]
        inside = {f"{a.pipeline}/{a.name}": a for a in arrivals if a.in_folder}
        new = {name: arrival.run_key for name, arrival in inside.items()}
        taken, folders = take_folders(
            progress.folders,
            (_all_folders(storage, pipelines) if memory.fault else {}) | new,
            [name for name, arrival in inside.items() if arrival.new_options],
            now_ns=time.time_ns(),
            settle_ns=settle_ns,
            pause_ns=lambda name: pause_ns(storage, _folder(storage, name)),
        )
        read = Progress(tuple(receipt for receipt in told if receipt not in spare), reading.known, folders)
        cursor = keep(storage, memory, write_progress(memory.text, read), context.cursor)
    except (TransientError, UserError) as error:
        return dg.SkipReason(f"Cannot read the upload queue: {error}")
    asked = [(a.pipeline, LandedFile(StoredObject(a.key, 0, 0, "")), a.run_key) for a in arrivals if not a.in_folder]
    asked += [(name.partition("/")[0], _folder(storage, name), run_key) for name, run_key in taken.items()]
    requests, partitions = [], {}
    for pipeline, file, run_key in asked:
        try:
            dataset = id_in_use(context.instance, pipeline, file.dataset, file.stem)
        except UserError as error:
            context.log.warning(str(error))
            notes.append(str(error))
            continue
        partitions.setdefault(pipeline, set()).add(dataset)
        requests.append(_request(pipeline, dataset, run_key))
    waiting = sum(drops.run_key is not None for drops in folders.values())
    notes += [*reading.passed_over, *([memory.fault] if memory.fault else [])]
    notes += [f"Folders that collect files until they are due: {waiting}."] if waiting else []
    drop_replaced(context.instance, requests)
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[DATASETS[name].build_add_request(sorted(ids)) for name, ids in partitions.items()],
        cursor=cursor,
        skip_reason=None if requests else " ".join(notes[:10]) or "No new upload in the queue.",
    )


def _placed(storage: S3Storage, arrival: Arrival) -> Arrival | None:
    """The arrival, if there is something to run: options alone are followed by their table, whose event will come."""
    if not arrival.options_only or storage.exists(arrival.key):
        return arrival
    return replace(arrival, in_folder=True) if next(storage.walk(arrival.key), None) else None


def _all_folders(storage: S3Storage, pipelines: Collection[str]) -> dict[str, str]:
    """Every folder of files, and a run key for its state: what had come to them is looked through again."""
    files = {
        f"{pipeline}/{file.name}": file for pipeline in pipelines for file in read_landing(storage, pipeline).files
    }
    return {name: f"{name}@{file.etag}" for name, file in files.items() if file.is_folder}


def _folder(storage: S3Storage, name: str) -> LandedFile:
    """A folder by `<pipeline>/<name>`, with its options; its files do not matter here."""
    key = f"{UPLOADS}/{name}"
    folder = StoredObject(key, 0, 0, "")
    return LandedFile(folder, storage.stat(key + OPTIONS_SUFFIX), parts=(folder,))


def _limit(instance: dg.DagsterInstance, pipelines: Collection[str]) -> int:
    """Of a tick's messages. Which pipeline one is for shows when it is read, so there is one end for all that waits."""
    return min(RUNS_AHEAD, RUNS_AHEAD * len(pipelines) - count_queued_uploads(instance))


def _read(
    context: dg.SensorEvaluationContext, storage: S3Storage, messages: list[Message]
) -> tuple[dict[str, list[UploadEvent]], list[str]]:
    """The events of each message, by its receipt."""
    told: dict[str, list[UploadEvent]] = {message.receipt: [] for message in messages}
    notes: list[str] = []
    for message in messages:
        try:
            told[message.receipt] = read_message(message.body)
        except UnreadableMessageError as error:
            key = f"{UNREADABLE}/{message.id}.txt"
            # Kept before it is deleted: it would come back for ever, and it may be somebody's data.
            storage.write_bytes(key, message.body.encode(errors="surrogatepass"))
            note = f"A message of the upload queue cannot be read: {error}. It was moved to {storage.uri_for(key)}."
            context.log.warning(note)
            notes.append(note)
    return told, notes


def _request(pipeline: str, dataset: str, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, job_name=f"{pipeline}_training_job", partition_key=dataset)

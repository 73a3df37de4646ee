"""`uploads_sensor` in queue mode: S3 tells of uploads, and a tick costs only what is new.

A message is deleted by the tick after the one that read it: only then are the run requests that it led to recorded. If
Dagster dies in between, the message comes again and leads to the same run key. One that tells of no upload is deleted at
once. A bucket that reports all of its objects reports what this sensor remembers, too: were those messages remembered,
every tick would write, and be told of it, for ever.
"""

from collections.abc import Collection

import dagster as dg

from optiflow.dataset_id import dataset_id
from optiflow.errors import TransientError, UserError
from optiflow_dagster.asked_runs import count_queued_uploads
from optiflow_dagster.partitions import DATASETS
from optiflow_dagster.sensors.replaced_runs import drop_replaced
from optiflow_dagster.sensors.upload_events_decision import (
    Arrival,
    Progress,
    is_upload,
    read_events,
    read_progress,
    write_progress,
)
from optiflow_dagster.sensors.uploads_cursor import keep, recall
from optiflow_dagster.sensors.uploads_decision import RUNS_AHEAD
from resources.storage import S3Storage
from resources.upload_events import UnreadableMessageError, UploadEvent, read_message
from resources.upload_queue import Message, UploadQueue

UNREADABLE = "lake/unreadable-messages"


def evaluate(
    context: dg.SensorEvaluationContext, storage: S3Storage, queue: UploadQueue, pipelines: Collection[str]
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
        # Options alone are followed by their table, whose event will come; without one there is nothing to run.
        arrivals = [a for a in reading.arrivals if not a.options_only or storage.exists(a.key)]
        read = Progress(tuple(receipt for receipt in told if receipt not in spare), reading.known)
        cursor = keep(storage, memory, write_progress(memory.text, read), context.cursor)
    except (TransientError, UserError) as error:
        return dg.SkipReason(f"Cannot read the upload queue: {error}")
    requests, partitions = [], {}
    for arrival in arrivals:
        try:
            dataset = dataset_id(arrival.name)
        except UserError as error:
            context.log.warning(str(error))
            notes.append(str(error))
            continue
        partitions.setdefault(arrival.pipeline, set()).add(dataset)
        requests.append(_request(arrival, dataset))
    notes += [*reading.passed_over, *([memory.fault] if memory.fault else [])]
    drop_replaced(context.instance, requests)
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[DATASETS[name].build_add_request(sorted(ids)) for name, ids in partitions.items()],
        cursor=cursor,
        skip_reason=None if requests else " ".join(notes[:10]) or "No new upload in the queue.",
    )


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


def _request(arrival: Arrival, dataset: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=arrival.run_key, job_name=f"{arrival.pipeline}_training_job", partition_key=dataset)

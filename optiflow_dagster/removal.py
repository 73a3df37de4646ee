"""Taking a dataset away with all that was made of it, so that nothing half of it is left.

What belongs here: what goes, what stays and in which order. What does not: asking the person (`cli.datasets`).

The order makes an interrupted removal one that can be repeated: the catalog's rows go last, and in one transaction, since
they say what else there is. Jobs are closed first, so that no sensor begins the next part of a chain meanwhile.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import dagster as dg

from optiflow.dataset_id import check_dataset_id, folder_stem
from optiflow.errors import UserError
from optiflow_dagster.dataset_runs import DatasetRun, active_runs
from optiflow_dagster.partitions import DATASETS
from resources.adapters import Adapters
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord
from resources.landing import LandedFile, Landing, leave_alone, read_landing, remove_upload
from resources.storage import LAKE


@dataclass(frozen=True)
class Belongings:
    """All that there is of a dataset. `bytes` and `files` are those in the lake."""

    pipeline: str
    dataset: str
    records: list[DatasetRecord] = field(default_factory=list)
    jobs: list[JobRecord] = field(default_factory=list)
    models: list[ModelRecord] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    uploads: list[LandedFile] = field(default_factory=list)
    where: str = ""
    """The landing folder."""
    has_partition: bool = False
    endpoint: str | None = None
    sources: tuple[str, ...] = ()
    """Those of `sources.yaml` that put their rows into it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of ours is there; an upload alone is the user's."""
        return not (self.records or self.jobs or self.models or self.folders or self.has_partition or self.endpoint)


def belongings(adapters: Adapters, instance: dg.DagsterInstance, pipeline: str, dataset: str) -> Belongings:
    """Look for all that there is of a dataset; nothing is changed."""
    check_dataset_id(dataset)
    store, storage = adapters.catalog.open(), adapters.storage
    folders = [f"{LAKE}/{pipeline}/{asset}/{dataset}" for asset in storage.folders(f"{LAKE}/{pipeline}")]
    objects = {folder: list(storage.tree(folder)) for folder in folders}
    landing = read_landing(storage, pipeline)
    served = adapters.endpoints.describe(dataset) if adapters.endpoints.pipeline == pipeline else None

    made_from = store.file_name(pipeline, dataset)

    def own(record: DatasetRecord | JobRecord | ModelRecord) -> bool:
        return (record.pipeline, record.dataset) == (pipeline, dataset)

    return Belongings(
        pipeline=pipeline,
        dataset=dataset,
        records=[record for record in store.datasets() if own(record)],
        jobs=[job for job in store.jobs() if own(job)],
        models=[model for model in store.models() if own(model)],
        folders=[folder for folder, found in objects.items() if found],
        files=sum(map(len, objects.values())),
        bytes=sum(found.size for below in objects.values() for found in below),
        uploads=_uploads(landing, dataset, made_from),
        where=landing.folder,
        has_partition=instance.has_dynamic_partition(str(DATASETS[pipeline].name), dataset),
        endpoint=served.name if served else None,
        sources=adapters.sources.filling(pipeline, dataset),
    )


def _uploads(landing: Landing, dataset: str, made_from: str | None) -> list[LandedFile]:
    """The dataset's uploads; one of another id only if the dataset was made from a file of that very name."""
    own = landing.by_dataset().get(dataset, [])
    stem = folder_stem(made_from) if made_from else None
    return own or [file for file in landing.of(dataset, lambda: made_from) if file.stem == stem]


def refuse_while_it_runs(instance: dg.DagsterInstance, pipeline: str, dataset: str) -> None:
    """Make sure that no run works on the dataset.

    Raises:
        UserError: one does; says how it is ended.
    """
    busy: list[DatasetRun] = [
        run for run in active_runs(instance) if (run.pipeline, run.dataset) == (pipeline, dataset)
    ]
    if busy:
        told = "; ".join(f"{run.job} is {run.state}, run {run.run_id}" for run in busy)
        raise UserError(
            f"{pipeline} {dataset} is being worked on: {told}. Wait for it, or cancel it in the UI (make dev), "
            "then do this again. Nothing was changed."
        )


def remove(
    adapters: Adapters, instance: dg.DagsterInstance, found: Belongings, *, uploads: Collection[LandedFile] = ()
) -> None:
    """Take the dataset away; repeated after an interruption it goes on.

    Args:
        adapters: Where it is.
        instance: Dagster's instance. Its history of runs stays: their run keys keep a file that was seen from being run again.
        found: What there is of it.
        uploads: The files in the landing folder that go as well.

    Raises:
        UserError: a run has begun to work on it meanwhile.
    """
    store, storage = adapters.catalog.open(), adapters.storage
    refuse_while_it_runs(instance, found.pipeline, found.dataset)
    store.mark_followed_up(job.name for job in found.jobs)
    if found.has_partition:
        instance.delete_dynamic_partition(str(DATASETS[found.pipeline].name), found.dataset)
    for job in found.jobs:
        state = adapters.jobs.describe(job.name, job.kind)
        if state is not None and not state.status.is_final:
            adapters.jobs.stop(job.name, job.kind)
            adapters.jobs.wait(job.name, job.kind)
        adapters.jobs.remove(job.name, job.kind)
    if found.endpoint:
        adapters.endpoints.delete(found.dataset)
    for file in found.uploads:
        if file in uploads:
            remove_upload(storage, found.pipeline, file)
        else:
            leave_alone(storage, found.pipeline, file.dataset, file)
    if uploads or not found.uploads:
        for source in found.sources:
            adapters.sources.forget(source)
    for folder in found.folders:
        storage.remove_tree(folder)
    store.remove_dataset(found.pipeline, found.dataset)

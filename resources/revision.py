"""Which revision of a dataset a run works on, written on the run itself as a tag.

A run that starts at the upload learns its revision on the way; one that starts later (from the UI, or requested when a
job has ended) brings the tag along or takes the revision in use. Either way all its steps see the same one, also when
a newer upload arrives in between. A process asks once for each run: what a run works on never changes, but by its own
upload.
"""

from collections import OrderedDict

import dagster as dg

from optiflow.errors import UserError
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord

REVISION_TAG = "optiflow/revision"

_RUNS_KNOWN = 32
_known: OrderedDict[tuple[str, str, str], DatasetRecord] = OrderedDict()


def pin(instance: dg.DagsterInstance, run_id: str, record: DatasetRecord) -> None:
    """Make `record` the revision that the rest of this run works on."""
    instance.add_run_tags(run_id, {REVISION_TAG: record.revision})
    _remember(run_id, record)


def pinned(instance: dg.DagsterInstance, run_id: str, catalog: Catalog, pipeline: str, dataset: str) -> DatasetRecord:
    """The revision that this run works on; pins the one in use if the run has none yet.

    Raises:
        UserError: the dataset was never uploaded, or the revision is not in the catalog.
    """
    if known := _known.get((run_id, pipeline, dataset)):
        return known
    run = instance.get_run_by_id(run_id)
    revision = run.tags.get(REVISION_TAG) if run else None
    record = catalog.open().dataset(pipeline, dataset, revision)
    if record is None:
        what = f"revision {revision} of dataset" if revision else "dataset"
        raise UserError(f"There is no {what} {dataset!r} in {pipeline}: materialize {pipeline}/upload for it first.")
    if run and revision is None:
        pin(instance, run_id, record)
    if run:
        _remember(run_id, record)
    return record


def _remember(run_id: str, record: DatasetRecord) -> None:
    _known[run_id, record.pipeline, record.dataset] = record
    while len(_known) > _RUNS_KNOWN:
        _known.popitem(last=False)

"""A revision's facts for its report, from what the lake keeps of it."""

import json
from dataclasses import replace

from assets.tables import MERGED, NOTES
from optiflow.pipelines.finished import FinishedRun, Learned
from optiflow.report.facts import ReadRows, run_facts
from optiflow.report.model import RunFacts
from resources.catalog.records import DatasetRecord, JobRecord
from resources.fred import FredResource
from resources.storage import Storage


def gather_facts(
    record: DatasetRecord, job: JobRecord, learned: Learned, run: FinishedRun, storage: Storage, fred: FredResource
) -> RunFacts:
    """The facts of one revision, from its tables in the lake."""
    said = record.key("upload", NOTES)
    merges = record.key("upload", MERGED)
    read = ReadRows(
        storage.scan_parquet(record.key("rejected")).collect(),
        json.loads(storage.read_bytes(merges)) if storage.exists(merges) else 0,
        json.loads(storage.read_bytes(said)) if storage.exists(said) else (),
    )
    series = storage.scan_parquet(record.key("series")).collect()
    facts = run_facts(record.pipeline, record.dataset, record.version, read, learned, run, series, job.name, fred.title)
    return replace(facts, tables_at={name: storage.uri_for(record.key(name)) for name in run.results})

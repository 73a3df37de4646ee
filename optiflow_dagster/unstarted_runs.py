"""Runs that a sensor or a schedule has asked for and that never began: which are asked for again, and when.

A run fails before it begins when its code server is gone or hangs. Dagster tries it again three times, at once; its run
key keeps the sensor from asking twice. What belongs here: finding such runs. What does not: asking (the sensor), telling
(`optiflow status`), and runs that began and failed, which wait for someone to mend what they say.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from optiflow_dagster.asked_runs import (
    FOLLOWS_TAG,
    PARTITION_TAG,
    ROOT_TAG,
    RUN_KEY_TAG,
    RUNS_A_QUERY,
    is_asked_for,
    records_tagged,
)
from resources.catalog.records import JobRecord
from resources.revision import REVISION_TAG

AGAIN_TAG = "optiflow/again_for"
"""On a run that is asked for again: the first run of the same work, which never began."""
FIRST_PAUSE = timedelta(minutes=1)
"""From a failure to the next time that its run is asked for; twice as long each time."""
LONGEST_PAUSE = timedelta(hours=1)
MOST_TRIES = 20
"""With these pauses more than half a day: a server that hung in the evening may be started again in the morning."""
LOOKED_BACK = timedelta(days=7)
FAILURE = dg.DagsterRunStatus.FAILURE


@dataclass(frozen=True)
class UnstartedRun:
    """Work whose runs have all failed to start: the last of them, the id of the first, and how often it was asked for.

    `due` is when it is asked for again; None if it no longer is.
    """

    run: dg.DagsterRun
    first: str
    tries: int
    due: datetime | None


@dataclass(frozen=True)
class _Try:
    """The last run of work that never began, the id of the first, and how often it was asked for."""

    first: str
    record: dg.RunRecord
    tries: int


def unstarted_runs(
    instance: dg.DagsterInstance, open_jobs: Callable[[], Iterable[JobRecord]], now: datetime
) -> list[UnstartedRun]:
    """What never began and is still wanted, the oldest first.

    Args:
        instance: Where the runs are.
        open_jobs: Jobs that nothing has followed yet; asked for only if a run has failed to start.
        now: The time, UTC.
    """
    firsts = {_first(record.dagster_run) for record in _failed(instance, now - LOOKED_BACK) if _never_began(record)}
    if not firsts:
        return []
    follows = {f"{job.name}/{job.round}" for job in open_jobs()}
    found = [_last_try(first, tries) for first, tries in _by_first(instance, firsts).items()]
    still = [one for one in found if one is not None and _follows_nothing_or_what_is_open(one.record, follows)]
    newer = _newer_runs(instance, [one.record for one in still])
    wanted = (one for one in still if not any(_does_its_work(run, one.record) for run in newer[_work(one.record)]))
    return [_unstarted(one) for one in sorted(wanted, key=lambda one: one.record.storage_id)]


def _failed(instance: dg.DagsterInstance, since: datetime) -> Iterator[dg.RunRecord]:
    """All of them, the newest first: what failed to start is old work as soon as thousands of other runs fail."""
    filters, cursor = dg.RunsFilter(statuses=[FAILURE], updated_after=since), None
    while page := instance.get_run_records(filters, limit=RUNS_A_QUERY, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _first(run: dg.DagsterRun) -> str:
    return run.tags.get(AGAIN_TAG) or run.root_run_id or run.run_id


def _never_began(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    return run.status is FAILURE and record.start_time is None and is_asked_for(run)


def _by_first(instance: dg.DagsterInstance, firsts: Collection[str]) -> dict[str, list[dg.RunRecord]]:
    """All runs of the same work, whoever has started them and however they stand."""
    found = {
        record.dagster_run.run_id: record
        for records in (
            _records(instance, firsts),
            records_tagged(instance, AGAIN_TAG, firsts),
            records_tagged(instance, ROOT_TAG, firsts),
        )
        for record in records
    }
    groups: dict[str, list[dg.RunRecord]] = defaultdict(list)
    for record in found.values():
        groups[_first(record.dagster_run)].append(record)
    return groups


def _records(instance: dg.DagsterInstance, run_ids: Collection[str]) -> Iterator[dg.RunRecord]:
    wanted = list(run_ids)
    for start in range(0, len(wanted), RUNS_A_QUERY):
        yield from instance.get_run_records(dg.RunsFilter(run_ids=wanted[start : start + RUNS_A_QUERY]))


def _last_try(first: str, tries: list[dg.RunRecord]) -> _Try | None:
    """None if the newest run is at work, has begun, or was canceled."""
    last = max(tries, key=lambda record: record.storage_id)
    if not _never_began(last):
        return None
    # Those before it may have been deleted, and a run key that was used makes no run: so the number counts, too.
    asked = [record for record in tries if record.dagster_run.parent_run_id is None]
    return _Try(first, last, max(len(asked), 1 + max(_number(record.dagster_run) for record in tries)))


def _number(run: dg.DagsterRun) -> int:
    """The how-manieth run that is asked for again it is, by its run key; 0 for the first and for a person's."""
    number = run.tags.get(RUN_KEY_TAG, "").rpartition("/")[2]
    return int(number) if AGAIN_TAG in run.tags and number.isdecimal() else 0


def _follows_nothing_or_what_is_open(record: dg.RunRecord, follows: Collection[str]) -> bool:
    follow = record.dagster_run.tags.get(FOLLOWS_TAG)
    return follow is None or follow.removesuffix("/again") in follows


def _work(record: dg.RunRecord) -> tuple[str, str | None]:
    run = record.dagster_run
    return run.job_name, run.tags.get(PARTITION_TAG)


def _newer_runs(
    instance: dg.DagsterInstance, records: Sequence[dg.RunRecord]
) -> Mapping[tuple[str, str | None], list[dg.RunRecord]]:
    """Runs of the same jobs and datasets that were made since the oldest of these, by job and dataset."""
    newer: dict[tuple[str, str | None], list[dg.RunRecord]] = defaultdict(list)
    by_job: dict[str, list[dg.RunRecord]] = defaultdict(list)
    for record in records:
        by_job[record.dagster_run.job_name].append(record)
    for job_name, its in by_job.items():
        since = min(record.create_timestamp for record in its) - timedelta(seconds=1)
        datasets = {dataset for _, dataset in map(_work, its) if dataset is not None}
        for record in records_tagged(instance, PARTITION_TAG, datasets, job_name, since):
            newer[_work(record)].append(record)
    return newer


def _does_its_work(newer: dg.RunRecord, record: dg.RunRecord) -> bool:
    """Whether the other run was made later and does the same.

    A run that begins at the upload takes the one that lies there, and knows its revision only then: so what has no
    revision yet is done by every later run, whichever revision that has found.
    """
    theirs, ours = newer.dagster_run, record.dagster_run
    revisions = (None, ours.tags.get(REVISION_TAG))
    return (
        newer.storage_id > record.storage_id
        and theirs.asset_selection == ours.asset_selection
        and (REVISION_TAG not in ours.tags or theirs.tags.get(REVISION_TAG) in revisions)
    )


def _unstarted(one: _Try) -> UnstartedRun:
    pause = min(FIRST_PAUSE * 2 ** (one.tries - 1), LONGEST_PAUSE)
    failed_at = one.record.update_timestamp.replace(tzinfo=UTC)
    due = failed_at + pause if one.tries < MOST_TRIES else None
    return UnstartedRun(one.record.dagster_run, one.first, one.tries, due)

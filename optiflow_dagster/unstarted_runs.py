"""Runs that a sensor or a schedule has asked for and that never began: which are asked for again, and when.

A run fails before it begins when its code server is gone or hangs. Dagster tries it again three times, at once; its run
key keeps the sensor from asking twice. What belongs here: finding such runs. What does not: asking (the sensor), telling
(`optiflow status`), and runs that began and failed, which wait for someone to mend what they say.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from optiflow_dagster.asked_runs import FOLLOWS_TAG, PARTITION_TAG, RUNS_A_QUERY, is_asked_for, records_tagged
from resources.catalog.records import JobRecord
from resources.revision import REVISION_TAG

AGAIN_TAG = "optiflow/again_for"
"""On a run that is asked for again: the first run of the same work, which never began."""
ROOT_TAG = "dagster/root_run_id"
FIRST_PAUSE = timedelta(minutes=1)
"""From a failure to the next time that its run is asked for; twice as long each time."""
LONGEST_PAUSE = timedelta(hours=1)
MOST_TRIES = 20
"""With these pauses more than half a day: a server that hung in the evening may be started again in the morning."""
LOOKED_BACK = timedelta(days=7)
MOST_FAILURES = 1_000
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


def unstarted_runs(
    instance: dg.DagsterInstance, open_jobs: Callable[[], Iterable[JobRecord]], now: datetime
) -> list[UnstartedRun]:
    """What never began and is still wanted, the oldest first.

    Args:
        instance: Where the runs are.
        open_jobs: Jobs that nothing has followed yet; asked for only if a run has failed to start.
        now: The time, UTC.
    """
    filters = dg.RunsFilter(statuses=[FAILURE], updated_after=now - LOOKED_BACK)
    failed = instance.get_run_records(filters, limit=MOST_FAILURES)
    firsts = {_first(record.dagster_run) for record in failed if _never_began(record)}
    if not firsts:
        return []
    follows = {f"{job.name}/{job.round}" for job in open_jobs()}
    found = [_last_try(first, tries) for first, tries in _by_first(instance, firsts).items()]
    wanted = (one for one in found if one is not None and _is_wanted(instance, one, follows))
    return [_unstarted(*one) for one in sorted(wanted, key=lambda one: one[1].storage_id)]


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


def _last_try(first: str, tries: list[dg.RunRecord]) -> tuple[str, dg.RunRecord, int] | None:
    """With how often it was asked for; None if the newest run is at work, has begun, or was canceled."""
    last = max(tries, key=lambda record: record.storage_id)
    asked = [record for record in tries if record.dagster_run.parent_run_id is None]
    return (first, last, max(len(asked), 1)) if _never_began(last) else None


def _is_wanted(instance: dg.DagsterInstance, one: tuple[str, dg.RunRecord, int], follows: set[str]) -> bool:
    """Not if the job that it follows was followed otherwise, or a newer run does the same work."""
    last, run = one[1], one[1].dagster_run
    if FOLLOWS_TAG in run.tags and run.tags[FOLLOWS_TAG].removesuffix("/again") not in follows:
        return False
    filters = dg.RunsFilter(
        job_name=run.job_name,
        tags={PARTITION_TAG: run.tags.get(PARTITION_TAG, "")},
        created_after=last.create_timestamp,
    )
    return not any(
        newer.asset_selection == run.asset_selection
        and newer.tags.get(REVISION_TAG) in (None, run.tags.get(REVISION_TAG))
        for newer in instance.get_runs(filters)
    )


def _unstarted(first: str, last: dg.RunRecord, tries: int) -> UnstartedRun:
    pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
    failed_at = last.update_timestamp.replace(tzinfo=UTC)
    return UnstartedRun(last.dagster_run, first, tries, failed_at + pause if tries < MOST_TRIES else None)

"""What follows from the states of external jobs: the pure part of `external_jobs_sensor`."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from resources.catalog.records import JobRecord
from resources.jobs.contract import JobState

RunState = Literal["active", "retrying", "canceled", "ended"]
"""How the run that answers for a job stands; `canceled` if a person stopped it."""

MAX_TRIES = 5
FIRST_PAUSE = timedelta(minutes=1)
"""Before a job that failed in passing is submitted again; twice as long for each further try, a half more or less."""


@dataclass(frozen=True)
class Decision:
    """New states for the catalog, and what to do with jobs."""

    updates: list[JobState] = field(default_factory=list)
    follow_up: list[JobRecord] = field(default_factory=list)
    """Ended: the next part of their chain begins."""
    again: list[JobRecord] = field(default_factory=list)
    """Failed in passing: to be submitted again, under another name."""
    stop: list[JobRecord] = field(default_factory=list)
    """Their run was canceled: nobody wants the result."""
    superseded: list[JobRecord] = field(default_factory=list)
    """Replaced by a later job of the same revision."""
    waiting: int = 0


def choose_follow_ups(
    open_jobs: Iterable[JobRecord],
    active: Mapping[str, JobState],
    describe: Callable[[JobRecord], JobState],
    run_state: Callable[[str], RunState],
    tries: Callable[[JobRecord], int],
    now: datetime,
) -> Decision:
    """Compare what the catalog still has open with what the place says is active.

    Args:
        open_jobs: Jobs that were not followed up, the oldest first.
        active: Every job that is at work, from one listing a kind.
        describe: The state of a job that is missing there; called for those alone.
        run_state: How the run with this id stands.
        tries: How many jobs have failed at the same work, this one included.
        now: The time, UTC.

    A job whose run is active is that run's business: it waits for the job itself, or has only just submitted it. A
    run that crashed and will be tried again adopts the job. A job that a later one of the same revision has replaced
    is closed without a follow-up.
    """
    jobs = list(open_jobs)
    newest = {(job.pipeline, job.dataset, job.revision, job.kind): job.name for job in jobs}
    decision = Decision()
    waiting = 0
    for known in jobs:
        job, state = known, active.get(known.name)
        if state is None and not job.status.is_final:
            state = describe(job)
        if state is not None:
            if state.status != job.status:
                decision.updates.append(state)
            job = replace(
                job, status=state.status, failure_reason=state.failure_reason, ended_at=state.ended_at or job.ended_at
            )
        run = run_state(job.run_id)
        if run == "canceled":
            decision.stop.append(job)
        elif not job.status.is_final or run != "ended":
            waiting += 1
        elif newest[job.pipeline, job.dataset, job.revision, job.kind] != job.name:
            decision.superseded.append(job)
        elif not job.may_pass or (tried := tries(job)) >= MAX_TRIES:
            decision.follow_up.append(job)
        elif now >= due_at(job, tried):
            decision.again.append(job)
        else:
            waiting += 1
    return replace(decision, waiting=waiting)


def due_at(job: JobRecord, tries: int) -> datetime:
    """When a job that failed in passing may be submitted again.

    The jitter comes from the job's name, so that jobs that failed together do not come back together, and that every
    tick gives the same answer.
    """
    spread = int(hashlib.sha256(job.name.encode()).hexdigest()[:8], 16) / 2**32
    return (job.ended_at or job.created_at) + FIRST_PAUSE * 2 ** (tries - 1) * (0.5 + spread)

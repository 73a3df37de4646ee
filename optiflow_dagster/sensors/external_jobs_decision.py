"""What follows from the states of external jobs: the pure part of `external_jobs_sensor`."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from optiflow.errors import TransientError, UserError
from resources.catalog.records import JobRecord
from resources.jobs.contract import JobState, JobStatus, is_not_submitted

RunState = Literal["active", "retrying", "canceled", "ended"]
"""How the run that answers for a job stands; `canceled` if a person stopped it."""

MAX_TRIES = 5
MAX_SUBMISSIONS = 12
"""A submission that SageMaker did not take costs nothing, and a used-up quota may take hours: five, with these pauses."""
FIRST_PAUSE = timedelta(minutes=1)
"""Before a job that failed in passing is submitted again; twice as long for each further try, a half more or less."""
LONGEST_PAUSE = timedelta(minutes=32)


@dataclass(frozen=True)
class Decision:
    """New states for the catalog, and what to do with jobs."""

    updates: list[JobState] = field(default_factory=list)
    follow_up: list[JobRecord] = field(default_factory=list)
    """Ended: the next part of their chain begins."""
    again: list[JobRecord] = field(default_factory=list)
    """Failed in passing: to be submitted again, under another name."""
    stop: list[JobRecord] = field(default_factory=list)
    """Their run was canceled and they are still at work: nobody wants the result."""
    closed: list[JobRecord] = field(default_factory=list)
    """Nothing follows: their run was canceled, or a later job of the same revision has replaced them."""
    unanswered: dict[str, str] = field(default_factory=dict)
    """Could not be asked for, by name, and why: each waits for the next tick and holds up no other."""
    waiting: int = 0


def choose_follow_ups(
    open_jobs: Iterable[JobRecord],
    replaced: Collection[str],
    active: Mapping[str, JobState],
    describe: Callable[[JobRecord], JobState | None],
    run_state: Callable[[str], RunState],
    tries: Callable[[JobRecord], int],
    now: datetime,
) -> Decision:
    """Compare what the catalog still has open with what the place says is active.

    Args:
        open_jobs: Jobs that were not followed up, in the order in which they are asked for.
        replaced: Names of those that are not the newest job of their revision any more.
        active: Every job that is at work, from one listing a kind.
        describe: The state of a job that is missing there, or None if nobody knows it; called for those alone. What
            it raises is that job's own trouble.
        run_state: How the run with this id stands.
        tries: How many jobs have failed at the same work, this one included.
        now: The time, UTC.

    A job whose run is active is that run's business: it waits for the job itself, or has only just submitted it. A
    run that crashed and will be tried again adopts the job. A job that a later one of the same revision has replaced
    is closed without a follow-up, and so is the job of a canceled run, once it has stopped.
    """
    decision = Decision()
    waiting = 0
    for known in open_jobs:
        job, state, run = known, active.get(known.name), run_state(known.run_id)
        if state is None and not job.status.is_final:
            try:
                state = describe(job)
            except (OSError, TransientError, UserError) as error:
                decision.unanswered[job.name] = str(error)
                waiting += 1
                continue
            if state is None and run in ("active", "retrying"):
                waiting += 1  # it may not be seen yet, or be about to be made
                continue
            state = state or vanished(job, now)
        if state is not None:
            if state.status != job.status:
                decision.updates.append(state)
            job = replace(
                job, status=state.status, failure_reason=state.failure_reason, ended_at=state.ended_at or job.ended_at
            )
        if not job.status.is_final or run in ("active", "retrying"):
            waiting += 1
            if run == "canceled" and job.status is not JobStatus.STOPPING:
                decision.stop.append(job)
        elif run == "canceled" or job.name in replaced:
            decision.closed.append(job)
        elif not job.may_pass or (tried := _tries(job, tries)) >= _most(job):
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
    pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
    return (job.ended_at or job.created_at) + pause * (0.5 + spread)


def vanished(job: JobRecord, now: datetime) -> JobState:
    """What is known of a job that its place does not know."""
    reason = "the job is unknown where it was submitted: its folder was deleted, or it is another account or region"
    return JobState(job.name, job.kind, JobStatus.FAILED, job.created_at, ended_at=now, failure_reason=reason)


def _tries(job: JobRecord, tries: Callable[[JobRecord], int]) -> int:
    # What was not taken is submitted under the same name again, in another round.
    return job.round if is_not_submitted(job.failure_reason) else tries(job)


def _most(job: JobRecord) -> int:
    return MAX_SUBMISSIONS if is_not_submitted(job.failure_reason) else MAX_TRIES

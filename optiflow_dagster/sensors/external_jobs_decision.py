"""What follows from the states of external jobs: the pure part of `external_jobs_sensor`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from resources.catalog.records import JobRecord
from resources.jobs.contract import JobState

RunState = str
"""How the run that answers for a job stands: `active`, `retrying` or `ended`."""


@dataclass(frozen=True)
class Decision:
    """New states for the catalog, jobs to follow up now, and jobs that no longer count."""

    updates: list[JobState] = field(default_factory=list)
    follow_up: list[JobRecord] = field(default_factory=list)
    superseded: list[JobRecord] = field(default_factory=list)
    waiting: int = 0


def choose_follow_ups(
    open_jobs: Iterable[JobRecord],
    active: Mapping[str, JobState],
    describe: Callable[[JobRecord], JobState],
    run_state: Callable[[str], RunState],
) -> Decision:
    """Compare what the catalog still has open with what the place says is active.

    Args:
        open_jobs: Jobs that were not followed up, the oldest first.
        active: Every job that is not in a final state, from one listing.
        describe: The state of a job that is not active any more; called for those alone.
        run_state: How the run with this id stands.

    A job whose run is active is that run's business: it waits for the job itself, or has only just submitted it. A
    run that crashed and will be tried again adopts the job. A job that a later one of the same revision has replaced
    is closed without a follow-up.
    """
    jobs = list(open_jobs)
    newest = {(job.pipeline, job.dataset, job.revision, job.kind): job.name for job in jobs}
    decision = Decision()
    waiting = 0
    for job in jobs:
        state = active.get(job.name)
        if state is not None:
            waiting += 1
            if state.status != job.status:
                decision.updates.append(state)
            continue
        if not job.status.is_final:
            decision.updates.append(describe(job))
        if run_state(job.run_id) != "ended":
            waiting += 1
        elif newest[job.pipeline, job.dataset, job.revision, job.kind] != job.name:
            decision.superseded.append(job)
        else:
            decision.follow_up.append(job)
    return Decision(decision.updates, decision.follow_up, decision.superseded, waiting)

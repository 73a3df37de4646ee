"""Slots of Dagster's pools: one that nobody is behind is given back, and a pool has its limit before a step asks for a slot.

What belongs here: the two cases that Dagster's own code leaves to us. What does not: the limits (`dagster.yaml`), and the
slots of runs that have ended under a daemon: its run monitoring gives those back.
"""

import dagster as dg

from optiflow_dagster.event_damage import DamagedEventsError
from optiflow_dagster.internals import WorkerStatus
from optiflow_dagster.run_launcher import LocalRunLauncher


def free_abandoned_slots(instance: dg.DagsterInstance) -> None:
    """Give back what is held for runs that are over or gone, or whose process on this machine is.

    The command line works without a daemon, whose monitoring would do it; a command that was killed would make all later
    ones wait.
    """
    log = instance.event_log_storage
    for run_id in sorted(log.get_concurrency_run_ids()):
        if _is_over(instance, run_id):
            log.free_concurrency_slots_for_run(run_id)


def _is_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return True
    launcher = instance.run_launcher
    if not isinstance(launcher, LocalRunLauncher):
        return False
    try:
        return launcher.check_run_worker_health(run).status is WorkerStatus.FAILED
    except DamagedEventsError:
        return False


def make_limits(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Let the pools that the run's steps are in have the default limit, unless a person has set another.

    Dagster does so when a step asks for a slot. In PostgreSQL that fails, and the run with it, if another run has just
    done it, or if the default has changed since: it updates in the transaction that its own INSERT has ended.
    """
    from sqlalchemy.exc import IntegrityError, InternalError

    log, default = instance.event_log_storage, instance.global_op_concurrency_default_limit
    pools = run.run_op_concurrency.all_pools if run.run_op_concurrency else None
    if not pools or default is None:
        return
    limits = {pool.name: pool for pool in log.get_pool_limits()}
    for name in pools:
        limit = limits.get(name)
        if limit is not None and (not limit.from_default or limit.limit == default):
            continue
        if limit is not None:
            log.delete_concurrency_limit(name)
        try:
            log.initialize_concurrency_limit_to_default(name)
        except (IntegrityError, InternalError):
            if name not in {pool.name for pool in log.get_pool_limits()}:
                raise

"""Damages the part of Dagster's database where an event of one run is, as a broken disk does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.plan.objects import StepFailureData


def damage_an_event(
    instance: dg.DagsterInstance, database: Path, run: dg.DagsterRun, of_a_failed_step: bool = False
) -> None:
    """Let the run have an event that fills pages of its own, and overwrite where each of them says which one is next."""
    kind, data = (
        (dg.DagsterEventType.STEP_FAILURE, StepFailureData(None, None))
        if of_a_failed_step
        else (dg.DagsterEventType.ENGINE_EVENT, EngineEventData())
    )
    event = DagsterEvent(kind.value, run.job_name, message=run.run_id * 600, event_specific_data=data)
    instance.report_dagster_event(event, run.run_id)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    damaged = 0
    with database.open("r+b") as file:  # in place: connections that are open see it
        data = file.read()
        for start in range(0, len(data), size):
            if data[start : start + size].count(run.run_id.encode()) > size // len(run.run_id) // 2:
                file.seek(start)
                file.write(b"\xff" * 4)
                damaged += 1
    assert damaged > 2

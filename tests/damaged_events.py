"""Damages the part of Dagster's database where an event of one run is, as a broken disk does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEvent


def damage_an_event(
    instance: dg.DagsterInstance,
    database: Path,
    run: dg.DagsterRun,
    kind: dg.DagsterEventType = dg.DagsterEventType.ENGINE_EVENT,
) -> None:
    """Let the run have an event that fills pages of its own, and overwrite where each of them says which one is next."""
    text = run.run_id * 600
    instance.report_dagster_event(DagsterEvent(kind.value, run.job_name, message=text), run.run_id)
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

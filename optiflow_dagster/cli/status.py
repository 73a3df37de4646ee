"""What `status` shows: one line a dataset, what goes on, what failed and why, where the reports lie."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from optiflow.pipelines import PIPELINES
from optiflow.report.wording import number, percent
from optiflow_dagster.asked_runs import FOLLOWS_TAG, PARTITION_TAG
from optiflow_dagster.cli.workplace import Workplace
from optiflow_dagster.dataset_runs import DatasetRun, active_runs, failed_runs
from optiflow_dagster.unstarted_runs import UnstartedRun, unstarted_runs
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord
from resources.installation import Installation

SHOWN_ROWS = 20
DATASETS = ("pipeline", "dataset", "state", "model", "skill", "updated_at", "file_name")
JOBS = ("name", "status", "ended_at", "failure_reason")
MODELS = ("name", "stage", "mse", "skill", "created_at")
UNSTARTED = ("run", "dataset", "follows", "tries", "next")
GIVEN_UP = "given up: start it in the UI"
FIGURES: Mapping[str, Callable[[float], str]] = {"mse": number, "skill": percent}

Rows = list[dict[str, Any]]


def status(workplace: Workplace) -> dict[str, Rows]:
    """All that the catalog and Dagster know, as plain values, the newest first. Times are ISO 8601, UTC.

    `datasets` has every revision, with the address of its report's page if it has one; `runs` those that wait or go on,
    and of each dataset whose newest run failed that run with its reason; `unstarted_runs` what waits for a run that has
    failed to start so far.
    """
    store, here = workplace.adapters.catalog.open(), workplace.installation
    with workplace.instance() as instance:
        unstarted = unstarted_runs(instance, store.open_jobs, datetime.now(UTC))
        runs = [*active_runs(instance), *failed_runs(instance)]
    return {
        "datasets": [_plain(_revision(here, record)) for record in store.datasets()],
        "runs": [_plain(asdict(run)) for run in runs],
        "jobs": [_plain(vars(job)) for job in store.jobs()],
        "models": [_plain(vars(model)) for model in store.models()],
        "unstarted_runs": [_plain(_unstarted(one)) for one in unstarted],
    }


def _revision(here: Installation, record: DatasetRecord) -> dict[str, Any]:
    options = record.options.model_dump(mode="json")
    return vars(record) | {"options": options, "report": here.page(PIPELINES[record.pipeline], record)}


def print_status(console: Console, workplace: Workplace, *, every: bool = False) -> None:
    """One line a dataset, then runs, open and failed jobs, models and reports.

    Args:
        console: Where it is printed.
        workplace: What is looked at.
        every: Also jobs that have ended well, and all rows of long tables.
    """
    store, here, most = workplace.adapters.catalog.open(), workplace.installation, None if every else SHOWN_ROWS
    jobs, models, records = store.jobs(), store.models(), store.datasets()
    with workplace.instance() as instance:
        unstarted = unstarted_runs(instance, store.open_jobs, datetime.now(UTC))
        active, failed = active_runs(instance), failed_runs(instance)
    lines = dataset_lines(records, models, jobs, [*active, *failed])
    _print_table(console, "Datasets", DATASETS, lines, most)
    _print_runs(console, "Runs that wait or go on", active, most)
    _print_runs(console, "Runs that failed", failed, most)
    told = [_unstarted(one) for one in unstarted]
    again = [
        one | {"next": f"again at {_cell('_at', one['again_at'])}" if one["again_at"] else GIVEN_UP} for one in told
    ]
    _print_table(console, "Runs that failed to start", UNSTARTED, again, most, quiet=True)
    _print_table(console, "Jobs", JOBS, [vars(job) for job in jobs], most)
    figures = [vars(model) | {name: model.metrics.get(name) for name in FIGURES} for model in models]
    _print_table(console, "Models", MODELS, figures, most)
    shown = _newest_records(records)[:most]
    pages = [(record, page) for record in shown if (page := here.page(PIPELINES[record.pipeline], record))]
    if pages:
        console.print("Reports", style="italic")
        for record, page in pages:
            console.print(f"{record.pipeline} {record.dataset}: {page}", soft_wrap=True)


def dataset_lines(
    records: Iterable[DatasetRecord],
    models: Iterable[ModelRecord],
    jobs: Sequence[JobRecord],
    runs: Sequence[DatasetRun],
) -> Rows:
    """One line for each dataset that is known, or that a run was of: what it is doing, and how good its newest model is.

    Args:
        records: The catalog's revisions, the standing ones that were used last first.
        models: Its models, the newest first.
        jobs: Its jobs, the newest first.
        runs: Those that go on, before those that failed.
    """
    newest = {(record.pipeline, record.dataset): record for record in reversed(_newest_records(records))}
    judged = {(model.pipeline, model.dataset): model for model in reversed(list(models))}
    first = {(run.pipeline, run.dataset): run for run in reversed(runs)}
    names = [*(key for key in first if key not in newest and key[0] in PIPELINES), *reversed(newest)]
    lines: Rows = []
    for key in names:
        record, model = newest.get(key), judged.get(key)
        lines.append(
            {
                "pipeline": key[0],
                "dataset": key[1],
                "state": _state(first.get(key), [job for job in jobs if (job.pipeline, job.dataset) == key]),
                "model": model.stage if model else None,
                "skill": model.metrics.get("skill") if model else None,
                "updated_at": record.created_at if record else None,
                "file_name": record.file_name if record else None,
            }
        )
    return lines


def _newest_records(records: Iterable[DatasetRecord]) -> list[DatasetRecord]:
    found: dict[tuple[str, str], DatasetRecord] = {}
    for record in records:
        found.setdefault((record.pipeline, record.dataset), record)
    return list(found.values())


def _state(run: DatasetRun | None, jobs: Sequence[JobRecord]) -> str:
    if run is not None and run.is_active:
        return run.state
    for job in jobs:
        if not job.status.is_final:
            return f"{job.kind} job {job.status}"
        if job.followed_up_at is None:
            return f"{job.kind} job ended, its run is to follow"
    return "failed" if run is not None else "done"


def _print_runs(console: Console, title: str, runs: Sequence[DatasetRun], most: int | None) -> None:
    if not runs:
        return
    console.print(f"{title} ({len(runs)})", style="italic")
    for run in runs[:most]:
        when = run.ended_at or run.began_at or run.asked_at
        words = "at" if run.ended_at else "since"
        told = f"{run.state} {words} {_cell('_at', when)}: {run.job} of {run.dataset}, run {run.run_id[:8]}"
        console.print(told, soft_wrap=True)
        if run.reason:
            console.print(f"  {run.reason}", soft_wrap=True)
    _tell_more(console, len(runs), most)
    console.print()


def _print_table(
    console: Console, title: str, columns: Sequence[str], rows: Rows, most: int | None, quiet: bool = False
) -> None:
    if quiet and not rows:
        return
    table = Table(title=f"{title} ({len(rows)})", title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "dataset"))
    for row in rows[:most]:
        table.add_row(*(_cell(column, row[column]) for column in columns))
    console.print(table if rows else f"{title}: none yet.")
    _tell_more(console, len(rows), most)
    console.print()


def _tell_more(console: Console, rows: int, most: int | None) -> None:
    if most is not None and rows > most:
        console.print(f"… {rows - most} more; --all shows them, --json everything.")


def _unstarted(one: UnstartedRun) -> dict[str, Any]:
    tags = one.run.tags
    return {
        "run": one.run.job_name,
        "run_id": one.run.run_id,
        "dataset": tags.get(PARTITION_TAG),
        "follows": tags.get(FOLLOWS_TAG, "").split("/")[0] or None,
        "tries": one.tries,
        "again_at": one.due,
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in row.items()}


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in FIGURES:
        return FIGURES[column](value)
    if column.endswith("_at"):
        return str(value)[:19].replace("T", " ")
    return str(value)

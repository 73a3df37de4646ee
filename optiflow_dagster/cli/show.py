"""What `status` and `report` show: the catalog and a report, as tables or as JSON."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from optiflow.dataset_id import check_dataset_id
from optiflow.errors import UserError
from optiflow.pipelines.spec import Pipeline
from optiflow_dagster.asked_runs import FOLLOWS_TAG, PARTITION_TAG
from optiflow_dagster.cli.workplace import Workplace
from optiflow_dagster.unstarted_runs import UnstartedRun, unstarted_runs
from resources.catalog.records import DatasetRecord

SHOWN_ROWS = 20
DATASETS = ("pipeline", "dataset", "revision", "file_name", "created_at")
JOBS = ("name", "status", "ended_at", "failure_reason")
MODELS = ("name", "stage", "mse", "skill", "created_at")
UNSTARTED = ("run", "dataset", "follows", "tries", "next")
GIVEN_UP = "given up: start it in the UI"
PIPED_WIDTH = 160


def console() -> Console:
    """A console as wide as the terminal, or wide enough for every line where output goes to a file or a pipe."""
    # Values are shown as they are: a `[kg]` in them is no style, a `:key:` no picture.
    plain = {"markup": False, "emoji": False, "highlight": False}
    shown = Console(**plain)
    return shown if shown.is_terminal else Console(**plain, width=PIPED_WIDTH)


def status(workplace: Workplace) -> dict[str, list[dict[str, Any]]]:
    """Datasets, jobs and models of the catalog as plain values, the newest first. Times are ISO 8601, UTC.

    Also `unstarted_runs`: what waits for a run that has failed to start so far.
    """
    store = workplace.adapters.catalog.open()
    with workplace.instance() as instance:
        unstarted = unstarted_runs(instance, store.open_jobs, datetime.now(UTC))
    return {
        "datasets": [_plain(vars(d) | {"options": d.options.model_dump(mode="json")}) for d in store.datasets()],
        "jobs": [_plain(vars(job)) for job in store.jobs()],
        "models": [_plain(vars(model)) for model in store.models()],
        "unstarted_runs": [_plain(_unstarted(one)) for one in unstarted],
    }


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


def print_status(console: Console, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The catalog as three tables, and a fourth where runs have failed to start."""
    models = [row | {"mse": row["metrics"].get("mse"), "skill": row["metrics"].get("skill")} for row in rows["models"]]
    unstarted = [
        row | {"next": f"again at {_cell('again_at', row['again_at'])}" if row["again_at"] else GIVEN_UP}
        for row in rows["unstarted_runs"]
    ]
    for title, columns, body in (
        ("Datasets", DATASETS, rows["datasets"]),
        ("Jobs", JOBS, rows["jobs"]),
        ("Models", MODELS, models),
        *([("Runs that failed to start", UNSTARTED, unstarted)] if unstarted else []),
    ):
        table = Table(title=f"{title} ({len(body)})", title_justify="left", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column == "name")
        for row in body[:SHOWN_ROWS]:
            table.add_row(*(_cell(column, row[column]) for column in columns))
        console.print(table if body else f"{title}: none yet.")
        if len(body) > SHOWN_ROWS:
            console.print(f"… {len(body) - SHOWN_ROWS} more; --json shows all.")
        console.print()


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    if column.endswith("_at"):
        return text[:19].replace("T", " ")
    return text


def report_of(
    workplace: Workplace, pipeline: Pipeline, dataset: str, revision: str | None = None
) -> tuple[DatasetRecord, dict[str, Any]]:
    """The report of a revision; without one, of the standing revision used last that has a report.

    A report that cannot be read is passed over.

    Raises:
        UserError: there is none that can be read; names those that cannot, and says what to do.
    """
    check_dataset_id(dataset)
    storage = workplace.adapters.storage
    known = [record for record in workplace.adapters.catalog.open().datasets() if record.pipeline == pipeline.name]
    of_dataset = [record for record in known if record.dataset == dataset]
    if revision is None:
        # A dataset that only ever ran with options for one run has no others.
        asked = [record for record in of_dataset if record.standing] or of_dataset
    else:
        asked = [record for record in of_dataset if record.revision.startswith(revision)]
    damaged = ""
    for record in asked:
        key = record.key(pipeline.report, "/report.json")
        if storage.exists(key):
            found = _report(storage.read_bytes(key))
            if found is not None:
                return record, found
            damaged += f"{storage.uri_for(key)} cannot be read: it is no report. "
    what = f"{pipeline.name} {dataset}" + (f", revision {revision}" if revision else "")
    hint = f" Datasets: {', '.join(sorted({r.dataset for r in known}))}." if known else ""
    if of_dataset:
        hint += f" Revisions of {dataset}: {', '.join(record.revision for record in of_dataset)}."
    none = f"There is no {'other ' if damaged else ''}report of {what}"
    raise UserError(f"{damaged}{none}: make it with `optiflow run {pipeline.name} {dataset}`.{hint}")


def _report(data: bytes) -> dict[str, Any] | None:
    try:
        report = json.loads(data)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def print_report(console: Console, workplace: Workplace, pipeline: Pipeline, record: DatasetRecord) -> None:
    """The report's Markdown, and where the page with the plots lies."""
    storage = workplace.adapters.storage
    console.print(Markdown(storage.read_bytes(record.key(pipeline.report, "/report.md")).decode()))
    console.print(f"\nWith plots: {storage.uri_for(record.key(pipeline.report, '/report.html'))}", soft_wrap=True)


def print_outcome(
    console: Console, workplace: Workplace, record: DatasetRecord, pipeline: Pipeline, report: dict[str, Any]
) -> None:
    """The short table at the end of a run."""
    rows = report["rows"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in (
        ("rows in", f"{rows['uploaded']:,}"),
        ("rejected", f"{rows['rejected']:,}"),
        ("FRED series", ", ".join(s["series_id"] for s in report["series"]) or "none"),
        ("train / test rows", f"{rows['train']:,} / {rows['test']:,}"),
        *_errors(report),
        *((headline["label"], headline["value"]) for headline in report.get("headlines", ())),
        ("report", workplace.adapters.storage.uri_for(record.key(pipeline.report, "/report.html"))),
        ("see it all in the UI", "make dev"),
    ):
        table.add_row(name, value)
    console.print()
    console.print(table)
    console.print(f"\n{report['verdict']}")


def _skill(report: dict[str, Any]) -> str:
    if report["skill"] is None:
        return "not defined"
    measure = report.get("skill_of", "squared error")
    return f"{100 * report['skill']:.1f} %" + ("" if measure == "squared error" else f"  (of the {measure})")


def _errors(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The model's error beside the best baseline's; nothing where there is no truth to judge by."""
    if not report["baselines"]:
        return []
    best = next(b for b in report["baselines"] if b["name"] == report["best_baseline"])
    return [
        ("MSE", f"{report['metrics']['mse']:,.4g}"),
        ("baseline MSE", f"{best['metrics']['mse']:,.4g}  ({best['name']})"),
        ("skill", _skill(report)),
    ]

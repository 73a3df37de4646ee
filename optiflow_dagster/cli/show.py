"""What `report` and the end of a run show: a report, and the figures to act on."""

from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from optiflow.pipelines.spec import Pipeline
from optiflow.report.wording import number, percent
from optiflow_dagster.cli.workplace import Workplace
from resources.catalog.records import DatasetRecord

PIPED_WIDTH = 160


def console() -> Console:
    """A console as wide as the terminal, or wide enough for every line where output goes to a file or a pipe."""
    # Values are shown as they are: a `[kg]` in them is no style, a `:key:` no picture.
    shown = Console(markup=False, emoji=False, highlight=False)
    if not shown.is_terminal:
        shown.width = PIPED_WIDTH
    return shown


def print_report(console: Console, workplace: Workplace, pipeline: Pipeline, record: DatasetRecord) -> None:
    """The report's Markdown, and where the page with the plots lies."""
    storage = workplace.adapters.storage
    console.print(Markdown(storage.read_bytes(record.key(pipeline.report, "/report.md")).decode()))
    console.print(f"\nWith plots: {storage.uri_for(record.key(pipeline.report, '/report.html'))}", soft_wrap=True)


def print_outcome(
    console: Console,
    workplace: Workplace,
    record: DatasetRecord,
    pipeline: Pipeline,
    report: dict[str, Any],
    seconds: float,
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
        ("took", f"{seconds:,.0f} s"),
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
    return percent(report["skill"]) + ("" if measure == "squared error" else f"  (of the {measure})")


def _errors(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The model's error beside the best baseline's; nothing where there is no truth to judge by."""
    if not report["baselines"]:
        return []
    best = next(b for b in report["baselines"] if b["name"] == report["best_baseline"])
    return [
        ("MSE", number(report["metrics"]["mse"])),
        ("baseline MSE", f"{number(best['metrics']['mse'])}  ({best['name']})"),
        ("skill", _skill(report)),
    ]

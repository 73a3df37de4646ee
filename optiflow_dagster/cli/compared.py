"""Two reports of one dataset side by side, and whether they may be compared at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from optiflow.errors import UserError
from optiflow.pipelines.spec import Pipeline
from optiflow.report.wording import METRICS, metric, percent
from optiflow.split import ROW
from resources.catalog.records import DatasetRecord
from resources.installation import Installation


def compared(here: Installation, pipeline: Pipeline, dataset: str, revisions: Sequence[str] = ()) -> dict[str, Any]:
    """The reports of two revisions, the older one first, and what tells whether their figures are of the same rows.

    Returns:
        `revisions`, `figures` (name -> two values as people read them), `metrics` (name -> two numbers), `options`
        (those that differ, name -> two values), `same_rows` (None where there is no truth), `verdicts`.

    Raises:
        UserError: there are no two revisions with a report, or none of that name.
    """
    if revisions:
        found = [here.find_report(pipeline, dataset, revision) for revision in revisions]
    else:
        known = here.revisions(pipeline.name, dataset)
        with_report = [record for record in known if here.page(pipeline, record)][:2]
        if len(with_report) < 2:
            raise UserError(
                f"{pipeline.name} {dataset} has {'one revision' if with_report else 'no revision'} with a report: there is "
                "nothing to compare. Another file or other options under the same name make another one."
            )
        found = [here.find_report(pipeline, dataset, record.revision) for record in reversed(with_report)]
    if found[0][0].revision == found[1][0].revision:
        raise UserError(f"Both are revision {found[0][0].revision}: name two.")
    records, reports = [record for record, _ in found], [report for _, report in found]
    return {
        "pipeline": pipeline.name,
        "dataset": dataset,
        "revisions": [record.revision for record in records],
        "figures": {name: [read(report) for report in reports] for name, read in _FIGURES.items()},
        "metrics": {
            words.key: [report["metrics"].get(words.key) for report in reports]
            for words in METRICS
            if any(report["metrics"] for report in reports)
        },
        "options": _differing([record.options.model_dump(mode="json") for record in records]),
        "same_rows": _same_rows(here, pipeline, records),
        "verdicts": [report["verdict"] for report in reports],
    }


_FIGURES: Mapping[str, Any] = {
    "made": lambda report: str(report["created_at"])[:16].replace("T", " "),
    "rows in": lambda report: f"{report['rows']['uploaded']:,}",
    "rejected": lambda report: f"{report['rows']['rejected']:,}",
    "train / test rows": lambda report: f"{report['rows']['train']:,} / {report['rows']['test']:,}",
    "held out": lambda report: _period(report.get("test_period")),
    "best baseline": lambda report: report["best_baseline"] or "",
    "skill": lambda report: percent(report["skill"]),
}


def _period(period: Mapping[str, str] | None) -> str:
    return f"{period['first']} to {period['last']}" if period else ""


def _differing(options: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    one, other = options
    return {name: [one[name], other.get(name)] for name in one if one[name] != other.get(name)}


def _same_rows(here: Installation, pipeline: Pipeline, records: Sequence[DatasetRecord]) -> bool | None:
    """Whether both were judged on the same rows with the same actuals."""
    if not pipeline.has_actuals:
        return None
    one, other = (
        here.result(record.pipeline, record.dataset, "actuals", record.revision).collect().sort(ROW)
        for record in records
    )
    return one.equals(other)


def print_compared(console: Console, found: Mapping[str, Any]) -> None:
    """The two side by side."""
    table = Table(box=None, pad_edge=False)
    for name in ("", *found["revisions"]):
        table.add_column(name, overflow="fold")
    for name, values in found["figures"].items():
        table.add_row(name, *values)
    for words in METRICS:
        if words.key in found["metrics"]:
            table.add_row(words.label, *(metric(words, value) for value in found["metrics"][words.key]))
    for name, values in found["options"].items():
        table.add_row(f"option {name}", *(str(value) for value in values))
    console.print(f"{found['pipeline']} {found['dataset']}", style="bold")
    console.print(table)
    console.print()
    if found["same_rows"] is not None:
        console.print(
            "Both were judged on the same rows."
            if found["same_rows"]
            else "They were judged on different rows, so their errors do not compare; the skills against their baselines do, roughly."
        )
    for revision, verdict in zip(found["revisions"], found["verdicts"], strict=True):
        console.print(f"{revision}: {verdict}", soft_wrap=True)

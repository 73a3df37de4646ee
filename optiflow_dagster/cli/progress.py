"""Running a job of Dagster in this process, with a line per asset on the terminal.

What belongs here: executing and showing progress. What does not: what the job does.
"""

import logging
import time
import uuid
from dataclasses import dataclass, field

import dagster as dg
from rich.console import Console
from rich.text import Text

from optiflow_dagster.internals import RunFailureReason
from optiflow_dagster.run_launcher import PROCESS_TAG, own_process
from resources.failures import ERROR_KIND, STARTED_BY_TAG

SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SHOWN = {
    "upload": ("file", "rows_in", "rejected_rows", "warning"),
    "enriched": ("dates",),
    "training_job": ("job", "adopted"),
    "model": ("seconds",),
    "prediction_job": ("job", "adopted"),
}
"""Metadata worth a look while waiting."""

SHOWN_OF_REPORT = ("mse", "baseline_mse", "skill")


@dataclass(frozen=True)
class StepFailure:
    """Why a run ended early. `kind` is `input`, `job`, `transient`, or `bug` for what nobody foresaw."""

    asset: str
    kind: str
    message: str


@dataclass
class Progress:
    """Listens to a run's events and prints a line whenever an asset is done or a check has spoken."""

    console: Console
    failures: list[StepFailure] = field(default_factory=list)
    _done_at: float = field(default_factory=time.monotonic)
    """When the step began or its last asset was done: each line says what its own took."""

    def __call__(self, event: dg.EventLogEntry) -> None:
        """Called by Dagster with every event of the run."""
        happened = event.dagster_event
        if happened is None:
            if event.level == logging.INFO and event.step_key:
                self.console.print(f"    {event.user_message}", style="dim", soft_wrap=True)
            return
        if happened.event_type == dg.DagsterEventType.STEP_START:
            self._done_at = time.monotonic()
        elif happened.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._say_materialized(happened)
        elif happened.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._say_checked(happened)
        elif happened.event_type == dg.DagsterEventType.STEP_FAILURE:
            self.failures.append(step_failure(happened))

    def _say_materialized(self, event: dg.DagsterEvent) -> None:
        materialization = event.step_materialization_data.materialization
        name = materialization.asset_key.path[-1]
        keys = SHOWN_OF_REPORT if "verdict" in materialization.metadata else SHOWN.get(name, ())
        shown = [_short(key, materialization.metadata.get(key)) for key in keys]
        rows = materialization.metadata.get("dagster/partition_row_count")
        shown += [f"{rows.value:,} rows"] if rows else []
        now = time.monotonic()
        seconds, self._done_at = now - self._done_at, now
        line = f" {name:<15} {seconds:5.1f} s  {'  '.join(filter(None, shown))}"
        self.console.print(Text.assemble("  ", ("✓", "green"), line), soft_wrap=True)

    def _say_checked(self, event: dg.DagsterEvent) -> None:
        check = event.asset_check_evaluation_data
        if not check.passed:
            word = "warning" if check.severity is dg.AssetCheckSeverity.WARN else "failed"
            line = f" {word}: check {check.check_name} of {check.asset_key.path[-1]}"
            self.console.print(Text.assemble("  ", ("!", "yellow"), line))


def _short(key: str, value: dg.MetadataValue | None) -> str:
    if value is None or value.value in (None, False, ""):
        return ""
    if isinstance(value.value, float):
        return f"{key} {value.value:,.4g}"
    return (
        f"{key} {value.value:,}" if isinstance(value.value, int) and value.value is not True else f"{key} {value.value}"
    )


def step_failure(event: dg.DagsterEvent) -> StepFailure:
    """What a failed step says: the message written for the user if there is one, else the error's own first line."""
    data = event.step_failure_data
    asset = (event.step_key or "").rsplit("__", 1)[-1]
    if data.user_failure_data:
        kind = data.user_failure_data.metadata.get(ERROR_KIND)
        return StepFailure(asset, str(kind.value) if kind else "bug", data.user_failure_data.description or "")
    cause = data.error
    while cause and cause.cause:
        cause = cause.cause
    return StepFailure(asset, "bug", cause.message.strip() if cause else "no reason was recorded")


def execute(
    definitions: dg.Definitions, job: str, partition: str, instance: dg.DagsterInstance, console: Console
) -> list[StepFailure]:
    """Run one job for one partition in this process; returns why it failed, nothing if it did not.

    Raises:
        KeyboardInterrupt: the person, or whoever asked the run to end, interrupted it.
    """
    run_id = str(uuid.uuid4())
    progress = Progress(console)
    instance.add_event_listener(run_id, progress)
    result = definitions.resolve_job_def(job).execute_in_process(
        run_config=SILENT,
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        run_id=run_id,
        tags={STARTED_BY_TAG: "cli", PROCESS_TAG: own_process(), "dagster/max_retries": "0"},
    )
    if any(_is_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    if not result.success and not progress.failures:
        return [StepFailure(job, "bug", _run_failure(result))]
    return progress.failures


def _is_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether the run ended so: Dagster takes Ctrl-C for itself and calls it a failure, or a cancellation."""
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        return event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
    return event.event_type is dg.DagsterEventType.RUN_CANCELED


def _run_failure(result: dg.ExecuteInProcessResult) -> str:
    checks = [e for e in result.get_asset_check_evaluations() if not e.passed]
    if checks:
        faults = ", ".join(f"{k} {v.value}" for k, v in checks[0].metadata.items())
        return f"the check {checks[0].check_name} of {checks[0].asset_key.to_user_string()} failed: {faults}"
    return "no reason was recorded"

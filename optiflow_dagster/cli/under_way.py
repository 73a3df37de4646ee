"""What is being made of a dataset just now, or why its newest run made nothing: asked before an older report is shown."""

from dataclasses import dataclass

from optiflow.dataset_id import check_dataset_id
from optiflow.errors import OptiflowError, TransientError, UserError
from optiflow.pipelines.spec import Pipeline
from optiflow_dagster.cli.workplace import Workplace
from optiflow_dagster.dataset_runs import active_runs, failed_runs


@dataclass(frozen=True)
class UnderWay:
    """What a dataset's chain is doing, as the beginning of a sentence; `failed` if it has ended without a result."""

    told: str
    failed: bool = False

    def instead_of_a_report(self, error: UserError) -> OptiflowError:
        """What is said where there is no report."""
        if self.failed:
            return UserError(f"{error} {self.told}")
        return TransientError(
            f"There is no report yet: {self.told} Ask again later; `optiflow status` shows how it goes."
        )

    def beside_a_report(self) -> str:
        """What is said before an older report."""
        return (
            f"Note: this is not the newest. {self.told}" if self.failed else f"Note: a newer one is made. {self.told}"
        )


def under_way(workplace: Workplace, pipeline: Pipeline, dataset: str) -> UnderWay | None:
    """What is being made of the dataset, or why its newest run failed; None if neither."""
    check_dataset_id(dataset)
    key = (pipeline.name, dataset)
    with workplace.instance() as instance:
        for run in active_runs(instance):
            if (run.pipeline, run.dataset) == key:
                since = run.began_at or run.asked_at
                return UnderWay(f"{run.job} is {run.state} since {since:%Y-%m-%d %H:%M} UTC.")
        for job in workplace.adapters.catalog.open().open_jobs():
            if (job.pipeline, job.dataset) == key:
                goes_on = "has ended and its run is to follow" if job.status.is_final else f"is {job.status}"
                return UnderWay(f"The {job.kind} job {job.name} {goes_on}.")
        for run in failed_runs(instance):
            if (run.pipeline, run.dataset) == key:
                return UnderWay(f"The last run, {run.job}, failed: {run.reason}", failed=True)
    return None

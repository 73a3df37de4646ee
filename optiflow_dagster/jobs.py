"""Jobs per pipeline: the whole chain in one run, and its three parts for the flow that sensors drive.

A part ends where an external job was submitted, so that no run slot is held while it works; `external_jobs_sensor`
starts the next part when the job has ended.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from optiflow.pipelines.spec import Pipeline

if TYPE_CHECKING:
    from optiflow_dagster.internals import AssetJob


QUIET = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
"""Dagster's default prints every event of a run: hundreds of lines that hide the few which matter."""

PRIORITY_TAG = "dagster/priority"
"""The queue takes the highest first. Later parts of a chain go before new chains: what was begun is brought to its report."""


@dataclass(frozen=True)
class PipelineJobs:
    """The jobs of one pipeline."""

    training: "AssetJob"
    prediction: "AssetJob"
    report: "AssetJob"
    whole: "AssetJob"

    def parts(self) -> "list[AssetJob]":
        """Those that sensors and schedules ask for."""
        return [self.training, self.prediction, self.report]

    def all(self) -> "list[AssetJob]":
        """All four."""
        return [*self.parts(), self.whole]


def pipeline_jobs(pipeline: Pipeline) -> PipelineJobs:
    """The four jobs of a pipeline's chain."""
    name = pipeline.name

    def job(suffix: str, description: str, *assets: str, priority: int = 0) -> "AssetJob":
        selection = dg.AssetSelection.assets(*([name, asset] for asset in assets))
        tags = {PRIORITY_TAG: str(priority)} if priority else {}
        return dg.define_asset_job(f"{name}_{suffix}", selection, description=description, config=QUIET, tags=tags)

    first = ("upload", "enriched", "train", "test", "actuals", "training_job")
    second = ("model", "prediction_job")
    third = (*pipeline.results, pipeline.report, *pipeline.after_report)
    return PipelineJobs(
        training=job("training_job", "From the uploaded file to a submitted training job.", *first),
        prediction=job(
            "prediction_job", "From a finished training job to a submitted prediction job.", *second, priority=1
        ),
        report=job("report_job", "From a finished prediction job to the report.", *third, priority=2),
        whole=job("job", "The whole chain in one run, waiting for its jobs. For backfills.", *first, *second, *third),
    )


def fred_job() -> "AssetJob":
    """Refreshes FRED series."""
    return dg.define_asset_job(
        "fred_job",
        dg.AssetSelection.assets(["fred", "observations"]),
        description="Fetches FRED series anew.",
    )


def pull_job() -> "AssetJob":
    """Pulls sources."""
    return dg.define_asset_job(
        "pull_job",
        dg.AssetSelection.assets(["sources", "pulled"]),
        description="Pulls what is new in a source of sources.yaml into the landing folder.",
    )

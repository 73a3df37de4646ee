"""What an installation holds, for people and programs that read: datasets, reports, tables of results, models.

What belongs here: finding and reading. What does not: running anything (`optiflow_dagster`). It stands on this floor and
not beside `optiflow.api`, because it reads settings, storage and catalog, which the science knows nothing of.

    from resources.installation import Installation

    here = Installation.at("/srv/optiflow")
    here.datasets()
    here.result("orders", "shop", "predictions")
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from optiflow.artifact import extract_model
from optiflow.dataset_id import check_dataset_id
from optiflow.errors import UserError
from optiflow.pipelines import pipeline_named
from optiflow.pipelines.spec import Pipeline
from resources.adapters import Adapters
from resources.catalog.records import DatasetRecord, ModelRecord
from resources.settings import load_settings

TABLES = {
    "upload": "the typed rows",
    "rejected": "the rejected rows, with the reason of each",
    "enriched": "the rows with the FRED figures of their days",
    "train": "the rows that the model learned from",
    "test": "the held-out rows without the target",
    "actuals": "the target of the held-out rows",
}
"""The tables that every pipeline has; its results come on top."""


@dataclass(frozen=True)
class Installation:
    """One OptiFlow: the adapters of its storage and its catalog. Nothing here writes or runs anything."""

    adapters: Adapters

    @classmethod
    def at(cls, home: str | os.PathLike[str], **settings: Any) -> "Installation":
        """The installation in a project's folder, with the settings of this process's environment.

        Args:
            home: The folder that has `.optiflow` in it.
            settings: Fields of `resources.settings.Settings`, laid over the environment.

        Raises:
            UserError: a variable is wrong, or there is no installation.
        """
        folder = Path(home).expanduser().absolute()
        found = load_settings(home=folder, **settings)
        if found.env == "local" and not found.work_dir.is_dir():
            raise UserError(f"There is no OptiFlow in {folder}: name the project's folder, which has .optiflow in it.")
        return cls(Adapters.of(found))

    def datasets(self, pipeline: str | None = None) -> list[DatasetRecord]:
        """Every revision of every dataset, or of those of one pipeline; of each the standing one that was used last first."""
        return [r for r in self.adapters.catalog.open().datasets() if pipeline in (None, r.pipeline)]

    def models(self, pipeline: str | None = None, dataset: str | None = None) -> list[ModelRecord]:
        """Every model, the newest first: its stage, and the metrics that its report found."""
        found = self.adapters.catalog.open().models()
        return [m for m in found if pipeline in (None, m.pipeline) and dataset in (None, m.dataset)]

    def report(self, pipeline: str, dataset: str, revision: str | None = None) -> dict[str, Any]:
        """The newest report under the dataset's own options, or that of a revision, as `docs/reports.md` describes it.

        Raises:
            UserError: there is none that can be read; says which there are.
        """
        return self.find_report(pipeline_named(pipeline), dataset, revision)[1]

    def result(self, pipeline: str, dataset: str, name: str, revision: str | None = None) -> pl.LazyFrame:
        """A table of a dataset, of the revision of its newest report or of another one.

        Args:
            pipeline: The pipeline's name.
            dataset: The dataset id.
            name: One of the pipeline's results, such as `predictions`, or of `TABLES`.
            revision: The revision, or how it begins.

        Raises:
            UserError: there is no such table; says which there are.
        """
        spec = pipeline_named(pipeline)
        known = tables_of(spec)
        if name not in known:
            raise UserError(f"{pipeline} has no table {name!r}: use one of {', '.join(known)}.")
        records = self.revisions(pipeline, dataset, revision)
        # That of the report comes first: a newer revision may be under way and have only some of its tables.
        for record in sorted(records, key=lambda record: not self._has_report(spec, record)):
            key = record.key(name)
            if self.adapters.storage.exists(key):
                return self.adapters.storage.scan_parquet(key)
        raise UserError(
            f"There is no {name} of {_what(pipeline, dataset, revision)} yet: make it with `optiflow run {pipeline} {dataset}`."
        )

    def revisions(self, pipeline: str, dataset: str, revision: str | None = None) -> list[DatasetRecord]:
        """The revisions of a dataset, the standing one that was used last first; all, or those that begin so.

        Raises:
            UserError: there is none; says which there are.
        """
        check_dataset_id(dataset)
        known = self.datasets(pipeline)
        of_dataset = [record for record in known if record.dataset == dataset]
        if not of_dataset:
            names = ", ".join(sorted({record.dataset for record in known})) or "none yet"
            raise UserError(f"There is no dataset {dataset!r} in {pipeline}. Datasets: {names}.")
        if not (asked := _asked(of_dataset, revision)):
            raise UserError(
                f"{pipeline} {dataset} has no revision {revision!r}. Revisions: {', '.join(r.revision for r in of_dataset)}."
            )
        return asked

    def find_report(
        self, pipeline: Pipeline, dataset: str, revision: str | None = None
    ) -> tuple[DatasetRecord, dict[str, Any]]:
        """The newest report that can be read, and its revision.

        Raises:
            UserError: there is none that can be read; names those that cannot, and says what to do.
        """
        storage, damaged = self.adapters.storage, ""
        check_dataset_id(dataset)
        known = self.datasets(pipeline.name)
        of_dataset = [record for record in known if record.dataset == dataset]
        for record in _asked(of_dataset, revision):
            if self._has_report(pipeline, record):
                key = record.key(pipeline.report, "/report.json")
                found = _report(storage.read_bytes(key))
                if found is not None:
                    return record, found
                damaged += f"{storage.uri_for(key)} cannot be read: it is no report. "
        hint = f" Datasets: {', '.join(sorted({r.dataset for r in known}))}." if known else ""
        if of_dataset:
            hint += f" Revisions of {dataset}: {', '.join(record.revision for record in of_dataset)}."
        none = f"There is no {'other ' if damaged else ''}report of {_what(pipeline.name, dataset, revision)}"
        raise UserError(f"{damaged}{none}: make it with `optiflow run {pipeline.name} {dataset}`.{hint}")

    def page(self, pipeline: Pipeline, record: DatasetRecord) -> str | None:
        """The address of a revision's page; None if it has no report."""
        if not self._has_report(pipeline, record):
            return None
        return self.adapters.storage.uri_for(record.key(pipeline.report, "/report.html"))

    @contextmanager
    def model_files(self, model: ModelRecord) -> Iterator[Path]:
        """A temporary folder with what is in a model's archive, as `optiflow.learners` and XGBoost read it.

        Raises:
            UserError: the archive is gone, or is none.
        """
        key = f"lake/{model.pipeline}/model/{model.dataset}/{model.name}/model.tar.gz"
        with TemporaryDirectory(prefix="optiflow-") as folder:
            try:
                with self.adapters.storage.local_copy(key) as archive:
                    extract_model(archive, Path(folder))
            except FileNotFoundError as error:
                raise UserError(
                    f"The archive of {model.name} is gone from {self.adapters.storage.uri_for(key)}."
                ) from error
            yield Path(folder)

    def _has_report(self, pipeline: Pipeline, record: DatasetRecord) -> bool:
        return self.adapters.storage.exists(record.key(pipeline.report, "/report.json"))


def tables_of(pipeline: Pipeline) -> Mapping[str, str]:
    """The tables that a pipeline has by name, its results first, with what each is."""
    return {**{name: result.description for name, result in pipeline.results.items()}, **TABLES}


def _asked(records: list[DatasetRecord], revision: str | None) -> list[DatasetRecord]:
    if revision is not None:
        return [record for record in records if record.revision.startswith(revision)]
    # What ran with options for one run alone is not the dataset's own; a dataset may have nothing else.
    return [record for record in records if record.standing] or records


def _what(pipeline: str, dataset: str, revision: str | None) -> str:
    return f"{pipeline} {dataset}" + (f", revision {revision}" if revision else "")


def _report(data: bytes) -> dict[str, Any] | None:
    try:
        report = json.loads(data)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None

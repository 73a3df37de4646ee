"""OptiFlow from Python: read a file as a pipeline does, train, forecast or score, and report, all in this process.

    from optiflow.api import read_file, train

    file = read_file("shop.csv", "orders", target="Units")
    run = train(file)
    run.results["predictions"]
    run.report().verdict

What belongs here: the steps of the chain on tables in memory, by the code that the chain itself calls. Nothing is stored,
and no job, Dagster or network is needed. What does not: reading what an installation has made, which knows its settings,
storage and catalog and is one floor up (`resources.installation`).
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from optiflow.container.channels import PARQUET
from optiflow.container.layout import Layout
from optiflow.dataset_id import dataset_id
from optiflow.days import first_and_last
from optiflow.errors import UserError
from optiflow.fred import snapshot
from optiflow.fred.calendar import asof_calendar
from optiflow.fred.enrichment import enrich
from optiflow.fred.series import SERIES_SCHEMA, with_publication_lag
from optiflow.learners import LEARNER_PARAMETER
from optiflow.learners.training_log import learning_curve
from optiflow.options import DatasetOptions, merge_options
from optiflow.options_beside import read_options_beside
from optiflow.pipelines import PIPELINES, pipeline_named
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.spec import Pipeline
from optiflow.report.extras import Extras
from optiflow.report.facts import ReadRows, run_facts
from optiflow.report.model import Report, RunFacts
from optiflow.split import ROW
from optiflow.upload.reading import Upload, read_upload

__all__ = ["PIPELINES", "ReadFile", "TrainedRun", "read_file", "train"]

IN_PROCESS = "in-this-process"
"""What stands in a report for the name of a training job."""


@dataclass(frozen=True)
class ReadFile:
    """A file as its pipeline reads it: typed and checked, each rejected row with its reason."""

    pipeline: Pipeline
    path: Path
    options: DatasetOptions
    upload: Upload

    @property
    def rows(self) -> pl.DataFrame:
        """The accepted rows: `row` (Int64, the number in the file) and the typed columns."""
        return self.upload.accepted

    @property
    def rejected(self) -> pl.DataFrame:
        """One line a fault: `row` Int64, `column`, `reason` and `value` String."""
        return self.upload.rejected

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for granted, in sentences."""
        return (*self.upload.notes, *self.pipeline.remarks(self.rows, self.options))


def read_file(path: str | Path, pipeline: str, **options: Any) -> ReadFile:
    """Read a table as a pipeline does.

    Args:
        path: CSV, Excel or Parquet, plain or compressed. Options are taken from `<file>.options.yaml` beside it, if there
            is one.
        pipeline: The pipeline's name, such as `orders`.
        options: Options as `docs/uploads.md` lists them, laid over those of the options file: `target="Units"`,
            `split={"test_fraction": 0.3}`.

    Raises:
        UserError: the file, its columns or its options are wrong; says where and what to do.
    """
    source, spec = Path(path).expanduser(), pipeline_named(pipeline)
    if not source.is_file():
        raise UserError(f"{source} is not a file.")
    written, where = read_options_beside(source)
    merge_options(written, where=where)  # alone, so that the message says which of the two is wrong
    chosen = merge_options(spec.default_options, written, options, where=f"options of {source.name}")
    spec.hyperparameters(chosen)
    upload = read_upload(source, source.name, chosen, spec)
    chosen = chosen.model_copy(update=upload.found)
    return ReadFile(spec, source, chosen, upload)


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with what it has made of its file. The model's files go with this object."""

    file: ReadFile
    run: FinishedRun
    series: pl.DataFrame
    log: str
    """What the training has printed."""
    _folder: TemporaryDirectory = field(repr=False)

    @property
    def results(self) -> Mapping[str, pl.DataFrame]:
        """The pipeline's results by name: `predictions`, and where it has them `forecast`, `stock`, `price_curve`."""
        return self.run.results

    @property
    def model(self) -> Path:
        """The folder with the model's files, as XGBoost or the learner reads them."""
        return self.run.model

    def ask(self, instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The model's answer to single questions, as its endpoint would give it.

        Raises:
            UserError: the pipeline's models answer none, or an instance is wrong.
        """
        pipeline = self.file.pipeline
        if pipeline.serving is None:
            served = ", ".join(name for name, spec in PIPELINES.items() if spec.serving)
            raise UserError(f"Models of {pipeline.name} answer no single questions; those of {served} do.")
        serving = import_module(pipeline.serving)
        body = json.dumps({"instances": list(instances)}, default=str).encode()
        return json.loads(
            serving.answer(serving.load(self.model), body, "application/json", dataset_id(self.file.path.name))
        )

    def report(self) -> Report:
        """The model beside its baselines on the held-out rows, as `docs/reports.md` explains it."""
        return self._judged[0]

    def save_page(self, path: str | Path) -> Path:
        """Write the report's page with its plots and tables, one HTML file.

        Tables that are too large for it lie in a folder beside it, for `report.html` in `report_files`.
        """
        from optiflow.report.downloads import lie_beside, table_files
        from optiflow.report.plots import draw_plots
        from optiflow.report.render import to_html

        made, judged, extras = self._judged
        target, files = Path(path), table_files(extras.downloads)
        beside = target.with_name(f"{target.stem}_files")
        page = to_html(made, draw_plots(made, judged, extras.figures), files, beside.name)
        for name in lie_beside(files):
            beside.mkdir(exist_ok=True)
            beside.joinpath(name).write_bytes(files[name])
        target.write_text(page, encoding="utf-8")
        return target

    @cached_property
    def _judged(self) -> tuple[Report, pl.DataFrame | None, Extras]:
        from optiflow.report.build import build_report

        pipeline = self.file.pipeline
        judged, extras = pipeline.judged(self.run), pipeline.extras(self.run)
        baselines, contributions = pipeline.baselines(self.run), pipeline.contributions(self.run)
        return build_report(_facts(self), judged, baselines, contributions, extras), judged, extras


def train(file: ReadFile, observations: pl.DataFrame | None = None) -> TrainedRun:
    """Join FRED's series, hold rows out, train, and forecast or score: what a pipeline does between upload and report.

    The program that trains is the one that jobs run, in this process; it is seeded, so that the same file gives the same
    model.

    Args:
        file: What was read.
        observations: The series that the option `fred_series` names, as `optiflow.fred.series.SERIES_SCHEMA`; without
            them the bundled ones serve.

    Raises:
        UserError: a series is not bundled, or the rows are too few; says what to do.
        JobFailedError: the learner refused to train.
    """
    pipeline, options = file.pipeline, file.options
    series = _bundled(options.fred_series) if observations is None else observations
    enriched = _enriched(file.rows, series, options)
    fit, held = pipeline.split(enriched, options)
    given = [] if options.target is None else [options.target]
    actual = pl.lit(None) if options.target is None else pl.col(options.target)
    tables = {
        "train": fit,
        "test": held.drop(*given, *pipeline.hidden),
        "actuals": held.select(ROW, actual=actual.cast(pl.Float64)),
    }
    folder = TemporaryDirectory(prefix="optiflow-")
    training, scoring = Layout(Path(folder.name, "training")), Layout(Path(folder.name, "scoring"))
    inputs = pipeline.training(fit, options)
    log = _train(training, pipeline, file, inputs)
    files = {**inputs.files, "learning_curve.json": json.dumps(learning_curve(log))}
    asked = pipeline.scoring({**tables, "upload": file.rows, "enriched": enriched}, options, files.__getitem__)
    _score(scoring, training.model, asked.tables)
    results = {
        name: pipeline.named(
            pipeline.read_result(name, scoring.output_data, asked.rows), enriched.lazy(), options, taken=("model",)
        )
        for name in pipeline.results
    }
    run = FinishedRun(options=options, **tables, results=results, model=training.model, kept=files.__getitem__)
    return TrainedRun(file, run, series, log, folder)


def _bundled(names: Sequence[str]) -> pl.DataFrame:
    if missing := [name for name in names if name not in snapshot.SNAPSHOT_SERIES]:
        raise UserError(
            f"{', '.join(missing)} is not bundled: give the figures as `observations`. Bundled are "
            f"{', '.join(snapshot.SNAPSHOT_SERIES)}."
        )
    tables = [with_publication_lag(snapshot.load(name), snapshot.SNAPSHOT_SERIES[name].frequency) for name in names]
    return pl.concat(tables) if tables else pl.DataFrame(schema=SERIES_SCHEMA)


def _enriched(rows: pl.DataFrame, series: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
    day = str(options.date_column)
    calendar = asof_calendar(series, *first_and_last(rows[day].cast(pl.Date)))
    return enrich(rows.lazy(), calendar, day).collect()


def _train(layout: Layout, pipeline: Pipeline, file: ReadFile, inputs: Any) -> str:
    """Train as a job does; the model is in `layout.model` then. Returns what was printed."""
    from optiflow.container.training import run_training

    parameters = {**pipeline.hyperparameters(file.options), **inputs.decided}
    if pipeline.learner is not None:
        parameters[LEARNER_PARAMETER] = pipeline.algorithm
    if pipeline.dataset_parameter is not None:
        parameters[pipeline.dataset_parameter] = dataset_id(file.path.name)
    _lay_out(layout, {name: {name: table} for name, table in inputs.channels.items()}, parameters)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run_training(layout)
    return printed.getvalue()


def _score(layout: Layout, model: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    from optiflow.container.scoring import run_transform

    _lay_out(layout, {"transform": tables}, {})
    layout.model.symlink_to(model)
    with contextlib.redirect_stdout(io.StringIO()):
        run_transform(layout)


def _lay_out(layout: Layout, channels: Mapping[str, Mapping[str, pl.DataFrame]], parameters: Mapping[str, str]) -> None:
    """What SageMaker, or a local job, puts in place before the program starts."""
    config = layout.prefix / "input" / "config"
    for folder in (config, layout.output_data, *map(layout.channel, channels)):
        folder.mkdir(parents=True)
    for name, tables in channels.items():
        for file, table in tables.items():
            table.write_parquet(layout.channel(name) / f"{file}.parquet")
    (config / "hyperparameters.json").write_text(json.dumps(dict(parameters)))
    types = {name: {"ContentType": PARQUET} for name in channels}
    (config / "inputdataconfig.json").write_text(json.dumps(types))


def _facts(made: TrainedRun) -> RunFacts:
    upload = made.file.upload
    return run_facts(
        made.file.pipeline.name,
        dataset_id(made.file.path.name),
        hashlib.sha256(made.file.path.read_bytes()).hexdigest(),
        ReadRows(upload.rejected, upload.merged, upload.notes),
        made.file.pipeline.learned(made.run),
        made.run,
        made.series,
        IN_PROCESS,
        lambda name: known.title if (known := snapshot.SNAPSHOT_SERIES.get(name)) else "",
    )

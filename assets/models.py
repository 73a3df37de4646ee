"""The second part of the chain: training_job, model, prediction_job.

What belongs here: what jobs are given and what is kept of them. What does not: how they are submitted (`submission`),
and what a pipeline wants them to read (`optiflow.pipelines`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl

from assets.awaiting import await_job
from assets.chain import Chain, check_model, kept_files, model_key
from assets.channels import channel_key, write_channel, write_rows
from assets.failures import plain_failures
from assets.submission import Work, job_metadata, submit_once, utc_now
from optiflow.artifact import MODEL_ARCHIVE, extract_model
from optiflow.container.channels import PARQUET
from optiflow.content_digest import content_digest
from optiflow.errors import TransientError, UserError
from optiflow.learners import LEARNER_PARAMETER
from optiflow.learners.training_log import learning_curve
from optiflow.split import ROW
from resources.catalog import Catalog
from resources.catalog.records import ModelRecord
from resources.jobs.contract import JobKind, JobRequest, Jobs, JobState
from resources.jobs.source import put_source
from resources.storage import Storage

MAX_LOG_LINES = 20_000


def training_job_asset(chain: Chain) -> dg.AssetsDefinition:
    """The training job's name; submits and returns."""
    pipeline = chain.pipeline

    @chain.asset(
        "training_job",
        job=True,
        kinds=chain.kinds,
        ins={"train": dg.AssetIn(chain.key("train"))},
        description="The training job that was submitted for these training rows. Equal rows, options and code find "
        "the job that exists instead of paying for another.",
    )
    @plain_failures
    def training_job(
        context: dg.AssetExecutionContext,
        train: pl.LazyFrame,
        storage: Storage,
        catalog: Catalog,
        jobs: dg.ResourceParam[Jobs],
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        parameters = pipeline.hyperparameters(record.options)
        inputs = pipeline.training(train.collect(), record.options)
        parameters |= inputs.decided
        if pipeline.learner is not None:
            parameters[LEARNER_PARAMETER] = pipeline.algorithm
        if pipeline.dataset_parameter is not None:
            parameters[pipeline.dataset_parameter] = record.dataset

        def prepare(name: str) -> JobRequest:
            channels = {}
            for channel, table in inputs.channels.items():
                shares = jobs.machines() if channel == "train" and pipeline.learner is None else 1
                channels[channel] = write_channel(storage, channel_key(record, name, channel), table, shares)
            for file, text in inputs.files.items():
                storage.write_bytes(model_key(record, name, file), text.encode())
            source = _source(chain, jobs, storage)
            return JobRequest(name, JobKind.TRAINING, pipeline.algorithm, parameters, channels, source_uri=source)

        digest = content_digest(*inputs.channels.values())
        parts = (digest, *(json.dumps(said, sort_keys=True) for said in (parameters, dict(inputs.files))))
        shown = {
            **_shown(inputs.shown),
            "hyperparameters": dg.MetadataValue.json(parameters),
            **{f"rows_{channel}": table.height for channel, table in inputs.channels.items()},
        }
        return submit_once(
            context, Work(record, JobKind.TRAINING, pipeline.algorithm, parts), jobs, catalog, prepare, shown
        )

    return training_job


def model_asset(chain: Chain) -> dg.AssetsDefinition:
    """The trained model, once its job has completed."""
    pipeline = chain.pipeline

    @chain.asset(
        "model",
        job=True,
        kinds=chain.kinds,
        deps=[chain.key("training_job")],
        description="The model that the training job made, as `model.tar.gz`, and what scoring needs beside it.",
    )
    @plain_failures
    def model(
        context: dg.AssetExecutionContext, storage: Storage, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        state = await_job(context, chain, JobKind.TRAINING, jobs, catalog)
        key = model_key(record, state.name, MODEL_ARCHIVE)
        with jobs.output(state) as archive, TemporaryDirectory() as folder:
            extract_model(archive, Path(folder))  # a bad archive is refused here, before anything relies on it
            for part in pipeline.report_reads:
                if Path(folder, part).is_file():
                    storage.put_file(model_key(record, state.name, part), Path(folder, part))
            storage.put_file(key, archive)
        curve = learning_curve(_log(context, jobs, state))
        storage.write_bytes(model_key(record, state.name, "learning_curve.json"), json.dumps(curve).encode())
        names = (record.pipeline, record.dataset, record.revision)
        catalog.open().put_model(ModelRecord(state.name, *names, storage.uri_for(key), utc_now()))
        catalog.open().mark_followed_up([state.name])
        return dg.MaterializeResult(
            metadata={
                **job_metadata(state),
                "artifact": dg.MetadataValue.text(storage.uri_for(key)),
                **{name.replace(":", "_"): value for name, value in state.metrics.items()},
            },
            data_version=dg.DataVersion(state.name),
        )

    return model


def _log(context: dg.AssetExecutionContext, jobs: Jobs, state: JobState) -> str:
    try:
        return jobs.log_tail(state, MAX_LOG_LINES)
    except (TransientError, UserError) as error:
        context.log.warning(f"The report has no learning curve: {error}")  # a paid model is not lost over its log
        return ""


def prediction_job_asset(chain: Chain) -> dg.AssetsDefinition:
    """The prediction job's name; submits and returns."""
    pipeline = chain.pipeline

    @chain.asset(
        "prediction_job",
        job=True,
        kinds=chain.kinds,
        ins={name: dg.AssetIn(chain.key(name)) for name in pipeline.scoring_reads},
        deps=[chain.key("model")],
        description="The job that was submitted for the rows to predict.",
    )
    @plain_failures
    def prediction_job(
        context: dg.AssetExecutionContext,
        storage: Storage,
        catalog: Catalog,
        jobs: dg.ResourceParam[Jobs],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        trained = await_job(context, chain, JobKind.TRAINING, jobs, catalog).name
        check_model(storage, record, trained)
        read = {name: table.collect() for name, table in tables.items()}
        inputs = pipeline.scoring(read, record.options, kept_files(storage, record, trained))
        rows = [] if inputs.rows is None else [inputs.rows]

        form = jobs.scoring_format() if pipeline.learner is None else PARQUET

        def prepare(name: str) -> JobRequest:
            for table in rows:
                storage.write_parquet(channel_key(record, name, "rows.parquet"), table)
            return JobRequest(
                name,
                chain.scoring_kind,
                pipeline.algorithm,
                channels={"transform": write_rows(storage, channel_key(record, name, "score"), inputs.tables, form)},
                model_uri=storage.uri_for(model_key(record, trained, MODEL_ARCHIVE)),
                source_uri=_source(chain, jobs, storage),
            )

        digest = content_digest(*inputs.tables.values(), *(table.select(ROW) for table in rows))
        work = Work(record, chain.scoring_kind, pipeline.algorithm, (digest, trained), model=trained)
        return submit_once(context, work, jobs, catalog, prepare, _shown(inputs.shown))

    return prediction_job


def _source(chain: Chain, jobs: Jobs, storage: Storage) -> str | None:
    """The packed code of a learner of ours, where the place does not have it."""
    if chain.pipeline.learner is None or not jobs.needs_source():
        return None
    return put_source(storage, chain.pipeline.requirements)


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and mappings as JSON, which the UI lays out; numbers and words as they are."""
    return {name: dg.MetadataValue.json(v) if isinstance(v, list | dict) else v for name, v in values.items()}

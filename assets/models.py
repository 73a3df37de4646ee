"""The second part of the chain: training_job, model, prediction_job.

What belongs here: what jobs are given and what is kept of them. What does not: how they are submitted (`submission`).
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import polars as pl

from assets.awaiting import await_job
from assets.chain import Chain
from assets.failures import plain_failures
from assets.submission import Work, job_metadata, submit_once, utc_now
from optiflow.artifact import extract_model
from optiflow.encoding import FeatureEncoder
from optiflow.errors import TransientError, UserError
from optiflow.learners.training_log import learning_curve
from optiflow.split import ROW
from optiflow.training import code_version, content_digest, prepare_training
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord, ModelRecord
from resources.jobs.contract import CSV, Channel, JobKind, JobRequest, Jobs, JobState
from resources.storage import Storage

MAX_LOG_LINES = 20_000


def channel_key(record: DatasetRecord, job: str, file: str) -> str:
    """Where an input of a job lies. Filed by the job's name, so that no later run changes what a job reads."""
    return f"lake/{record.pipeline}/channels/{record.dataset}/{job}/{file}"


def model_key(record: DatasetRecord, job: str, file: str) -> str:
    """Where a part of a trained model lies."""
    return f"lake/{record.pipeline}/model/{record.dataset}/{job}/{file}"


def write_channel(storage: Storage, key: str, table: pl.DataFrame, shares: int) -> Channel:
    """Write a channel as one Parquet file, or as a folder with a share of the rows for each of several machines."""
    if shares == 1:
        storage.write_parquet(f"{key}.parquet", table)
        return Channel(storage.uri_for(f"{key}.parquet"))
    for share in range(shares):
        # Every n-th row: each machine sees all of the period.
        storage.write_parquet(f"{key}/{share:04d}.parquet", table.gather_every(shares, offset=share))
    return Channel(f"{storage.uri_for(key)}/", sharded=True)


def write_rows(storage: Storage, key: str, rows: pl.DataFrame, jobs: Jobs) -> Channel:
    """Write the rows that a transform job scores, in the form that the place takes."""
    form = jobs.scoring_format()
    if form == CSV:
        with storage.writing(f"{key}.csv") as path:
            rows.lazy().sink_csv(path, include_header=False)
        return Channel(storage.uri_for(f"{key}.csv"), CSV)
    storage.write_parquet(f"{key}.parquet", rows)
    return Channel(storage.uri_for(f"{key}.parquet"))


def training_job_asset(chain: Chain) -> dg.AssetsDefinition:
    """The training job's name; submits and returns."""
    pipeline = chain.pipeline

    @chain.asset(
        "training_job",
        kinds={"xgboost"},
        ins={"train": dg.AssetIn(chain.key("train"))},
        description="The training job that was submitted for these training rows. Encoders are fitted on the rows that "
        "the trees are grown on. Equal rows, options and code find the job that exists instead of paying for another.",
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
        options, parameters = record.options, pipeline.hyperparameters(record.options)
        assert options.target is not None
        assert options.date_column is not None
        data = prepare_training(
            train.collect(), target=options.target, date_column=options.date_column, options=options
        )

        def prepare(name: str) -> JobRequest:
            channels = {}
            for channel, table, shares in (("train", data.train, jobs.machines()), ("validation", data.validation, 1)):
                key = channel_key(record, name, channel)
                channels[channel] = write_channel(storage, key, table, shares)
            storage.write_bytes(model_key(record, name, "encoder.json"), data.encoder.to_json().encode())
            left_out = json.dumps([vars(column) for column in data.left_out], ensure_ascii=False)
            storage.write_bytes(model_key(record, name, "left_out.json"), left_out.encode())
            return JobRequest(name, JobKind.TRAINING, pipeline.algorithm, parameters, channels)

        parts = (content_digest(data.train, data.validation), json.dumps(parameters, sort_keys=True), code_version())
        reasons = dg.MetadataValue.md("\n".join(f"- `{c.column}`: {c.reason}" for c in data.left_out) or "none")
        shown = {
            "left_out": reasons,
            "features": dg.MetadataValue.json(data.encoder.names),
            "hyperparameters": dg.MetadataValue.json(parameters),
            "rows_grown_on": data.train.height,
            "rows_watched": data.validation.height,
        }
        return submit_once(context, Work(record, JobKind.TRAINING, parts), jobs, catalog, prepare, shown)

    return training_job


def model_asset(chain: Chain) -> dg.AssetsDefinition:
    """The trained model, once its job has completed."""

    @chain.asset(
        "model",
        kinds={"xgboost"},
        deps=[chain.key("training_job")],
        description="The model that the training job made: `model.tar.gz` holding `xgboost-model`, and the encoder.",
    )
    @plain_failures
    def model(
        context: dg.AssetExecutionContext, storage: Storage, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        state = await_job(context, chain, JobKind.TRAINING, jobs, catalog)
        key = model_key(record, state.name, "model.tar.gz")
        with jobs.output(state) as archive, TemporaryDirectory() as folder:
            extract_model(archive, Path(folder))  # a bad archive is refused here, before anything relies on it
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

    @chain.asset(
        "prediction_job",
        kinds={"xgboost"},
        ins={"test": dg.AssetIn(chain.key("test"))},
        deps=[chain.key("model")],
        description="The batch transform that was submitted for the held-out rows, encoded as the training rows were.",
    )
    @plain_failures
    def prediction_job(
        context: dg.AssetExecutionContext,
        test: pl.LazyFrame,
        storage: Storage,
        catalog: Catalog,
        jobs: dg.ResourceParam[Jobs],
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        trained = await_job(context, chain, JobKind.TRAINING, jobs, catalog).name
        encoder = FeatureEncoder.from_json(storage.read_bytes(model_key(record, trained, "encoder.json")).decode())
        rows = test.collect()
        encoded = encoder.transform(rows)

        def prepare(name: str) -> JobRequest:
            storage.write_parquet(channel_key(record, name, "rows.parquet"), rows.select(ROW, encoder.date_column))
            return JobRequest(
                name,
                JobKind.TRANSFORM,
                chain.pipeline.algorithm,
                channels={"transform": write_rows(storage, channel_key(record, name, "test"), encoded, jobs)},
                model_uri=storage.uri_for(model_key(record, trained, "model.tar.gz")),
            )

        parts = (content_digest(encoded, rows.select(ROW)), trained, code_version())
        shown = {"unseen_categories": dg.MetadataValue.json(encoder.unseen(rows))}
        return submit_once(context, Work(record, JobKind.TRANSFORM, parts), jobs, catalog, prepare, shown)

    return prediction_job

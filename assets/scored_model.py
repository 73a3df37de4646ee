"""The model that made a dataset's results: asked here by whatever judges, promotes or shows it.

What belongs here: naming the model in each row that it made, and reading that name back. What does not: which model is
served, which the catalog says once one was judged.
"""

from collections.abc import Mapping

import polars as pl

from assets.chain import Chain
from optiflow.errors import UserError
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord, JobRecord
from resources.jobs.contract import JobKind

MODEL = "model"
"""Column of every result: the training job whose model made the row."""

MODEL_COLUMN = ("String", "The model that made the row, by the name of its training job")


def named(rows: pl.DataFrame, model: str) -> pl.DataFrame:
    """The rows with the name of the model that made them; the table and the name are put in place as one."""
    return rows.with_columns(pl.lit(model, pl.String).alias(MODEL))


def model_of_job(chain: Chain, catalog: Catalog, prediction_job: str) -> str:
    """The model that a prediction job scored with.

    Raises:
        UserError: nobody noted it, which older versions did not.
    """
    job = catalog.open().job(prediction_job)
    if job is None or job.model is None:
        raise UserError(
            f"Nobody noted which model the job {prediction_job} scored with: materialize {chain.pipeline.name}/prediction_job "
            "again, and then its results."
        )
    return job.model


def scored_model(
    chain: Chain, record: DatasetRecord, catalog: Catalog, results: Mapping[str, pl.DataFrame]
) -> tuple[JobRecord, dict[str, pl.DataFrame]]:
    """The training job of the one model that made all results, and the results without its name.

    It need not be the newest: a model that has not scored yet cannot be judged.

    Raises:
        UserError: the results do not name one model, or the catalog does not know it; says what to materialize.
    """
    name, again = (
        chain.pipeline.name,
        f"materialize {', '.join(f'{chain.pipeline.name}/{result}' for result in results)}",
    )
    for result, rows in results.items():
        if MODEL not in rows.columns:
            raise UserError(
                f"The table {name}/{result} of {record.dataset!r} does not say which model made it: {again}."
            )
    made_by = {result: rows[MODEL].unique(maintain_order=True).to_list() for result, rows in results.items()}
    models = sorted({model for found in made_by.values() for model in found})
    if len(models) > 1:
        said = "; ".join(f"{result} by {', '.join(found)}" for result, found in made_by.items())
        raise UserError(f"The results of {record.dataset!r} were made by several models ({said}): {again} together.")
    job = catalog.open().job(models[0]) if models else None
    if job is None and not models:
        # Tables without rows name nobody; they were made by the prediction job in use.
        current = catalog.open().current_job(record.pipeline, record.dataset, record.revision, chain.scoring_kind)
        job = catalog.open().job(current.model) if current and current.model else None
    if job is None or job.kind is not JobKind.TRAINING:
        raise UserError(
            f"The catalog does not know the model {', '.join(models) or 'of these results'} of {record.dataset!r}: "
            f"materialize {name}/training_job, and then all that follows."
        )
    return job, {result: rows.drop(MODEL) for result, rows in results.items()}

"""The last part of the chain: predictions, and the report that sets them beside what happened and beside baselines.

What belongs here: reading results and handing them to `optiflow.report`. What does not: judging them.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import polars as pl

from assets.awaiting import await_job
from assets.chain import Chain, columns
from assets.failures import plain_failures
from assets.models import channel_key, model_key
from assets.report_facts import gather_facts
from assets.submission import job_metadata
from optiflow.artifact import extract_model
from optiflow.baselines import fit_baselines
from optiflow.encoding import FeatureEncoder
from optiflow.errors import JobFailedError
from optiflow.learners.xgboost import MODEL_FILE
from optiflow.report.model import Outcome, report_to_json
from optiflow.split import ROW
from optiflow.training import mean_contributions
from resources.catalog import Catalog
from resources.fred import FredResource
from resources.jobs.contract import JobKind, Jobs
from resources.storage import Storage

SHOWN_METRICS = ("mse", "rmse", "mae", "wape", "mape", "bias", "r2")


def predictions_asset(chain: Chain) -> dg.AssetsDefinition:
    """What the model says of the held-out rows."""

    @chain.asset(
        "predictions",
        kinds={"polars", "parquet"},
        deps=[chain.key("prediction_job")],
        description="One prediction per held-out row, by row number.",
        metadata=columns(
            {
                ROW: ("Int64", "Number of the row in the uploaded file, the header being row 1"),
                "date": ("Date", "The order date"),
                "predicted": ("Float64", "The model's prediction of the target"),
            }
        ),
    )
    @plain_failures
    def predictions(
        context: dg.AssetExecutionContext, storage: Storage, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> pl.DataFrame:
        record = chain.record(context, catalog)
        state = await_job(context, chain, JobKind.TRANSFORM, jobs, catalog)
        rows = storage.scan_parquet(channel_key(record, state.name, "rows.parquet")).collect()
        with jobs.output(state) as folder:
            text = "\n".join(path.read_text() for path in sorted(folder.rglob("*.out")))
        values = pl.Series("predicted", text.split(), dtype=pl.String).cast(pl.Float64)
        if len(values) != rows.height:
            raise JobFailedError(f"Job {state.name} made {len(values)} predictions for {rows.height} rows.")
        catalog.open().mark_followed_up([state.name])
        context.add_output_metadata(job_metadata(state))
        return rows.select(ROW, pl.col(rows.columns[1]).alias("date"), values)

    return predictions


def report_asset(chain: Chain) -> dg.AssetsDefinition:
    """The report: JSON for programs, HTML for people, Markdown for the UI."""
    names = ("train", "test", "actuals", "predictions")

    @chain.asset(
        chain.pipeline.report,
        kinds={"html", "json"},
        ins={name: dg.AssetIn(chain.key(name)) for name in names},
        description="The model's errors on the held-out rows beside those of naive baselines, with plots.",
    )
    @plain_failures
    def report(
        context: dg.AssetExecutionContext,
        train: pl.LazyFrame,
        test: pl.LazyFrame,
        actuals: pl.LazyFrame,
        predictions: pl.LazyFrame,
        storage: Storage,
        catalog: Catalog,
        fred: FredResource,
    ) -> dg.MaterializeResult:
        from optiflow.report.build import build_report
        from optiflow.report.markdown import to_markdown
        from optiflow.report.plots import draw_plots
        from optiflow.report.render import to_html

        record = chain.record(context, catalog)
        job = catalog.open().current_job(record.pipeline, record.dataset, record.revision, JobKind.TRAINING)
        assert job is not None
        encoder = FeatureEncoder.from_json(storage.read_bytes(model_key(record, job.name, "encoder.json")).decode())
        judged = predictions.collect().join(actuals.collect(), on=ROW, how="left", maintain_order="left")
        learned, held_out = train.collect(), judged.select(ROW).join(test.collect(), on=ROW, maintain_order="left")
        groups = [name for name in encoder.categorical if name in learned.columns]
        strategy_date = encoder.date_column if record.options.split.strategy == "time" else None
        baselines = fit_baselines(learned, encoder.target, groups, date_column=strategy_date)
        key = model_key(record, job.name, "model.tar.gz")
        with storage.local_copy(key) as archive, TemporaryDirectory() as folder:
            extract_model(archive, Path(folder))
            contributions = mean_contributions(Path(folder) / MODEL_FILE, encoder, held_out)
        facts = gather_facts(record, job, encoder, learned, held_out, storage, fred)
        made = build_report(facts, judged, {b.name: b.predict(held_out) for b in baselines}, contributions)
        plots = draw_plots(made, judged)
        storage.write_bytes(record.key(chain.pipeline.report, "/report.html"), to_html(made, plots).encode())
        storage.write_bytes(record.key(chain.pipeline.report, "/report.md"), to_markdown(made).encode())
        storage.write_bytes(record.key(chain.pipeline.report, "/report.json"), report_to_json(made).encode())
        scores = {**made.metrics, "skill": made.skill}
        stage = catalog.open().judge_model(job.name, scores, champion=made.outcome is Outcome.BETTER)
        page = storage.uri_for(record.key(chain.pipeline.report, "/report.html"))
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.md(to_markdown(made, plots)),
                "page": dg.MetadataValue.path(page),  # not a link: browsers do not follow file:// from the UI
                "verdict": made.verdict,
                "skill": made.skill,
                "baseline": made.best_baseline,
                "baseline_mse": made.baselines[0].metrics["mse"],
                "model_stage": stage,
                **{name: made.metrics[name] for name in SHOWN_METRICS},
            },
            data_version=dg.DataVersion(job.name),
        )

    return report

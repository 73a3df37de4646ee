"""The last part of the chain: the prediction job's tables, and the report that sets them beside what happened.

What belongs here: reading results and handing them to `optiflow.report`. What does not: judging them.
"""

from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl
import polars.selectors as cs

from assets.awaiting import await_job
from assets.chain import Chain, columns, kept_files, model_parts
from assets.channels import channel_key
from assets.code import REPORT, RESULT
from assets.failures import plain_failures
from assets.report_facts import gather_facts
from assets.scored_model import MODEL, MODEL_COLUMN, model_of_job, named, scored_model
from assets.submission import job_metadata
from optiflow.pipelines.finished import FinishedRun
from optiflow.report.model import Outcome, Report, report_to_json
from optiflow.split import ROW
from resources.catalog import Catalog
from resources.fred import FredResource
from resources.jobs.contract import Jobs
from resources.storage import Storage

SHOWN_METRICS = ("mse", "rmse", "mae", "wape", "mape", "bias", "r2")
WEEKLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=15), warn_window=timedelta(days=8))
"""Retraining makes a report every week, as long as the dataset's file is there."""

SETS = ("train", "test", "actuals")


def result_assets(chain: Chain) -> list[dg.AssetsDefinition]:
    """A table for each result of the prediction job."""
    return [_result_asset(chain, name) for name in chain.pipeline.results]


def _result_asset(chain: Chain, name: str) -> dg.AssetsDefinition:
    result = chain.pipeline.results[name]
    rows_of = [chain.key("enriched")] if ROW in result.columns else []  # what the file says of its rows

    @chain.asset(
        name,
        code=RESULT,
        job=True,
        kinds={"polars", "parquet"},
        deps=[chain.key("prediction_job"), *rows_of],
        description=result.description,
        metadata=columns({**result.columns, MODEL: MODEL_COLUMN}),
    )
    @plain_failures
    def table(
        context: dg.AssetExecutionContext, storage: Storage, catalog: Catalog, jobs: dg.ResourceParam[Jobs]
    ) -> pl.DataFrame:
        record = chain.record(context, catalog)
        state = await_job(context, chain, chain.scoring_kind, jobs, catalog)
        model = model_of_job(chain, catalog, state.name)
        key = channel_key(record, state.name, "rows.parquet")
        rows = storage.scan_parquet(key).collect() if chain.pipeline.learner is None else None
        with jobs.output(state, name) as folder:
            scored = chain.pipeline.read_result(name, folder, rows)
        if rows_of:
            known = storage.scan_parquet(record.key("enriched"))
            scored = chain.pipeline.named(scored, known, record.options, taken=(MODEL,))
        catalog.open().mark_followed_up([state.name])
        context.add_output_metadata({**job_metadata(state), "model": model})
        return named(scored, model)

    return table


def report_asset(chain: Chain) -> dg.AssetsDefinition:
    """The report: JSON for programs, HTML for people, Markdown for the UI."""
    pipeline = chain.pipeline

    @chain.asset(
        pipeline.report,
        code=REPORT,
        job=True,
        kinds={"html", "json"},
        freshness_policy=WEEKLY,
        ins={name: dg.AssetIn(chain.key(name)) for name in (*SETS, *pipeline.results)},
        description="How good the model is on the held-out rows, beside naive baselines, with plots."
        if pipeline.has_actuals
        else "What the model found, with plots.",
    )
    @plain_failures
    def report(
        context: dg.AssetExecutionContext,
        storage: Storage,
        catalog: Catalog,
        fred: FredResource,
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult:
        from optiflow.report.build import build_report
        from optiflow.report.downloads import table_files
        from optiflow.report.markdown import pictures, to_markdown
        from optiflow.report.plots import draw_plots
        from optiflow.report.render import to_html

        record = chain.record(context, catalog)
        # The pipeline's own columns: what the file says of the rows, it knows from the sets.
        scored = {
            name: tables[name].select(cs.by_name(MODEL, ROW, *result.columns, require_all=False)).collect()
            for name, result in pipeline.results.items()
        }
        job, results = scored_model(chain, record, catalog, scored)
        with model_parts(storage, record, job.name, pipeline.report_reads) as folder:
            run = FinishedRun(
                options=record.options,
                **{name: tables[name].collect() for name in SETS},
                results=results,
                model=folder,
                kept=kept_files(storage, record, job.name),
            )
            facts = gather_facts(record, job, pipeline.learned(run), run, storage, fred)
            judged = pipeline.judged(run)
            extras = pipeline.extras(run)
            made = build_report(facts, judged, pipeline.baselines(run), pipeline.contributions(run), extras)
            plots = draw_plots(made, judged, extras.figures)
        text, files = to_markdown(made), table_files(extras.downloads)
        for name, data in files.items():  # before the page that offers them
            storage.write_bytes(record.key(pipeline.report, f"/{name}"), data)
        storage.write_bytes(record.key(pipeline.report, "/report.html"), to_html(made, plots, files).encode())
        storage.write_bytes(record.key(pipeline.report, "/report.md"), text.encode())
        storage.write_bytes(record.key(pipeline.report, "/report.json"), report_to_json(made).encode())
        stage = catalog.open().judge_model(
            job.name,
            {**made.metrics, **made.further_metrics, "skill": made.skill},
            champion=made.outcome in (Outcome.BETTER, Outcome.DESCRIBED),
            by_time=record.standing and record.options.split.strategy == "time",
        )
        page = storage.uri_for(record.key(pipeline.report, "/report.html"))
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.md(text + pictures(plots)),
                "page": dg.MetadataValue.path(page),  # not a link: browsers do not follow file:// from the UI
                "verdict": made.verdict,
                "model": job.name,
                "model_stage": stage,
                **_figures(made),
            },
            data_version=dg.DataVersion(job.name),
        )

    return report


def _figures(report: Report) -> dict[str, Any]:
    """The report's numbers as metadata, which Dagster plots over time."""
    if not report.baselines:
        return dict(report.further_metrics)
    return {
        "skill": report.skill,
        "baseline": report.best_baseline,
        "baseline_mse": report.baselines[0].metrics["mse"],
        **{name: report.metrics[name] for name in SHOWN_METRICS},
        **report.further_metrics,
    }

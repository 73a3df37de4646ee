"""The links of a chain in their order; whoever has read one pipeline has read all."""

from collections.abc import Sequence
from importlib import import_module

import dagster as dg

from assets.chain import Chain
from assets.checks import chain_checks
from assets.fred import series_of_datasets
from assets.models import model_asset, prediction_job_asset, training_job_asset
from assets.results import report_asset, result_assets
from assets.tables import enriched_asset, split_assets, upload_asset
from optiflow.pipelines.spec import Pipeline
from optiflow.read_limits import LIMITS, ReadLimits


def chain_assets(chain: Chain) -> list[dg.AssetsDefinition]:
    """upload → enriched → (train, test, actuals) → training_job → model → prediction_job → predictions → report."""
    return [
        upload_asset(chain),
        enriched_asset(chain),
        split_assets(chain),
        training_job_asset(chain),
        model_asset(chain),
        prediction_job_asset(chain),
        *result_assets(chain),
        report_asset(chain),
    ]


def chain_definitions(
    pipeline: Pipeline,
    partitions: dg.DynamicPartitionsDefinition,
    owners: Sequence[str] = (),
    limits: ReadLimits = LIMITS,
) -> dg.Definitions:
    """Assets and checks of a pipeline, partitioned by dataset: the chain, and its own assets out of the module of its name."""
    chain = Chain(pipeline, partitions, owners, limits)
    own = import_module(f"assets.{pipeline.name}").own_assets(chain) if pipeline.after_report else []
    return dg.Definitions(
        assets=[series_of_datasets(chain), *chain_assets(chain), *own], asset_checks=chain_checks(chain)
    )

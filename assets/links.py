"""The links of a chain in their order; whoever has read one pipeline has read all."""

import dagster as dg

from assets.chain import Chain
from assets.models import model_asset, prediction_job_asset, training_job_asset
from assets.results import predictions_asset, report_asset
from assets.tables import enriched_asset, split_assets, upload_asset


def chain_assets(chain: Chain) -> list[dg.AssetsDefinition]:
    """upload → enriched → (train, test, actuals) → training_job → model → prediction_job → predictions → report."""
    return [
        upload_asset(chain),
        enriched_asset(chain),
        split_assets(chain),
        training_job_asset(chain),
        model_asset(chain),
        prediction_job_asset(chain),
        predictions_asset(chain),
        report_asset(chain),
    ]

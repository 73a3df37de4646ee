"""What `turnover` has beyond the shared chain: the endpoint that serves each retailer's champion."""

import json

import dagster as dg

from assets.chain import Chain, model_key
from assets.failures import plain_failures
from optiflow.artifact import MODEL_ARCHIVE
from optiflow.errors import JobFailedError
from resources.catalog import Catalog
from resources.catalog.records import ModelRecord
from resources.endpoints.contract import Endpoints, EndpointState, EndpointStatus, ServedModel

EXAMPLE = {
    "instances": [
        {"price": 89.5, "description": "oak table", "category": "furniture", "brand": "Ekeby", "created": "2016-07-01"}
    ]
}


def own_assets(chain: Chain) -> list[dg.AssetsDefinition]:
    """The retailer's endpoint with the retailer's champion behind it."""

    @chain.asset(
        "endpoint",
        kinds={"xgboost"},
        deps=[chain.key(chain.pipeline.report)],
        description="Answers single questions with the retailer's champion: a serverless endpoint on SageMaker, or this "
        "process. A model that is no better than the naive answers leaves the one that is served in place.",
    )
    @plain_failures
    def endpoint(
        context: dg.AssetExecutionContext, catalog: Catalog, endpoints: dg.ResourceParam[Endpoints]
    ) -> dg.MaterializeResult:
        record = chain.record(context, catalog)
        served = endpoints.describe(record.dataset)
        champion = catalog.open().champion(record.pipeline, record.dataset)
        if champion is None:
            return _nothing_new(
                served, "No model of this retailer was judged better than the naive answers: none is deployed."
            )
        if served is not None and served.withdrawn_model == champion.name:
            return _nothing_new(
                served,
                f"{champion.name} was taken out of service by a roll-back and is not deployed again. To have it all the "
                f"same, delete the endpoint (optiflow endpoint delete {record.dataset}) and run this again.",
            )
        tags = {"dagster/run-id": context.run.run_id, "dagster/partition": record.dataset}
        key = model_key(record, champion.name, MODEL_ARCHIVE)
        endpoints.deploy(ServedModel(champion.name, record.dataset, key, tags))
        state = endpoints.wait(record.dataset)
        if state.model != champion.name:
            raise JobFailedError(_what_happened(state, champion))
        context.log.info(f"{state.name} serves {state.model}.")
        return dg.MaterializeResult(metadata=_shown(state), data_version=dg.DataVersion(champion.name))

    return [endpoint]


def _nothing_new(state: EndpointState | None, why: str) -> dg.MaterializeResult:
    shown = _shown(state) if state else {"status": "there is no endpoint"}
    version = dg.DataVersion(state.model) if state and state.model else None
    return dg.MaterializeResult(metadata={**shown, "why": why}, data_version=version)


def _what_happened(state: EndpointState, champion: ModelRecord) -> str:
    reason = (state.failure_reason or "SageMaker does not say why").rstrip(". ")
    answers = "" if state.status is EndpointStatus.IN_SERVICE else " Nothing answers there now."
    return (
        f"Endpoint {state.name} does not serve {champion.name}: {reason}.{answers} Its log is in CloudWatch, "
        f"/aws/sagemaker/Endpoints/{state.name}. Run it again once that is mended."
    )


def _shown(state: EndpointState) -> dict[str, dg.MetadataValue | str]:
    """What people want to see of an endpoint, and how it is asked."""
    shown: dict[str, dg.MetadataValue | str] = {
        "endpoint": state.name,
        "model": state.model or "none",
        "previous_model": state.previous_model or "none",
        "status": state.status.value,
        "how_to_ask": dg.MetadataValue.md(
            f"```\noptiflow endpoint ask {state.retailer} items.json\n```\n"
            f"with `items.json`:\n```json\n{json.dumps(EXAMPLE, indent=2)}\n```"
        ),
    }
    if state.failure_reason:
        shown["failure_reason"] = state.failure_reason
    if state.console_url:
        shown["console"] = dg.MetadataValue.url(state.console_url)
    return shown

"""What SageMaker's answers say of an endpoint, as an `EndpointState`. Pure functions.

What does not belong here: asking (`sagemaker`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from resources.endpoints.contract import EndpointState, EndpointStatus, before
from resources.endpoints.sagemaker_requests import MODELS_TAG, WITHDRAWN_TAG
from resources.jobs.sagemaker.words import endpoint_url

WITHOUT_MODEL = (
    EndpointStatus.CREATING,
    EndpointStatus.OUT_OF_SERVICE,
    EndpointStatus.DELETING,
    EndpointStatus.FAILED,
)


@dataclass(frozen=True)
class Found:
    """An endpoint as SageMaker knows it: its state, its ARN, and its models, the oldest first and the wanted one last."""

    state: EndpointState
    arn: str
    models: tuple[str, ...]

    def has(self, model: str) -> bool:
        """Whether the endpoint serves the model or is about to."""
        state = self.state
        if state.status is EndpointStatus.DELETING:
            return False
        return state.model == model or (not state.status.is_settled and state.wanted == model)

    def made_for(self) -> list[str]:
        """The names of the models and configurations that were made for it."""
        return list(dict.fromkeys(filter(None, (*self.models, self.state.model, self.state.withdrawn_model))))


def found_endpoint(answer: Mapping[str, Any], tags: Mapping[str, str], retailer: str) -> Found:
    """The endpoint in the answer of DescribeEndpoint. Its configurations are named after the models."""
    status = EndpointStatus(answer["EndpointStatus"])
    config = answer.get("EndpointConfigName")
    models = tuple(tags.get(MODELS_TAG, "").split()) or ((config,) if config else ())
    model = None if status in WITHOUT_MODEL else config
    earlier = before(models, model)
    state = EndpointState(
        name=answer["EndpointName"],
        retailer=retailer,
        status=status,
        model=model,
        wanted=models[-1] if models else None,
        created_at=answer["CreationTime"].astimezone(UTC),
        previous_model=earlier[-1] if earlier else None,
        withdrawn_model=tags.get(WITHDRAWN_TAG) or None,
        failure_reason=_reason(answer, model, models[-1] if models else None),
        console_url=endpoint_url(answer["EndpointArn"]),
    )
    return Found(state, answer["EndpointArn"], models)


def _reason(answer: Mapping[str, Any], model: str | None, wanted: str | None) -> str | None:
    said = answer.get("FailureReason")
    if said and model is not None and model != wanted:
        return f"the change to {wanted} failed, and SageMaker went back to {model}, which serves on. It says: {said}"
    return said

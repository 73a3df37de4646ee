"""Endpoints on Amazon SageMaker: serverless, one a retailer.

What belongs here: the order in which things are asked for, so that a crash anywhere leaves what the next try takes up.
What does not: what is asked (`sagemaker_requests`), and what the answers mean (`sagemaker_states`).
"""

import random
import time

import dagster as dg

from optiflow.errors import TransientError, UserError
from optiflow.pipelines import PIPELINES
from resources.aws.client import client
from resources.endpoints import sagemaker_requests as requests
from resources.endpoints.contract import (
    JSON,
    EndpointState,
    EndpointStatus,
    ServedModel,
    before,
    endpoint_name,
    no_endpoint,
    no_previous,
    served_after,
)
from resources.endpoints.models import checked_model
from resources.endpoints.sagemaker_calls import ask, ask_model, is_taken, is_unknown
from resources.endpoints.sagemaker_requests import SageMakerEndpointSettings
from resources.endpoints.sagemaker_states import Found, found_endpoint
from resources.jobs.sagemaker import pause_seconds
from resources.jobs.sagemaker.images import xgboost_image
from resources.jobs.source import put_source
from resources.storage import Storage

GONE_SECONDS = 120.0
LONGEST_WAIT_SECONDS = 3600.0


class SageMakerEndpoints(SageMakerEndpointSettings):
    """Serves each retailer's model in AWS's XGBoost image, on machines that are there and paid for while they answer.

    A model and its configuration have the name of the training job. What was served before is noted in a tag of the
    endpoint. An update that fails leaves the old model serving: SageMaker goes back by itself.
    """

    storage: dg.ResourceDependency[Storage]

    def deploy(self, model: ServedModel) -> EndpointState:
        """Serve this model; returns once SageMaker has taken it on, which then needs some minutes.

        A changed memory or concurrency holds for the models that are deployed from then on.

        Raises:
            UserError: the model is another retailer's, or SageMaker refuses it.
            TransientError: the endpoint is being changed just now.
        """
        found = self._find(model.retailer)
        if found is not None and found.has(model.name):
            return found.state
        checked_model(self.storage, self.pipeline, model)
        if found is not None and found.state.status in (EndpointStatus.FAILED, EndpointStatus.DELETING):
            # Nothing but to delete it can be done with an endpoint whose creation has failed.
            self._clear(found)
            found = None
        elif found is not None and found.state.wanted == model.name:
            self._drop(model.name)  # left by a try that failed: its source may have been mended since
        self._make(model)
        if found is None:
            ask(
                "create_endpoint",
                requests.endpoint_body(self, model, self.storage.uri),
                f"make the endpoint of {model.name}",
                is_taken,
            )
        else:
            models = served_after(found.models, found.state.model, model.name)
            self._change(found, models, withdrawn=None)
            for name in set(found.made_for()) - {*models, found.state.model}:
                self._drop(name)
        return self._existing(model.retailer).state

    def describe(self, retailer: str) -> EndpointState | None:
        """The state of the retailer's endpoint; None if there is none. Two requests."""
        found = self._find(retailer)
        return found.state if found else None

    def wait(self, retailer: str) -> EndpointState:
        """Block until the endpoint is in a settled state.

        Raises:
            UserError: the retailer has no endpoint.
            TransientError: it is not settled after an hour.
        """
        began = time.monotonic()
        while not (state := self._existing(retailer).state).status.is_settled:
            elapsed = time.monotonic() - began
            if elapsed > LONGEST_WAIT_SECONDS:
                raise TransientError(f"Endpoint {state.name} is still {state.status.value} after an hour.")
            time.sleep(pause_seconds(elapsed, self.first_poll_seconds, random.random()))
        return state

    def roll_back(self, retailer: str) -> EndpointState:
        """Serve the model before this one again, in the configuration that it had.

        Raises:
            UserError: there is no endpoint, or no model before this one.
            TransientError: the endpoint is being changed just now.
        """
        found = self._existing(retailer)
        earlier = before(found.models, found.state.model)
        if not earlier:
            raise UserError(no_previous(found.state))
        self._change(found, earlier, withdrawn=found.state.model)
        return self._existing(retailer).state

    def delete(self, retailer: str) -> bool:
        """Take the endpoint away, and the models and configurations that were made for it; False if there was none."""
        found = self._find(retailer)
        if found is None:
            return False
        self._remove(found)
        return True

    def invoke(self, retailer: str, body: bytes, content_type: str = JSON) -> bytes:
        """The answer of the retailer's model; the first one after a pause takes some seconds more."""
        answer = ask_model(self._name(retailer), retailer, body, content_type)
        if answer is not None:
            return answer
        state = self._existing(retailer).state
        raise TransientError(f"Endpoint {state.name} is {state.status.value} and does not answer yet. Ask again later.")

    def _name(self, retailer: str) -> str:
        return endpoint_name(self.pipeline, retailer, installation=self.storage.uri.rstrip("/"))

    def _find(self, retailer: str) -> Found | None:
        """The retailer's endpoint.

        Raises:
            UserError: one of its name is not this installation's.
        """
        name = self._name(retailer)
        what = f"describe the endpoint {name}"
        answer = ask("describe_endpoint", {"EndpointName": name}, what, is_unknown)
        if answer is None:
            return None
        tagged = ask("list_tags", {"ResourceArn": answer["EndpointArn"]}, what, is_unknown)
        if tagged is None:
            return None  # deleted between the two requests
        tags = {tag["Key"]: tag["Value"] for tag in tagged.get("Tags", ())}
        if tags.get(requests.INSTALLATION_TAG) != requests.installation_of(self.storage.uri):
            raise UserError(
                f"The endpoint {name} of this account and region is not this installation's, by its tag "
                f"{requests.INSTALLATION_TAG}: it was made by somebody else, or for another OPTIFLOW_STORAGE. It is left as "
                "it is. Delete it there, then run this again."
            )
        return found_endpoint(answer, tags, retailer)

    def _existing(self, retailer: str) -> Found:
        found = self._find(retailer)
        if found is None:
            raise UserError(no_endpoint(self.pipeline, retailer))
        return found

    def _make(self, model: ServedModel) -> None:
        """Make model and configuration, or take those that an earlier try, or an earlier time in service, has left."""
        region = client("sagemaker").meta.region_name
        body = requests.model_body(
            self,
            model,
            model_uri=self.storage.uri_for(model.key),
            source_uri=put_source(self.storage, PIPELINES[self.pipeline].requirements),
            image=self.image_uri or xgboost_image(region, self.xgboost_version),
            region=region,
        )
        ask("create_model", body, f"make the model {model.name}", is_taken)
        config = requests.config_body(self, model)
        ask("create_endpoint_config", config, f"make the endpoint configuration {model.name}", is_taken)

    def _change(self, found: Found, models: list[str], withdrawn: str | None) -> None:
        """Note first what is to be served, then ask for it: after a crash in between the next try does both again."""
        name = found.state.name
        if not found.state.status.is_settled:
            raise TransientError(f"Endpoint {name} is {found.state.status.value} just now. It is tried again.")
        ask("add_tags", requests.note_body(found.arn, models, withdrawn), f"note what the endpoint {name} serves")
        body = {"EndpointName": name, "EndpointConfigName": models[-1]}
        ask("update_endpoint", body, f"change the endpoint {name} to {models[-1]}")

    def _clear(self, found: Found) -> None:
        if found.state.status is not EndpointStatus.DELETING:
            self._remove(found)
        began = time.monotonic()
        while self._find(found.state.retailer) is not None:
            if time.monotonic() - began > GONE_SECONDS:
                raise TransientError(f"Endpoint {found.state.name} is still being deleted. It is tried again.")
            time.sleep(pause_seconds(time.monotonic() - began, self.first_poll_seconds, random.random()))

    def _remove(self, found: Found) -> None:
        name = found.state.name
        ask("delete_endpoint", {"EndpointName": name}, f"delete the endpoint {name}", is_unknown)
        for model in found.made_for():
            self._drop(model)

    def _drop(self, name: str) -> None:
        """Delete a configuration and its model, which cost nothing but would be listed for ever."""
        what = f"delete the endpoint configuration {name}"
        ask("delete_endpoint_config", {"EndpointConfigName": name}, what, is_unknown)
        ask("delete_model", {"ModelName": name}, f"delete the model {name}", is_unknown)

"""The adapters that settings describe, made in one place for Dagster, the command line and tests.

What belongs here: which adapter a setting asks for. What does not: the adapters.
"""

import os
from dataclasses import dataclass

import dagster as dg
from pydantic import SecretStr

from optiflow.pipelines import PIPELINES
from resources.catalog import Catalog
from resources.endpoints.contract import Endpoints
from resources.endpoints.local import LocalEndpoints
from resources.endpoints.sagemaker import SageMakerEndpoints
from resources.fred import FredResource
from resources.jobs.contract import Jobs
from resources.jobs.local import LocalJobs
from resources.jobs.sagemaker import SageMakerJobs
from resources.lake import LakeIOManager
from resources.settings import Settings
from resources.sources import Sources
from resources.storage import Storage, storage_at


@dataclass(frozen=True)
class Adapters:
    """One adapter of each kind."""

    storage: Storage
    catalog: Catalog
    fred: FredResource
    jobs: Jobs
    endpoints: Endpoints
    sources: Sources

    @classmethod
    def of(cls, settings: Settings, *, hide_secrets: bool = False) -> "Adapters":
        """The adapters for `settings`.

        Args:
            settings: The configuration.
            hide_secrets: Refer to secrets by their variable where they come from one, so that Dagster, which resolves
                the reference when a run needs it, never shows their values. Only for adapters handed to Dagster.
        """

        def secret(variable: str, value: SecretStr | None) -> str | None:
            if value is None:
                return None
            return dg.EnvVar(variable) if hide_secrets and os.environ.get(variable) else value.get_secret_value()

        storage = storage_at(settings.storage_uri, settings.kms_key)
        url = secret("OPTIFLOW_CATALOG_URL", settings.catalog_address)
        assert url is not None
        return cls(
            storage=storage,
            catalog=Catalog(url=url),
            fred=FredResource(
                api_key=secret("FRED_API_KEY", settings.fred_api_key), url=settings.fred_url, storage=storage
            ),
            jobs=_jobs(settings),
            endpoints=_endpoints(settings, storage),
            sources=Sources(folder=str(settings.home.absolute()), storage=storage),
        )

    def by_name(self) -> dict[str, object]:
        """The resources that assets and sensors ask for."""
        io_manager = LakeIOManager(storage=self.storage, catalog=self.catalog)
        return {**vars(self), "io_manager": io_manager}


def _jobs(settings: Settings) -> Jobs:
    if settings.env == "local":
        return LocalJobs(root=str(settings.jobs_dir), max_parallel=settings.max_parallel_jobs)
    assert settings.sagemaker_role_arn is not None
    return SageMakerJobs(
        role_arn=settings.sagemaker_role_arn,
        output_uri=f"{settings.storage_uri}/jobs",
        instance_type=settings.instance_type,
        instance_count=settings.instance_count,
        transform_instance_type=settings.transform_instance_type,
        volume_gb=settings.volume_gb,
        max_runtime_seconds=settings.max_runtime_seconds,
        use_spot=settings.use_spot,
        subnets=list(settings.subnets),
        security_group_ids=list(settings.security_groups),
        kms_key=settings.kms_key,
        tags=_tags(settings),
        xgboost_version=settings.xgboost_version,
        image_uri=settings.image_uri,
    )


def _endpoints(settings: Settings, storage: Storage) -> Endpoints:
    (served,) = (name for name, pipeline in PIPELINES.items() if pipeline.serving)
    if settings.env == "local":
        return LocalEndpoints(storage=storage, pipeline=served)
    assert settings.sagemaker_role_arn is not None
    return SageMakerEndpoints(
        storage=storage,
        pipeline=served,
        role_arn=settings.sagemaker_role_arn,
        memory_mb=settings.endpoint_memory_mb,
        max_concurrency=settings.endpoint_max_concurrency,
        tags=_tags(settings),
        xgboost_version=settings.xgboost_version,
        image_uri=settings.image_uri,
    )


def _tags(settings: Settings) -> dict[str, str]:
    return dict(tag.split("=", 1) for tag in settings.job_tags)

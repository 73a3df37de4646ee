"""The adapters that settings describe, made in one place for Dagster, the command line and tests.

What belongs here: which adapter a setting asks for. What does not: the adapters.
"""

import os
from dataclasses import dataclass

import dagster as dg
from pydantic import SecretStr

from resources.catalog import Catalog
from resources.fred import FredResource
from resources.jobs.local import LocalJobs
from resources.lake import LakeIOManager
from resources.settings import Settings
from resources.storage import Storage


@dataclass(frozen=True)
class Adapters:
    """One adapter of each kind."""

    storage: Storage
    catalog: Catalog
    fred: FredResource
    jobs: LocalJobs

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

        storage = Storage(uri=settings.storage_uri)
        url = secret("OPTIFLOW_CATALOG_URL", settings.catalog_address)
        assert url is not None
        return cls(
            storage=storage,
            catalog=Catalog(url=url),
            fred=FredResource(
                api_key=secret("FRED_API_KEY", settings.fred_api_key), url=settings.fred_url, storage=storage
            ),
            jobs=LocalJobs(root=str(settings.jobs_dir), max_parallel=settings.max_parallel_jobs),
        )

    def by_name(self) -> dict[str, object]:
        """The resources that assets and sensors ask for."""
        io_manager = LakeIOManager(storage=self.storage, catalog=self.catalog)
        return {**vars(self), "io_manager": io_manager}

"""Settings: every environment variable that OptiFlow reads, read once and checked.

What belongs here: names, defaults and limits of variables. What does not: using them. AWS's own variables are left to
boto3, Dagster's own to Dagster.
"""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlparse

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from optiflow.errors import UserError

_EMPTY_IS_UNSET = True


class Settings(BaseSettings):
    """The configuration of one OptiFlow, from environment variables named `OPTIFLOW_<FIELD>` (and `FRED_API_KEY`).

    Relative defaults lie under `.optiflow` in `home`, so that nothing is written elsewhere.
    """

    model_config = SettingsConfigDict(env_prefix="OPTIFLOW_", env_ignore_empty=_EMPTY_IS_UNSET, extra="ignore")

    env: Literal["local"] = "local"
    home: Path = Field(default_factory=lambda: Path(os.environ.get("DAGSTER_HOME") or Path.cwd()))
    """The project's folder (Dagster's home, or the current folder); `.optiflow` in it holds all that runs write."""
    storage: str | None = None
    catalog_url: SecretStr | None = None
    fred_api_key: Annotated[SecretStr | None, Field(validation_alias="FRED_API_KEY")] = None
    fred_url: str | None = None
    max_parallel_jobs: int = Field(default=2, ge=1, le=64)
    upload_settle_seconds: float = Field(default=2.0, ge=0.0)
    """A file must have been left alone this long before the sensor takes it, so that no half-copied file is read."""
    alert_url: str | None = None
    """Webhook that is sent a JSON message for every failed run."""

    @field_validator("storage")
    @classmethod
    def _storage_is_a_file_address(cls, value: str | None) -> str | None:
        # `file://var/optiflow` would name a machine called `var` and end up in /optiflow.
        address = urlparse(value or "file:///")
        if address.scheme != "file" or address.netloc or not address.path.startswith("/"):
            raise ValueError("expected an address such as file:///var/optiflow")
        return value

    @field_validator("fred_url", "alert_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and urlparse(value).scheme not in ("http", "https"):
            raise ValueError("expected an http:// or https:// address")
        return value

    @property
    def work_dir(self) -> Path:
        """Where everything that a run writes lies: lake, catalog, job folders, Dagster's storage."""
        return self.home.absolute() / ".optiflow"

    @property
    def storage_uri(self) -> str:
        """The root of uploads and lake."""
        return self.storage or self.work_dir.as_uri()

    @property
    def catalog_address(self) -> SecretStr:
        """The catalog's SQLAlchemy URL; a secret, since it may hold a password."""
        return self.catalog_url or SecretStr(f"sqlite:///{self.work_dir / 'catalog.db'}")

    @property
    def jobs_dir(self) -> Path:
        """Where local jobs have their folders."""
        return self.work_dir / "jobs"


def load_settings(**overrides: object) -> Settings:
    """Read the environment.

    Raises:
        UserError: a variable is out of range; names each such variable.
    """
    try:
        return Settings(**overrides)  # pyright: ignore[reportArgumentType]  # validated by pydantic itself
    except ValidationError as error:
        faults = "; ".join(f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors())
        raise UserError(f"Configuration: {faults}.") from error


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0])
    return name if name.isupper() else f"OPTIFLOW_{name.upper()}"

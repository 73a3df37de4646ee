"""Settings: every environment variable that OptiFlow reads, read once and checked.

What belongs here: names, defaults and limits of variables. What does not: using them. AWS's own variables are left to
boto3, Dagster's own to Dagster.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlparse

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from optiflow.errors import UserError
from optiflow.read_limits import LIMITS, ReadLimits

_EMPTY_IS_UNSET = True
_OWNER = re.compile(r"team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")

Words = Annotated[tuple[str, ...], NoDecode]
"""Several values, separated by commas in the variable."""


class Settings(BaseSettings):
    """The configuration of one OptiFlow, from environment variables named `OPTIFLOW_<FIELD>` (and `FRED_API_KEY`).

    Relative defaults lie under `.optiflow` in `home`, so that nothing is written elsewhere.
    """

    model_config = SettingsConfigDict(env_prefix="OPTIFLOW_", env_ignore_empty=_EMPTY_IS_UNSET, extra="ignore")

    env: Literal["local", "aws"] = "local"
    """Where jobs run and tables lie: on this machine, or on SageMaker and S3."""
    home: Path = Field(default_factory=lambda: Path(os.environ.get("DAGSTER_HOME") or Path.cwd()))
    """The project's folder (Dagster's home, or the current folder); `.optiflow` in it holds all that runs write."""
    storage: str | None = None
    catalog_url: SecretStr | None = None
    fred_api_key: Annotated[SecretStr | None, Field(validation_alias="FRED_API_KEY")] = None
    fred_url: str | None = None
    max_parallel_jobs: int = Field(default=2, ge=1, le=64)
    upload_settle_seconds: float = Field(default=2.0, ge=0.0)
    """A file must have been left alone this long before the sensor takes it, so that no half-copied file is read."""
    upload_max_mb: int = Field(default=LIMITS.megabytes, ge=1)
    """How much an upload may hold once it is unpacked, and the text of its cells; see `ReadLimits`."""
    upload_max_cells: int = Field(default=LIMITS.cells, ge=1)
    upload_max_sheet_cells: int = Field(default=LIMITS.sheet_cells, ge=1)
    alert_url: str | None = None
    """Webhook, or ARN of an SNS topic, that is sent a JSON message for every failed run."""
    keep_runs_days: int = Field(default=30, ge=0, le=36_500)
    """Dagster's runs are deleted after so many days unless something refers to them; 0 keeps all."""

    sagemaker_role_arn: str | None = None
    """Role that SageMaker works under: it reads and writes the bucket."""
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = Field(default=1, ge=1, le=100)
    """Machines of a training job; more than one trains distributed."""
    transform_instance_type: str = "ml.m5.xlarge"
    """Machine of a prediction job."""
    volume_gb: int = Field(default=30, ge=1, le=16384)
    max_runtime_seconds: int = Field(default=24 * 3600, ge=60, le=28 * 24 * 3600)
    use_spot: bool = False
    """Train on spot capacity, with checkpoints: cheaper, and it may take longer."""
    subnets: Words = ()
    security_groups: Words = ()
    kms_key: str | None = None
    """Key that objects and volumes are encrypted with, instead of AWS's own."""
    job_tags: Words = ()
    """Tags for every job, such as team=supply,cost-center=42."""
    xgboost_version: str = "3.2-0"
    image_uri: str | None = None
    """XGBoost image to use instead of the region's own."""
    endpoint_memory_mb: int = Field(default=2048, ge=1024, le=6144, multiple_of=1024)
    """Memory of a serving endpoint."""
    endpoint_max_concurrency: int = Field(default=5, ge=1, le=200)
    """Requests that an endpoint answers at the same time."""
    owners: Words = ("team:optiflow",)
    """Whose the assets are, as Dagster's UI shows it: teams and e-mail addresses."""
    upload_queue_url: str | None = None
    """SQS queue with the bucket's events; without one the sensor lists the landing folder."""

    @field_validator("subnets", "security_groups", "job_tags", "owners", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("job_tags")
    @classmethod
    def _tags_have_values(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not tag.partition("=")[0].strip() or "=" not in tag for tag in value):
            raise ValueError("expected tags such as team=supply,cost-center=42")
        return value

    @field_validator("owners")
    @classmethod
    def _are_owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _OWNER.fullmatch(owner) for owner in value):
            raise ValueError("expected teams and e-mail addresses, such as team:supply,ann@example.com")
        return value

    @field_validator("sagemaker_role_arn")
    @classmethod
    def _is_role(cls, value: str | None) -> str | None:
        if value is not None and not _ROLE.fullmatch(value):
            raise ValueError("expected the ARN of a role, such as arn:aws:iam::123456789012:role/optiflow-sagemaker")
        return value

    @field_validator("storage")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        address = urlparse(value or "file:///")
        # `file://var/optiflow` would name a machine called `var` and end up in /optiflow.
        is_file = address.scheme == "file" and not address.netloc and address.path.startswith("/")
        is_s3 = address.scheme == "s3" and bool(address.netloc)
        if not (is_file or is_s3):
            raise ValueError("expected an address such as file:///var/optiflow or s3://bucket/prefix")
        if found := re.search(r"[?#]", value or ""):
            # What follows it is no part of an address's path: all would be written elsewhere.
            mended = f"write it as {quote(found[0])}" if is_file else "choose a prefix without it"
            raise ValueError(f"{value} holds {found[0]!r}, which ends the path of an address: {mended}")
        path = unquote(address.path)
        if is_file and ("\ufffd" in path or not path.isprintable()):
            raise ValueError(f"{value} holds a % that stands for no letter: write a % of the path's own as %25")
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> "Settings":
        on_s3 = urlparse(self.storage or "").scheme == "s3"
        if self.env == "local" and on_s3:
            raise ValueError("OPTIFLOW_STORAGE is on S3, where local jobs cannot read: set OPTIFLOW_ENV=aws as well")
        if self.env == "aws":
            if not on_s3:
                raise ValueError("OPTIFLOW_ENV is aws: set OPTIFLOW_STORAGE to an address such as s3://bucket/prefix")
            if self.sagemaker_role_arn is None:
                raise ValueError("OPTIFLOW_ENV is aws: set OPTIFLOW_SAGEMAKER_ROLE_ARN to the role of SageMaker's jobs")
            if bool(self.subnets) != bool(self.security_groups):
                raise ValueError("OPTIFLOW_SUBNETS and OPTIFLOW_SECURITY_GROUPS go together: set both or none")
        elif self.upload_queue_url is not None:
            raise ValueError("OPTIFLOW_UPLOAD_QUEUE_URL is of use only with OPTIFLOW_ENV=aws")
        return self

    @field_validator("alert_url")
    @classmethod
    def _is_http_or_topic(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}", value):
            return value
        return cls._is_http(value)

    @field_validator("fred_url", "upload_queue_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and urlparse(value).scheme not in ("http", "https"):
            raise ValueError("expected an http:// or https:// address")
        return value

    @property
    def read_limits(self) -> ReadLimits:
        """What is asked of an upload before it is read."""
        return ReadLimits(self.upload_max_mb, self.upload_max_cells, self.upload_max_sheet_cells)

    @property
    def work_dir(self) -> Path:
        """Where everything that a run writes lies: lake, catalog, job folders, Dagster's storage."""
        return self.home.absolute() / ".optiflow"

    @property
    def storage_uri(self) -> str:
        """The root of uploads and lake."""
        return (self.storage or self.work_dir.as_uri()).rstrip("/")

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
        faults = "; ".join(_told(e) for e in error.errors())
        raise UserError(f"Configuration: {faults}.") from error


def _told(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{_variable(error['loc'])}: {message}" if error["loc"] else message


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0])
    return name if name.isupper() else f"OPTIFLOW_{name.upper()}"

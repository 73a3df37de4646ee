"""Settings: defaults, variables, and messages that name the variable but never a secret."""

from pathlib import Path

import pytest

from optiflow.errors import UserError
from resources.settings import Settings, load_settings
from resources.storage import FileStorage


def test_without_a_variable_all_lies_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.storage_uri == (tmp_path / ".optiflow").as_uri()
    assert settings.catalog_address.get_secret_value() == f"sqlite:///{tmp_path}/.optiflow/catalog.db"
    assert settings.jobs_dir == tmp_path / ".optiflow" / "jobs"
    assert list(tmp_path.iterdir()) == []


def test_dagsters_home_is_ours_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "a"))
    assert load_settings().work_dir == tmp_path / "a" / ".optiflow"
    monkeypatch.setenv("OPTIFLOW_HOME", str(tmp_path / "b"))
    assert load_settings().work_dir == tmp_path / "b" / ".optiflow"


ROLE = "arn:aws:iam::123456789012:role/optiflow"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads"
AWS = {"OPTIFLOW_ENV": "aws", "OPTIFLOW_STORAGE": "s3://bucket/prefix/", "OPTIFLOW_SAGEMAKER_ROLE_ARN": ROLE}
VARIABLES = {
    "OPTIFLOW_STORAGE": ("file:///srv/lake", lambda settings: settings.storage_uri == "file:///srv/lake"),
    "OPTIFLOW_CATALOG_URL": (
        "postgresql://db/x",
        lambda s: s.catalog_address.get_secret_value() == "postgresql://db/x",
    ),
    "FRED_API_KEY": ("abcd", lambda settings: settings.fred_api_key.get_secret_value() == "abcd"),
    "OPTIFLOW_FRED_URL": ("http://127.0.0.1:1/", lambda settings: settings.fred_url == "http://127.0.0.1:1/"),
    "OPTIFLOW_MAX_PARALLEL_JOBS": ("7", lambda settings: settings.max_parallel_jobs == 7),
    "OPTIFLOW_UPLOAD_SETTLE_SECONDS": ("0.5", lambda settings: settings.upload_settle_seconds == 0.5),
    "OPTIFLOW_UPLOAD_MAX_MB": ("7", lambda settings: settings.read_limits.megabytes == 7),
    "OPTIFLOW_UPLOAD_MAX_CELLS": ("8", lambda settings: settings.read_limits.cells == 8),
    "OPTIFLOW_UPLOAD_MAX_SHEET_CELLS": ("9", lambda settings: settings.read_limits.sheet_cells == 9),
    "OPTIFLOW_ALERT_URL": ("https://x.example/t", lambda settings: settings.alert_url == "https://x.example/t"),
    "OPTIFLOW_KEEP_RUNS_DAYS": ("0", lambda settings: settings.keep_runs_days == 0),
    "OPTIFLOW_OWNERS": ("team:a, b@c.example", lambda settings: settings.owners == ("team:a", "b@c.example")),
    "OPTIFLOW_HOME": ("/srv", lambda settings: settings.home == Path("/srv")),
    "OPTIFLOW_ENV": ("local", lambda settings: settings.env == "local"),
    "OPTIFLOW_SAGEMAKER_ROLE_ARN": (ROLE, lambda settings: settings.sagemaker_role_arn == ROLE),
    "OPTIFLOW_INSTANCE_TYPE": ("ml.c5.xlarge", lambda settings: settings.instance_type == "ml.c5.xlarge"),
    "OPTIFLOW_INSTANCE_COUNT": ("3", lambda settings: settings.instance_count == 3),
    "OPTIFLOW_TRANSFORM_INSTANCE_TYPE": ("ml.c5.large", lambda s: s.transform_instance_type == "ml.c5.large"),
    "OPTIFLOW_VOLUME_GB": ("77", lambda settings: settings.volume_gb == 77),
    "OPTIFLOW_MAX_RUNTIME_SECONDS": ("600", lambda settings: settings.max_runtime_seconds == 600),
    "OPTIFLOW_USE_SPOT": ("true", lambda settings: settings.use_spot is True),
    "OPTIFLOW_SUBNETS": ("subnet-1, subnet-2", lambda settings: settings.subnets == ("subnet-1", "subnet-2")),
    "OPTIFLOW_SECURITY_GROUPS": ("sg-1", lambda settings: settings.security_groups == ("sg-1",)),
    "OPTIFLOW_KMS_KEY": ("alias/x", lambda settings: settings.kms_key == "alias/x"),
    "OPTIFLOW_JOB_TAGS": ("a=1,b=c=d", lambda settings: settings.job_tags == ("a=1", "b=c=d")),
    "OPTIFLOW_XGBOOST_VERSION": ("3.0-5", lambda settings: settings.xgboost_version == "3.0-5"),
    "OPTIFLOW_IMAGE_URI": ("x/y:1", lambda settings: settings.image_uri == "x/y:1"),
    "OPTIFLOW_ENDPOINT_MEMORY_MB": ("4096", lambda settings: settings.endpoint_memory_mb == 4096),
    "OPTIFLOW_ENDPOINT_MAX_CONCURRENCY": ("9", lambda settings: settings.endpoint_max_concurrency == 9),
    "OPTIFLOW_UPLOAD_QUEUE_URL": (QUEUE, lambda settings: settings.upload_queue_url == QUEUE),
}
NEEDS_AWS = {"OPTIFLOW_UPLOAD_QUEUE_URL"}


def test_every_setting_has_a_variable_that_is_tested_here() -> None:
    assert len(VARIABLES) == len(Settings.model_fields)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_read_and_an_empty_one_is_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, needed in AWS.items() if name in NEEDS_AWS else ():
        monkeypatch.setenv(variable, needed)
    default = load_settings()
    value, holds = VARIABLES[name]
    monkeypatch.setenv(name, value)
    assert holds(load_settings())
    monkeypatch.setenv(name, "")
    assert load_settings() == default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTIFLOW_ENV", "moon"),
        ("OPTIFLOW_STORAGE", "/srv/lake"),
        ("OPTIFLOW_STORAGE", "file://srv/lake"),
        ("OPTIFLOW_STORAGE", "s3:///no-bucket"),
        ("OPTIFLOW_STORAGE", "gs://bucket"),
        ("OPTIFLOW_STORAGE", "file:///srv/my#data"),
        ("OPTIFLOW_STORAGE", "file:///srv/my?data"),
        ("OPTIFLOW_STORAGE", "file:///srv/100%data"),
        ("OPTIFLOW_STORAGE", "file:///srv/a%00b"),
        ("OPTIFLOW_STORAGE", "s3://bucket/my#data"),
        ("OPTIFLOW_STORAGE", "s3://bucket/my?data"),
        ("OPTIFLOW_SAGEMAKER_ROLE_ARN", "optiflow-role"),
        ("OPTIFLOW_JOB_TAGS", "team"),
        ("OPTIFLOW_OWNERS", "supply chain"),
        ("OPTIFLOW_INSTANCE_COUNT", "0"),
        ("OPTIFLOW_ENDPOINT_MEMORY_MB", "1500"),
        ("OPTIFLOW_ENDPOINT_MAX_CONCURRENCY", "201"),
        ("OPTIFLOW_UPLOAD_QUEUE_URL", "arn:aws:sqs:eu-central-1:123456789012:uploads"),
        ("OPTIFLOW_FRED_URL", "ftp://x"),
        ("OPTIFLOW_ALERT_URL", "hooks.example/token-of-mine"),
        ("OPTIFLOW_ALERT_URL", "arn:aws:sqs:eu-central-1:123456789012:alerts"),
        ("OPTIFLOW_MAX_PARALLEL_JOBS", "0"),
        ("OPTIFLOW_MAX_PARALLEL_JOBS", "two"),
        ("OPTIFLOW_UPLOAD_SETTLE_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=rf"Configuration: {name}: \S+") as caught:
        load_settings()
    assert "token-of-mine" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "way_out"),
    [
        ("file:///srv/my#data", "write it as %23"),
        ("file:///srv/my?data", "write it as %3F"),
        ("file:///srv/50%da", "write a % of the path's own as %25"),
    ],
)
def test_an_address_that_would_lead_elsewhere_says_how_it_is_written(
    address: str, way_out: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPTIFLOW_STORAGE", address)
    with pytest.raises(UserError, match=way_out):
        load_settings()
    mended = (tmp_path / address.removeprefix("file:///srv/")).as_uri()
    monkeypatch.setenv("OPTIFLOW_STORAGE", mended)
    assert FileStorage(uri=load_settings().storage_uri).root == tmp_path / address.removeprefix("file:///srv/")


def test_alerts_may_go_to_a_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIFLOW_ALERT_URL", "arn:aws:sns:eu-central-1:123456789012:alerts")
    assert load_settings().alert_url == "arn:aws:sns:eu-central-1:123456789012:alerts"


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIFLOW_ENV", "moon")
    monkeypatch.setenv("OPTIFLOW_FRED_URL", "x")
    with pytest.raises(UserError, match=r"OPTIFLOW_ENV: .*; OPTIFLOW_FRED_URL: "):
        load_settings()


def test_secrets_are_masked_when_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "hunter2")
    monkeypatch.setenv("OPTIFLOW_CATALOG_URL", "postgresql://me:hunter2@db/x")  # pragma: allowlist secret
    settings = load_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_aws_needs_a_bucket_and_a_role_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    assert load_settings().storage_uri == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"OPTIFLOW_STORAGE": ""}, "OPTIFLOW_STORAGE"),
        ({"OPTIFLOW_STORAGE": "file:///srv"}, "OPTIFLOW_STORAGE"),
        ({"OPTIFLOW_SAGEMAKER_ROLE_ARN": ""}, "OPTIFLOW_SAGEMAKER_ROLE_ARN"),
        ({"OPTIFLOW_SUBNETS": "subnet-1"}, "OPTIFLOW_SECURITY_GROUPS"),
        ({"OPTIFLOW_ENV": ""}, "OPTIFLOW_ENV=aws"),
        (
            {"OPTIFLOW_ENV": "", "OPTIFLOW_STORAGE": "", "OPTIFLOW_UPLOAD_QUEUE_URL": QUEUE},
            "OPTIFLOW_UPLOAD_QUEUE_URL",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_by_name(
    changes: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**AWS, **changes}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=rf"Configuration: .*{named}"):
        load_settings()

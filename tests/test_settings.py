"""Settings: defaults, variables, and messages that name the variable but never a secret."""

from pathlib import Path

import pytest

from optiflow.errors import UserError
from resources.settings import Settings, load_settings


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
    "OPTIFLOW_ALERT_URL": ("https://x.example/t", lambda settings: settings.alert_url == "https://x.example/t"),
    "OPTIFLOW_HOME": ("/srv", lambda settings: settings.home == Path("/srv")),
    "OPTIFLOW_ENV": ("local", lambda settings: settings.env == "local"),
}


def test_every_setting_has_a_variable_that_is_tested_here() -> None:
    assert len(VARIABLES) == len(Settings.model_fields)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_read_and_an_empty_one_is_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("OPTIFLOW_STORAGE", "s3://bucket"),
        ("OPTIFLOW_FRED_URL", "ftp://x"),
        ("OPTIFLOW_ALERT_URL", "hooks.example/token-of-mine"),
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

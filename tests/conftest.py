"""Fixtures that several test files share: a project of its own per test, and the definitions for it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from aws_chain_project import bucket
from aws_double.fixtures import aws, aws_double
from crash_traces import pytest_configure, pytest_terminal_summary
from postgres import postgres_server, postgres_url
from slow_first import pytest_collection_modifyitems

from optiflow_dagster.definitions import build_definitions
from resources.adapters import Adapters
from resources.fred.http import PROCESS_LIMITER
from resources.settings import Settings, load_settings

__all__ = [
    "aws",
    "aws_double",
    "bucket",
    "postgres_server",
    "postgres_url",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_terminal_summary",
]

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("OPTIFLOW_SHARED_DATA",)
SHARED_DATA = Path(os.environ.get("OPTIFLOW_SHARED_DATA", ROOT.parent / "shared" / "data"))

# For this process and all that it starts, which share a few cores: OpenMP's threads sleep while they wait for each other.
# Spinning, two trainings at once take minutes instead of seconds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_", "AWS_")) and name not in KEPT:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def fresh_rate_limit() -> None:
    """No request of another test, made by another clock, counts against FRED's limit."""
    PROCESS_LIMITER.forget()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of an empty project."""
    return load_settings(home=tmp_path, upload_settle_seconds=0)


@pytest.fixture
def adapters(settings: Settings) -> Adapters:
    """The adapters of the empty project."""
    return Adapters.of(settings)


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    """The code location for the empty project."""
    return build_definitions(settings)


@pytest.fixture(scope="session")
def empty_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an empty Dagster instance: to copy them takes a quarter of the time that it takes to make its tables."""
    folder = tmp_path_factory.mktemp("empty_instance")
    with dg.instance_for_test(temp_dir=str(folder)) as made:
        made.get_runs()
        made.all_instigator_state()
    return folder


@pytest.fixture
def instance(empty_instance: Path) -> Iterator[dg.DagsterInstance]:
    """An empty Dagster instance on disk."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.copytree(empty_instance, folder, dirs_exist_ok=True)
        with dg.instance_for_test(temp_dir=folder) as instance:
            yield instance

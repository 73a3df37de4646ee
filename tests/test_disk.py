"""Folders that nobody else can look into."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, Project

from optiflow.disk import close_to_others, make_private


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_is_its_owners_alone(tmp_path):
    make_private(tmp_path / "new" / ".optiflow")
    assert mode(tmp_path / "new" / ".optiflow") == 0o700
    assert mode(tmp_path / "new") == 0o755


@pytest.mark.parametrize(
    ("before", "after"), [(0o755, 0o700), (0o775, 0o700), (0o777, 0o700), (0o750, 0o750), (0o2770, 0o2770)]
)
def test_a_folder_is_closed_unless_somebody_has_chosen_who_may_look_into_it(tmp_path, before, after):
    tmp_path.chmod(before)
    for close in (close_to_others, make_private):
        close(tmp_path)
        assert tmp_path.stat().st_mode & 0o7777 == after


def test_a_folder_that_is_not_there_stays_away(tmp_path):
    close_to_others(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_work_folder_is_closed_by_the_first_command(tmp_path):
    project = Project(tmp_path)
    (tmp_path / ".optiflow").chmod(0o755)
    assert project.optiflow("status").code == 0
    assert mode(tmp_path / ".optiflow") == 0o700


def test_loading_the_code_location_closes_what_dagster_has_made_before(tmp_path):
    (tmp_path / ".optiflow" / "dagster").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPTIFLOW_", "DAGSTER_"))}
    load = "from optiflow_dagster.definitions import defs; defs()"
    subprocess.run([sys.executable, "-c", load], cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, check=True)
    assert mode(tmp_path / ".optiflow") == 0o700

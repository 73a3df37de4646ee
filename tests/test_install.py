"""What `make setup` says while pip works."""

import importlib.util

from project import ROOT

SPEC = importlib.util.spec_from_file_location("install", ROOT / "deploy" / "install.py")
assert SPEC is not None
assert SPEC.loader is not None
install = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(install)

PIP = """\
Obtaining file:///home/ann/optiflow
  Installing build dependencies: started
  Preparing editable metadata (pyproject.toml): finished with status 'done'
Collecting dagster<1.14,>=1.13.20 (from optiflow-dagster==0.1.0)
  Downloading dagster-1.13.27-py3-none-any.whl.metadata (13 kB)
Collecting pandera[polars]>=0.26 (from optiflow-dagster==0.1.0)
  Using cached pandera-0.26-py3-none-any.whl.metadata (10 kB)
Downloading dagster-1.13.27-py3-none-any.whl (2.3 MB)
Installing collected packages: dagster, pandera, optiflow-dagster
Successfully installed dagster-1.13.27 pandera-0.26 optiflow-dagster-0.1.0
"""


def test_packages_are_counted_while_they_are_found_fetched_and_installed():
    told = [text for text, _ in install.steps(PIP.splitlines(keepends=True))]
    assert told == [
        "1 packages found: file",
        "2 packages found: dagster",
        "3 packages found: pandera",
        "1 of 3 packages fetched: dagster-1.13.27-py3-none-any.whl (2.3 MB)",
        "installing 3 packages, which takes the longest …",
        "3 packages installed",
    ]


def test_where_no_terminal_is_a_line_comes_for_every_25_packages():
    lines = [f"Collecting p{number}\n" for number in range(60)]
    assert [text for text, is_large in install.steps(lines) if is_large] == [
        "25 packages found: p24",
        "50 packages found: p49",
    ]

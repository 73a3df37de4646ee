"""What we use of Dagster that it does not call public is where we look for it, and is imported in one place alone."""

import re
from pathlib import Path

import pytest

from optiflow_dagster import internals

ROOT = Path(__file__).resolve().parents[1]
LINE = re.compile(r"^\s*(?:from|import) (dagster\._[\w.]+)(?: import (\w+))?", re.MULTILINE)


def test_only_one_module_imports_what_dagster_keeps_to_itself() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("optiflow", "resources", "assets", "optiflow_dagster")
        for path in (ROOT / folder).rglob("*.py")
        if LINE.search(path.read_text())
    }
    assert found == {"optiflow_dagster/internals.py"}


@pytest.mark.parametrize("name", sorted(internals.__all__))
def test_dagster_has_it_still(name: str) -> None:
    if name == "AssetJob":
        from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

        found = UnresolvedAssetJobDefinition
    else:
        found = getattr(internals, name)
    assert found is not None
    assert type(found) in (str, int) or found.__module__.startswith("dagster."), (
        f"{name} is no longer Dagster's: see internals"
    )
